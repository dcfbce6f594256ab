"""Rules on speed."""
