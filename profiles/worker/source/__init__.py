"""The graph of a user's function, as its file is or with another text."""
