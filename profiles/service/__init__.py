"""A tf.data service as others see it: questions to it, its processes on this machine, what is wrong with it."""
