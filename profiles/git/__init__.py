"""Git, as data: the tree of a ref, and whether a work tree has changes; no code of a checkout runs."""
