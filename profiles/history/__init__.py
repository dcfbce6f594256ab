"""What gates have measured, kept over time: in a file or in git notes, and what it says of a drift."""
