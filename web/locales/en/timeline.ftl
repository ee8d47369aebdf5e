timeline-title = Timeline
timeline-slider = Moment shown
timeline-cut = { $time } in which nothing happened
timeline-skipped = idle time skipped · { $time }
