"""Keras' fit, epochs of sixty steps."""

from log import batches
from model import compiled

compiled().fit(batches(60), epochs=800, verbose=0)
