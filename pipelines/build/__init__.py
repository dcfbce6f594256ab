"""From a spec to a real `tf.data.Dataset`."""
