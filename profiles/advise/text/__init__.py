"""Changes as text: in one line, as diffs and as lines to write; and what rules about the text of a file share."""
