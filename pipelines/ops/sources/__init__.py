"""Sources: one class each."""
