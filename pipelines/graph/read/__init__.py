"""Reading graphs into records."""
