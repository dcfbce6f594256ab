"""What is wrong with a pipeline or a training for certain, or cannot be tried: functions of a view."""
