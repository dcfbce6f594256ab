"""Reading of XPlane files, the traces of TensorFlow and JAX, with numpy."""
