"""Characters, numbers, tables and colours of text output, and the format-neutral blocks that reports consist of."""
