"""A map's function on whole batches whose rows have different lengths: the words of lines, the values of records."""
