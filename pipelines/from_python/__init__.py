"""From a user's function to a spec."""
