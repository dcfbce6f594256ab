"""Durations against numpy's own answers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeprof.profiles.worker.steps.statistics import median_ms


@given(st.lists(st.integers(-(10**12), 10**12), min_size=1, max_size=50))
def test_the_median_is_numpys(values):
    found = np.asarray(values, dtype=np.int64)
    assert median_ms(found) == pytest.approx(float(np.median(found)) / 1e6)
