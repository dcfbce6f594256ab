"""Charts as SVG, drawn by pure functions: numbers and words in, markup out, no document and no font measured."""
