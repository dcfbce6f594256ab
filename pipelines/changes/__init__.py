"""Changes of a pipeline, which is a list of calls: a spec has them as data, Python as `tf.data` was called.

`chain` says what a change does to the list, for all of them; other modules say what the list is and how it is built
again.
"""
