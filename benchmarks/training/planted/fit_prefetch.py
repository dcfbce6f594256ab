"""Keras' fit with batches of 30 ms that are prefetched."""

from log import batches
from model import compiled

compiled().fit(batches(60, seconds=0.030).prefetch(2), epochs=800, verbose=0)
