"""What could stand in place of a function of the user's: the same for many elements, or in TensorFlow's ops."""
