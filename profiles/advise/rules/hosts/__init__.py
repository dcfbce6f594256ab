"""Rules about data that several hosts divide."""
