timeline-title = Tidslinje
timeline-slider = Visat ögonblick
timeline-cut = { $time } då inget hände
timeline-skipped = tomgång −{ $time }
timeline-skipped-long = Tomgång som inte ritas: { $time }
