"""What is written as YAML is read back to the same data."""

import math

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pipeprof.pipelines.spec.yaml_text import read
from pipeprof.pipelines.spec.yaml_writer import block_lines, flow

SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=40)
    | st.sampled_from(["1e3", "0x10", "1_000", "null", "~", "a: b", "a #b", "<<", "- a", "%x", "...", "---", "=", "${"])
    | st.lists(st.text("abc:#-.\"'", min_size=1, max_size=12), min_size=8, max_size=30).map(" ".join)
)  # fmt: skip
KEYS = st.text(min_size=1, max_size=8) | st.integers(0, 2000)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    notes=st.dictionaries(
        KEYS,
        st.recursive(
            SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=10
        ),
        max_size=4,
    )
)
@example(notes={"a": [-math.inf, int("9" * 300), "20ms", "a\u2028b\x7f\U000e0001"]})
def test_any_data_written_is_read_back(notes):
    document = read(flow(notes))
    if document.problems:
        # Two keys that are written alike, or characters that no spec may hold.
        assert all(problem.code in {"duplicate-key", "control-character", "syntax"} for problem in document.problems)
        return
    block = "\n".join(block_lines({"a": notes}, 0))
    assert document.data == read(block).data["a"] == notes
