"""Laying one spec over another."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeprof.pipelines.spec.compose.files import merge
from pipeprof.pipelines.spec.yaml.reader import read
from pipeprof.pipelines.spec.yaml.spans import SpecProblem
from pipeprof.pipelines.spec.yaml.tree import flatten, grow
from pipeprof.pipelines.spec.yaml.writer import flow

STAGES = "[{map: {name: decode, ops: [tf.abs]}}, {shuffle: {buffer_size: 5}}, {batch: {batch_size: 2}}, {cache: }]"


def merged(lower: str, upper: str) -> tuple[Any, list[SpecProblem]]:
    root = grow(read(lower))
    problems = merge(root, grow(read(upper, file=1)))
    data, places = flatten(root)
    assert all(address in places for address in ((), *((key,) for key in data)))
    return data, problems


@pytest.mark.parametrize(
    ("lower", "upper", "result"),
    [
        ("{a: {b: 1, c: 2}}", "{a: {b: 3, d: 4}}", {"a": {"b": 3, "c": 2, "d": 4}}),
        ("{a: {b: 1, c: 2}}", "{a: {b: }}", {"a": {"c": 2}}),
        ("{a: {b: 1}}", "{a: }", {}),
        ("{a: 1}", "{b: }", {"a": 1, "b": None}),
        ("{a: [1, 2]}", "{a: [3]}", {"a": [3]}),
        ("{a: [1, 2]}", "{a: {b: 3}}", {"a": {"b": 3}}),
        ("{a: {b: 1}}", "{a: 3}", {"a": 3}),
        ("{step: {simulate: {every: {1000: 4ms, 10: 1ms}}}}", "{step: {simulate: {every: {'1000': 5ms}}}}",
         {"step": {"simulate": {"every": {1000: "5ms", 10: "1ms"}}}}),
        # What holds one thing of several kinds is another thing when the kind is another.
        ("{source: {range: {stop: 3}}}", "{source: {range: {start: 1}}}",
         {"source": {"range": {"stop": 3, "start": 1}}}),
        ("{source: {range: {stop: 3}}}", "{source: {list_files: {file_pattern: a}}}",
         {"source": {"list_files": {"file_pattern": "a"}}}),
        ("{source: {range: {stop: 3}}}", "{source: {range: }}", {"source": {"range": {"stop": 3}}}),
        ("{data: {a: {image_folder: {count: 1}}}}", "{data: {a: {tfrecord: {count: 2}}, b: {c: {}}}}",
         {"data": {"a": {"tfrecord": {"count": 2}}, "b": {"c": {}}}}),
        ("{step: {simulate: 5ms, dispatch: 2}}", "{step: {python: 'f.py:f'}}",
         {"step": {"dispatch": 2, "python": "f.py:f"}}),
        ("{x-t: {npy: a.npy, mmap_mode: r}}", "{x-t: {array: {shape: [2]}}}", {"x-t": {"array": {"shape": [2]}}}),
        ("{x-t: {npy: a.npy}}", "{x-t: {npy: b.npy, mmap_mode: r}}", {"x-t": {"npy": "b.npy", "mmap_mode": "r"}}),
        ("{x-t: {npy: {a: 1}, label: 2}}", "{x-t: {csv: 3}}", {"x-t": {"npy": {"a": 1}, "label": 2, "csv": 3}}),
        ("{x-f: {FixedLenFeature: {shape: []}}}", "{x-f: {VarLenFeature: {dtype: int64}}}",
         {"x-f": {"VarLenFeature": {"dtype": "int64"}}}),
    ],
)  # fmt: skip
def test_merging(lower: str, upper: str, result: object) -> None:
    assert merged(lower, upper) == (result, [])


@pytest.mark.parametrize(
    ("upper", "result"),
    [
        ("[]", "[decode, shuffle, batch, cache]"),
        ("[{map: {name: decode, num_parallel_calls: 4}}]", {0: {"map": {"name": "decode", "ops": ["tf.abs"],
                                                                       "num_parallel_calls": 4}}}),
        ("[{map: {name: decode, python: 'f.py:f'}}]", {0: {"map": {"name": "decode", "python": "f.py:f"}}}),
        ("[{filter: {name: decode, ops: [tf.abs]}}]", {0: {"filter": {"name": "decode", "ops": ["tf.abs"]}}}),
        ("[{take: {count: 1}}, {skip: }]", {4: {"take": {"count": 1}}, 5: {"skip": None}}),
        ("{decode: {num_parallel_calls: 4, ops: }}", {0: {"map": {"name": "decode", "num_parallel_calls": 4}}}),
        ("{decode: {map: {num_parallel_calls: 4}}}", {0: {"map": {"name": "decode", "ops": ["tf.abs"],
                                                                 "num_parallel_calls": 4}}}),
        ("{batch: {batch_size: 9}, cache: {filename: a}, x-note: 1}", {2: {"batch": {"batch_size": 9}},
                                                                      3: {"cache": {"filename": "a"}}}),
        ("{shuffle: , map: , batch: {batch_size: 1}}", [{"batch": {"batch_size": 1}}, {"cache": None}]),
    ],
)  # fmt: skip
def test_stages(upper: str, result: Any) -> None:
    before = read(STAGES).data
    after, problems = merged(f"{{stages: {STAGES}}}", f"{{stages: {upper}}}")
    assert problems == []
    if isinstance(result, list):
        assert after["stages"] == result
        return
    expected = copy.deepcopy(before)
    for index, stage in result.items() if isinstance(result, dict) else ():
        expected[index : index + 1] = [stage]
    assert after["stages"] == expected


@pytest.mark.parametrize(
    ("upper", "code", "suggestion"),
    [
        ("{dcode: {name: x}}", "unknown-stage", "decode"),
        ("{0: {name: x}}", "unknown-stage", None),
        ("{take: {count: 1}}", "ambiguous", None),
        ("[{map: {name: decode}}, {map: {name: decode}}]", "duplicate-name", None),
    ],
)
def test_stages_that_are_not_there(upper: str, code: str, suggestion: str | None) -> None:
    lower = f"{{stages: {STAGES[:-1]}, {{take: {{count: 1}}}}, {{take: {{count: 2}}}}]}}"
    after, problems = merged(lower, f"{{stages: {upper}}}")
    assert [(problem.code, problem.suggestion) for problem in problems] == [(code, suggestion)]
    assert problems[0].span is not None
    assert problems[0].span.file == 1
    assert after == read(lower).data


def test_nested_stages_merge_by_name_too() -> None:
    lower = "{stages: [{interleave: {name: i, source: {range: {stop: 1}}, stages: [{take: {name: t, count: 1}}]}}]}"
    upper = "{stages: {i: {stages: {t: {count: 2}}}}}"
    assert merged(lower, upper)[0]["stages"][0]["interleave"]["stages"] == [{"take": {"name": "t", "count": 2}}]


def test_lists_called_stages_that_hold_no_stages_are_replaced() -> None:
    assert merged("{x-a: {stages: [1, 2]}}", "{x-a: {stages: [3]}}")[0] == {"x-a": {"stages": [3]}}


DATA = st.recursive(
    st.booleans() | st.integers() | st.text("ab"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", min_size=1), inner, max_size=3),
)
MAPPINGS = st.dictionaries(st.text("abc", min_size=1), DATA, max_size=4)


@given(lower=MAPPINGS, upper=MAPPINGS)
def test_what_is_laid_over_twice_is_laid_over_once(lower: dict[str, Any], upper: dict[str, Any]) -> None:
    once, problems = merged(flow(lower) if lower else "{x: 1}", flow(upper) if upper else "{y: 1}")
    assert problems == []
    assert merged(flow(once), flow(upper) if upper else "{y: 1}")[0] == once
    assert merged(flow(once), flow(once))[0] == once
