"""The allowlist of TensorFlow functions for `ops:`, one module per namespace."""
