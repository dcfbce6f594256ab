"""How many workers of a tf.data service a pipeline needs: predicted, then measured with scaled-down local workers."""
