"""Numbers in sentences."""

import math

import pytest

from pipeprof.profiles.wording import percent


@pytest.mark.parametrize("share", [math.inf, -math.inf, math.nan, 1e308, -1e308])
def test_a_share_without_a_finite_percentage_is_not_known(share):
    assert percent(share) == "n/a"


def test_a_large_share_is_written_out():
    assert percent(12.5) == "1250 %"
