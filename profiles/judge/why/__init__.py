"""Which differences of two pipelines make one slower: parts, the search for them, their shares."""
