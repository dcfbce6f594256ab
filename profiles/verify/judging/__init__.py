"""What an edit is after it was tried: what was measured, its statistics, its data, the decision."""
