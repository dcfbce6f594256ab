"""Workers as copies of a process that has imported TensorFlow: the process, and what a copy lacks."""
