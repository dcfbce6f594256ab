"""The parent: starts workers, watches them, builds the profile."""
