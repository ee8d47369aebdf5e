timeline-title = Tidslinje
timeline-slider = Visat ögonblick
timeline-cut = { $time } då inget hände
timeline-skipped = tomgång hoppas över · { $time }
