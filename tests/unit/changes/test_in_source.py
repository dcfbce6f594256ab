"""Changes in the text of the user's Python: bytes at the recorded calls differ, and nothing else."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeprof.pipelines.changes.chain import CannotChangeError, ChainStage, apply, chain_of
from pipeprof.pipelines.changes.edits import (
    InsertStage,
    MoveStage,
    NewStage,
    PipelineEdit,
    ReplaceStages,
    SetArgument,
    SetEnvironment,
    SetOption,
    VectoriseMap,
)
from pipeprof.pipelines.changes.in_source import change_source
from pipeprof.pipelines.static.python_text import CannotChangeSourceError, PythonText, RecordedCall, TextSplice

HEAD = "import tensorflow as tf\n\n\ndef parse(x):\n    return x\n\n\n"
STATEMENTS = HEAD + (
    'def make(path="é"):\n    ds = tf.data.Dataset.range(9)  # numbers\n    ds = ds.map(parse)  # é slow\n\n'
    "    ds = ds.batch(4, drop_remainder=True)\n    return ds\n"
)
LINES = HEAD + (
    "def make():\n    return (\n        tf.data.Dataset.range(9)  # numbers\n        .map(\n"
    "            lambda x: x + 1,  # plus one\n        )\n        .batch(4)  # four\n    )\n"
)
JOINED = HEAD + (
    "def make():\n    ds = tf.data.Dataset.range(9) \\\n        .map(parse) \\\n        .batch(4)\n    return ds\n"
)
CHAINED = HEAD + (
    "def make():\n    ds = tf.data.Dataset.range(9)\n    ds = ds.map(parse).batch(4)  # both\n    return ds\n"
)
INLINE = HEAD + "def make():\n    return tf.data.Dataset.range(9).map(parse).batch(4)\n"
PARALLEL = SetArgument("stages.0", "map", "num_parallel_calls", "AUTOTUNE")
AHEAD = InsertStage("prefetch", {"buffer_size": "AUTOTUNE"}, "stages.1")
CACHE = InsertStage("cache", {}, "stages.0")
FIRST = MoveStage("stages.1", "batch", "stages.0")
ROWS = VectoriseMap("stages.0", "stages.1")
POOL = SetOption("threading.private_threadpool_size", 4)
SIZES = (("batch_size", 8), ("drop_remainder", False))


def recorded(method: ast.Attribute, file: str) -> RecordedCall:
    column = (method.end_col_offset or 0) - len(method.attr) + 1
    return RecordedCall(file, method.end_lineno or 0, column, method.attr)


def calls_in(text: str, *ops: str, file: str = "a.py") -> list[RecordedCall]:
    """The calls of methods with these names, in the order of the data."""
    found = [
        (node.end_lineno, node.end_col_offset, recorded(node.func, file))
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ops
    ]
    return [one for *_, one in sorted(found, key=lambda one: one[:2])]


def stages_in(text: str, *ops: str) -> dict[str, tuple[str, RecordedCall | None]]:
    """A source and stages, in the order in which their calls stand in a text."""
    calls = calls_in(text, *ops)
    addresses = ("source", *(f"stages.{number}" for number in range(len(calls))))
    return {address: (call.name, call) for address, call in zip(addresses, calls, strict=False)}


def changed_text(text: str, steps: Sequence[Sequence[PipelineEdit]], stages: Any = None, **given: Any) -> str:
    stages = stages or stages_in(text, "range", "map", "batch")
    return change_source({"a.py": text}, stages, steps, **given).texts.get("a.py", text)


def changed(text: str, *steps: Sequence[PipelineEdit], **given: Any) -> list[str]:
    """The lines that differ."""
    lines = difflib.unified_diff(text.splitlines(), changed_text(text, steps, **given).splitlines(), n=0)
    return [line for line in lines if line[:1] in "+-" and line[:3] not in {"+++", "---"}]


def refused(why: str) -> Any:
    return pytest.raises(CannotChangeSourceError, match=why)


WRITTEN: dict[str, tuple[str, list[PipelineEdit]]] = {
    "parallel calls and a prefetch between statements": (STATEMENTS, [PARALLEL, AHEAD]),
    "the same, a call on each line": (LINES, [PARALLEL, AHEAD]),
    "a prefetch and a cache, lines joined by backslashes": (JOINED, [AHEAD, CACHE]),
    "a cache and a prefetch in one line": (INLINE, [CACHE, InsertStage("prefetch", {"buffer_size": 2})]),
    "a statement that moves": (STATEMENTS, [FIRST]),
    "a function for whole batches": (LINES, [ROWS]),
    "a statement that goes": (STATEMENTS, [ReplaceStages(("stages.0",))]),
    "a statement whose two calls go": (CHAINED, [ReplaceStages(("stages.0", "stages.1"))]),
    "an option": (STATEMENTS, [POOL]),
    "two arguments": (STATEMENTS, [SetArgument("stages.1", "batch", *one) for one in SIZES]),
}


def test_a_change_is_written_in_the_style_of_its_call(golden: Callable[[str, str], None]) -> None:
    lines = [line for label, case in WRITTEN.items() for line in (label, *changed(*case), "")]
    golden("changes/source.txt", "\n".join(lines))


def test_a_line_stays_that_gets_a_call_or_that_a_block_needs() -> None:
    alone = CHAINED.replace("    ds = ds.map", "    if ds:\n        ds = ds.map")
    assert changed(alone, [ReplaceStages(("stages.0", "stages.1"))])[1] == "+        ds = ds  # both"
    file = PythonText("a.py", "ds = ds.map(f).batch(4)\n")
    file.splices = [TextSplice(7, 23, b""), TextSplice(23, 23, b".cache()")]
    file.drop_idle_lines()
    assert file.spliced() == "ds = ds.cache()\n"


def test_a_value_that_a_caller_gives_stays() -> None:
    text = HEAD + "def make(calls):\n    return numbers().map(parse, num_parallel_calls=calls).batch(4)\n"
    (mapped,) = calls_in(text, "map")
    with pytest.raises(CannotChangeSourceError, match="takes num_parallel_calls from the parameter calls: give that 8"):
        change_source(
            {"a.py": text},
            {"source": ("range", None), "stages.0": ("map", mapped)},
            [[SetArgument("stages.0", "map", "num_parallel_calls", 8)]],
        )


def test_what_goes_takes_along_what_it_has_inside() -> None:
    text = HEAD + "def make():\n    return names().interleave(lambda name: read(name).map(parse)).batch(4)\n"
    inner, outer, batch = calls_in(text, "map", "interleave", "batch")
    stages = {"source": ("range", None), "stages.0": ("interleave", outer), "stages.0.source": ("range", None)}
    stages |= {"stages.0.stages.0": ("map", inner), "stages.1": ("batch", batch)}
    gone, parallel = ReplaceStages(("stages.0",)), SetArgument("stages.1.stages.0", "map", "num_parallel_calls", 2)
    assert "return names().batch(4)\n" in changed_text(text, [[gone]], stages)
    found = changed_text(text, [[InsertStage("cache", {}, "source")], [parallel]], stages)
    assert "names().cache().interleave(lambda name: read(name).map(parse, num_parallel_calls=2)).batch(4)" in found


def test_options_that_the_file_has_get_another_value() -> None:
    own = "    options.threading.private_threadpool_size = "
    text = STATEMENTS.replace("    return ds\n", f"{own}2\n    return ds.with_options(options)\n")
    assert changed(text, [POOL]) == [f"-{own}2", f"+{own}4"]


def test_ends_of_lines_stay() -> None:
    text = STATEMENTS.replace("\n", "\r\n")
    assert "\n" not in changed_text(text, [[AHEAD]]).replace("\r\n", "")


def test_a_helper_of_another_module_is_changed_where_it_is() -> None:
    data = "import tensorflow as tf\n\ndef load(files):\n    return files.map(parse)\n"
    train = "import data\n\nds = data.load(names()).batch(2)\nfit(ds)\n"
    (mapped,), (batched,) = calls_in(data, "map", file="data.py"), calls_in(train, "batch", file="train.py")
    stages = {"source": ("range", None), "stages.0": ("map", mapped), "stages.1": ("batch", batched)}
    texts = {"data.py": data, "train.py": train}
    found = change_source(texts, stages, [[PARALLEL, CACHE, InsertStage("prefetch", {"buffer_size": 1})]])
    assert found.texts["data.py"].endswith(".map(parse, num_parallel_calls=tf.data.AUTOTUNE).cache()\n")
    assert "ds = data.load(names()).batch(2).prefetch(1)\n" in found.texts["train.py"]
    assert [line for line in found.diff.splitlines() if line.startswith("---")] == ["--- a/data.py", "--- a/train.py"]
    with refused(r"map in line 4 of data\.py is in another function"):
        change_source(texts, stages, [[ROWS]])


LOOP = HEAD + "parts = []\nfor name in NAMES:\n    parts.append(tf.data.Dataset.range(9).map(parse).batch(4))\n"
TWO = HEAD + "ds = tf.data.Dataset.range(9).map(parse)\ntrain = ds.batch(4)\ntest = ds.take(3)\n"
TWICE = HEAD + "def make(n):\n    return tf.data.Dataset.range(n).map(parse).batch(4)\n\n\na, b = make(1), make(2)\n"


@pytest.mark.parametrize("text", [LOOP, TWICE], ids=["a loop", "a function"])
def test_a_call_that_runs_again_gets_what_changes_no_element(text: str) -> None:
    assert ".map(parse, num_parallel_calls=tf.data.AUTOTUNE).batch(4).prefetch(" in changed(text, [PARALLEL, AHEAD])[1]
    for edit in (CACHE, FIRST, ROWS, SetArgument("stages.0", "map", "deterministic", False)):
        with refused(r"(map|batch|range) in line \d+ of a\.py may be a part of an"):
            changed(text, [edit])


def test_what_another_dataset_is_made_of_is_left_as_it_is() -> None:
    assert changed(TWO, [CACHE])[1] == "+train = ds.cache().batch(4)"
    # Each part of a change where it does no harm.
    assert changed(TWO, [CACHE, PARALLEL])[2:] == [
        "+ds = tf.data.Dataset.range(9).map(parse, num_parallel_calls=tf.data.AUTOTUNE)",
        "+train = ds.cache().batch(4)",
    ]
    with refused(r"map in line 8 of a\.py may be a part of another dataset as well"):
        changed(TWO, [SetArgument("stages.0", "map", "deterministic", False)])


def test_the_function_that_is_measured_may_make_other_datasets() -> None:
    assert changed(TWICE, [CACHE], function="make")


@pytest.mark.parametrize(
    ("text", "edit", "why"),
    [
        (INLINE, SetEnvironment("A", "1"), "the changes are those of the environment alone"),
        (INLINE, ReplaceStages(("stages.0",), (NewStage("map"),)), "ReplaceStages needs code"),
        (INLINE, SetArgument("stages.0", "batch", "n", 1), r"stages\.0: it is map, expected batch"),
        (INLINE.replace("map(parse)", "map(*parse)"), PARALLEL, "map in line 9 of a.py are not written one by one"),
        (INLINE.replace("map(parse)", "map(parse, 4)"), PARALLEL, "map in line 9 of a.py have no names"),
        (INLINE.replace("as tf", "as t, numpy").replace("tensorflow", "jax"), PARALLEL, "does not import tensorflow"),
        (INLINE, SetArgument("stages.1", "batch", "batch_size", [1]), r"the value \[1\] cannot be written"),
    ],
)
def test_what_has_no_place_is_said_in_one_sentence(text: str, edit: PipelineEdit, why: str) -> None:
    with refused(why):
        changed(text, [edit])


@pytest.mark.parametrize(
    ("texts", "why"),
    [
        ({"a.py": INLINE.replace(".map(parse)", "")}, r"line 9 of a\.py does not show the call of map"),
        ({"b.py": INLINE}, r"no call in your files makes stages\.0"),
        ({"a.py": "def"}, r"a\.py cannot be read as Python"),
    ],
)
def test_calls_that_the_text_does_not_show(texts: dict[str, str], why: str) -> None:
    with refused(why):
        change_source(texts, stages_in(INLINE, "range", "map", "batch"), [[PARALLEL]])


def test_a_call_of_a_library_that_makes_several_stages() -> None:
    text = "def make():\n    return numbers().bucket_by_sequence_length(size, [9], [2, 2])\n"
    (call,) = calls_in(text, "bucket_by_sequence_length")
    made = {"source": ("range", None), "stages.0": ("group_by_window", call), "stages.0.source": ("range", call)}
    assert "[2, 2]).cache()" in changed_text(text, [[CACHE]], made)
    with refused("group_by_window is made inside of bucket_by_sequence_length in"):
        changed_text(text, [[SetArgument("stages.0", "group_by_window", "window_size", 1)]], made)


def test_sides_that_one_call_makes_change_together() -> None:
    sides = [f"source.inputs.{side}.stages.0" for side in (0, 1)]
    zipped = {"source": ("zip", None), **dict.fromkeys(sides, ("map", calls_in(INLINE, "map")[0]))}
    each = [SetArgument(side, "map", "num_parallel_calls", 2) for side in sides]
    assert "num_parallel_calls=2" in changed_text(INLINE, [each], zipped)
    with refused(r"map in line 9 of a\.py makes several stages"):
        changed_text(INLINE, [each[:1]], zipped)


class _Seen:
    """A dataset that knows the calls that made it."""

    def __init__(self, calls: tuple[Any, ...] = ()) -> None:
        self.calls = calls

    def __getattr__(self, op: str) -> Any:
        return lambda *places, **names: _Seen((*self.calls, (op, places, names)))


def made_by(text: str) -> tuple[Any, ...]:
    """The calls that the function of a text makes."""
    scope = {"tf": SimpleNamespace(data=SimpleNamespace(Dataset=_Seen(), AUTOTUNE=-1))}
    exec(text.replace("import tensorflow as tf", ""), scope)
    return scope["make"]().calls  # type: ignore[operator]


def changed_calls(calls: Sequence[Any], edits: Sequence[PipelineEdit]) -> tuple[Any, ...]:
    """The same edits on calls."""
    addresses = ["source", *(f"stages.{number}" for number in range(len(calls) - 1))]
    known = dict(zip(addresses, calls, strict=True))
    chain = apply(chain_of((address, op) for address, (op, _, _) in known.items()), *edits)

    def call_of(stage: ChainStage) -> Any:
        if stage.address is None:
            return stage.op, tuple(stage.arguments.values()), {}
        op, places, names = known[stage.address]
        return op, places, {**names, **stage.arguments}

    return tuple(map(call_of, chain.calls))


OPS = {"map": "'parse'", "batch": "4", "shuffle": "9, seed=3", "take": "2", "repeat": ""}


def written(ops: Sequence[str], style: str) -> str:
    calls = [f".{op}({OPS[op]})" for op in ops]
    source = "tf.data.Dataset.range(9)"
    body = {
        "statements": [f"ds = {source}", *(f"ds = ds{call}  # é {at}" for at, call in enumerate(calls)), "return ds"],
        "inline": [f"return {source}{''.join(calls)}"],
        "joined": " \\\n        ".join([f"return {source}", *calls]).splitlines(),
        "lines": [f"return ({source}", *(f"    {call}  # é" for call in calls), ")"],
    }
    return HEAD + "def make():\n" + "".join(f"    {line}\n" for line in body[style]) + "\n\nmake()\n"


@st.composite
def edits_of(draw: st.DrawFn, ops: Sequence[str]) -> list[PipelineEdit]:
    at = st.integers(0, len(ops) - 1)

    def one() -> PipelineEdit:
        place, other = draw(at), draw(at)
        stage = f"stages.{place}"
        match draw(st.sampled_from(("set", "insert", "first", "move", "remove"))):
            case "set":
                return SetArgument(stage, ops[place], "name", draw(st.sampled_from(("a", "b"))))
            case "insert":
                return InsertStage("prefetch", {"buffer_size": draw(st.integers(1, 3))}, stage)
            case "first":
                return InsertStage("cache", {}, "source")
            case "move":
                return MoveStage(stage, ops[place], f"stages.{other}")
        return ReplaceStages((stage,))

    return [one() for _ in range(draw(st.integers(1, 4)))]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.sampled_from(sorted(OPS)), min_size=1, max_size=5),
    st.sampled_from(("statements", "lines", "joined", "inline")),
    st.data(),
)
def test_what_is_written_makes_the_changed_calls(ops: list[str], style: str, data: st.DataObject) -> None:
    text, edits = written(ops, style), data.draw(edits_of(ops))
    try:
        wanted = changed_calls(made_by(text), edits)
    except CannotChangeError:
        with pytest.raises(CannotChangeSourceError):
            changed_text(text, [edits], stages_in(text, "range", *OPS))
        return
    after = changed_text(text, [edits], stages_in(text, "range", *OPS))
    assert made_by(after) == wanted
    # What is around the function stays byte for byte, and so does each call that is in no change.
    assert after.startswith(HEAD + "def make():\n")
    assert after.endswith("\n\nmake()\n")
