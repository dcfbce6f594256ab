"""Arrays that a user's other file imports."""

import numpy as np

IMPORTED = np.ones((1_000, 250), np.float32)
OF_MODULE = np.ones((1_000, 250), np.float32)


class Tables:
    """A class with a table."""

    of_class = np.ones((1_000, 250), np.float32)
