"""The spec language and the real tf.data pipelines it stands for."""
