"""pipeprof: why a tf.data input pipeline is slow or memory-hungry."""

__version__ = "0.1.0"
