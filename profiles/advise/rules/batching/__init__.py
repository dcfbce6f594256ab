"""Rules about work that is done element by element and could be done for many at once."""
