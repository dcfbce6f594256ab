"""The trace: capture, reading, attribution to stages."""
