"""What a part of a pipeline gives, kept in files in the place of the work that makes it."""
