"""Generated inputs, cached by the hash of their recipe."""
