"""Construction of a `tf.data.Dataset` from a spec."""
