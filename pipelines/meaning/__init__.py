"""What an op does: its traits, and the names under which TensorFlow executes it; TensorFlow's constants."""
