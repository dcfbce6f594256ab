"""The tf.data service that a pipeline reads from: what a run does to it, and what is wrong with it."""
