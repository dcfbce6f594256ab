"""What a part of a pipeline gives, written into files."""
