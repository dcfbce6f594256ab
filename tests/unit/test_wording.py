"""Numbers in sentences."""

import math

import pytest

from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.wording import percent, with_name


@pytest.mark.parametrize("share", [math.inf, -math.inf, math.nan, 1e308, -1e308])
def test_a_share_without_a_finite_percentage_is_not_known(share):
    assert percent(share) == "n/a"


def test_a_large_share_is_written_out():
    assert percent(12.5) == "1250 %"


def test_a_reason_has_the_name_of_its_stage() -> None:
    stages = [Stage(id="stages.0", origin="written", op="map", name="decode")]
    assert with_name("stages.0: it changes a variable", stages) == "decode: it changes a variable"
    assert with_name("stages.1: it changes a variable", stages) == "stages.1: it changes a variable"
    assert with_name("the data set ended", stages) == "the data set ended"
