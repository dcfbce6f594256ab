"""A stage's time taken apart: from the model and the trace to the rows of the document."""
