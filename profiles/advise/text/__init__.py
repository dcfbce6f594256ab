"""What rules about the text of a file have in common."""
