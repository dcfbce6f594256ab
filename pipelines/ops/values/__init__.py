"""Kinds of values that arguments take: arrays, features, structures, options, units."""
