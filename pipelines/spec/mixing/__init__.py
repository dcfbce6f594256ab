"""Pipelines between two specs: their difference in parts, and the data of one spec with some of them."""
