"""What differs between two specs."""

import copy

from hypothesis import given
from hypothesis import strategies as st

from pipeprof.profiles.judge.changes import spec_changes

SPEC = {
    "version": 1,
    "name": "flowers",
    "source": {"range": {"stop": 100}},
    "stages": [
        {"map": {"name": "decode", "num_parallel_calls": 1}},
        {"shuffle": {"buffer_size": 10}},
        {"batch": {"batch_size": 8}},
    ],
    "options": {"threading": {"private_threadpool_size": 2}},
}


def changed(**values):
    return {**copy.deepcopy(SPEC), **values}


def test_the_same_spec_has_no_changes():
    assert spec_changes(SPEC, copy.deepcopy(SPEC)) == []
    assert spec_changes(SPEC, changed(name="other", description="x", budgets={"step_ms": "5%"})) == []


def test_each_value_has_its_path():
    other = changed(source={"range": {"stop": 200}}, options={})
    other["stages"][0]["map"]["num_parallel_calls"] = "AUTOTUNE"
    del other["stages"][1]["shuffle"]["buffer_size"]
    assert spec_changes(SPEC, other) == [
        "source.range.stop: 100 → 200",
        'stages.decode.num_parallel_calls: 1 → "AUTOTUNE"',
        "stages.shuffle.buffer_size: 10 → not there",
        "options.threading.private_threadpool_size: 2 → not there",
        "options: not there → {}",
    ]


def test_stages_that_come_go_and_move():
    other = changed()
    decode, shuffle, batch = other["stages"]
    other["stages"] = [shuffle, decode, batch, {"prefetch": {"buffer_size": 2}}]
    assert spec_changes(SPEC, other) == [
        'stages.prefetch: not there → "prefetch"',
        "stages.prefetch.buffer_size: not there → 2",
        "order of the stages: decode, shuffle, batch → shuffle, decode, batch",
    ]
    assert spec_changes(SPEC, changed(stages=[decode, batch]))[0] == 'stages.shuffle: "shuffle" → not there'


def test_several_stages_of_one_op_are_numbered():
    two = changed(stages=[{"batch": {"batch_size": 2}}, {"batch": {"batch_size": 4}}])
    other = copy.deepcopy(two)
    other["stages"][1]["batch"]["batch_size"] = 8
    assert spec_changes(two, other) == ["stages.batch#2.batch_size: 4 → 8"]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["source", "stages", "options", "step"]), VALUES))
def test_any_data_is_compared(data):
    assert spec_changes(data, copy.deepcopy(data)) == []
    spec_changes(data, SPEC)
