timeline-title = Timeline
timeline-slider = Moment shown
timeline-cut = { $time } in which nothing happened
timeline-skipped = idle −{ $time }
timeline-skipped-long = Idle time that is not drawn: { $time }
