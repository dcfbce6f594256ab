"""Keras' fit with validation after each epoch."""

from log import OTHER, batches
from model import compiled

compiled().fit(batches(60), validation_data=batches(10, kind=OTHER), epochs=80, verbose=0)
