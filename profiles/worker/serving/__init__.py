"""Workers of a tf.data service that a run can look into."""
