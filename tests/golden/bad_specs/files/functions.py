"""Functions that bad specs name."""


def numbers():
    yield from range(3)


def double(x):
    return 2 * x
