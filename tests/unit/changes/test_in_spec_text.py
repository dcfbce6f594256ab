"""A change in the text of a spec: the data that `apply_to_data` gives, and no line of another stage changed."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from unit.changes.styled import Writer, addresses, edit, op_at, spec

from pipeprof.pipelines.changes.chain import CannotChangeError, Chain, apply, chain_of
from pipeprof.pipelines.changes.edits import (
    InsertStage,
    MoveStage,
    NewStage,
    PipelineEdit,
    ReplaceStages,
    SetArgument,
    SetOption,
    VectoriseMap,
)
from pipeprof.pipelines.changes.in_spec import EditError, apply_to_data, changed_spec, find, same, value_at
from pipeprof.pipelines.changes.in_spec_text import apply_to_spec, apply_to_text
from pipeprof.pipelines.spec.load import load_spec
from pipeprof.pipelines.spec.yaml_text import read

RANDOM = st.integers(0, 1 << 32).map(Random)
EXAMPLES = Path(__file__).parents[3] / "examples"


def lines_of(text: str) -> list[str]:
    return text.splitlines(keepends=True)


def changed_lines(before: str, after: str) -> tuple[list[str], list[str]]:
    """The lines that go and those that come."""
    matcher = difflib.SequenceMatcher(None, lines_of(before), lines_of(after), autojunk=False)
    changes = [one[1:] for one in matcher.get_opcodes() if one[0] != "equal"]
    gone = [line for first, last, _, _ in changes for line in lines_of(before)[first:last]]
    come = [line for _, _, first, last in changes for line in lines_of(after)[first:last]]
    return gone, come


def notes(text: str) -> Counter[str]:
    return Counter(re.findall(r"# note \d+", text))


def chain_in(data: Any) -> Chain:
    """The chain of a spec, with what is no pipeline of the arguments."""
    made = chain_of((address, op_at(data, address)) for address in addresses(data))
    for address in addresses(data):
        line, index = made.find(address)
        given = value_at(data, (*find(data, address), op_at(data, address))) or {}
        line.calls[index].arguments = {name: value for name, value in given.items() if name not in PIPELINES}
    return made


PIPELINES = {"source", "stages", "on", "map_func", "dataset", "datasets"}


def assert_alike(wanted: Chain, found: Chain) -> None:
    assert [call.op for call in found.calls] == [call.op for call in wanted.calls]
    for one, other in zip(found.calls, wanted.calls, strict=True):
        # It has another function then.
        assert other.whole_batches or same(one.arguments, other.arguments)
        lines = ([line for line in call.inside.values() if line.stages or line.source.op] for call in (other, one))
        for pair in zip(*lines, strict=True):
            assert_alike(*pair)


@settings(max_examples=150, deadline=None)
@given(rng=RANDOM)
def test_the_chain_of_the_changed_text_is_the_changed_chain(rng: Random) -> None:
    data = spec(rng)
    text = Writer(rng).text(data)
    edits = [edit(rng, data) for _ in range(rng.choice((1, 1, 2, 3)))]
    kind = type(edits[0]).__name__
    try:
        wanted = apply(chain_in(data), *edits)
    except CannotChangeError:
        event(f"{kind} refused")
        with pytest.raises(EditError):
            apply_to_text(text, edits)
        return
    try:
        after = read(apply_to_text(text, edits)).data
    except EditError:
        event(f"{kind} refused by the spec")
        # The functions of its maps are not taken apart.
        assert any(isinstance(one, VectoriseMap) for one in edits)
        return
    event(f"{kind} made")
    assert same(after, apply_to_data(data, edits)), text
    assert_alike(wanted, chain_in(after))
    for path, value in wanted.options.items():
        assert value_at(after, ("options", *path.split("."))) == value


@given(rng=RANDOM)
def test_in_blocks_only_the_lines_of_a_change_differ(rng: Random) -> None:
    data = spec(rng)
    text = Writer(rng, flow_share=0.0).text(data)
    one = edit(rng, data, kinds=(InsertStage, SetArgument, MoveStage, SetOption))
    after = apply_to_text(text, [one])
    gone, come = changed_lines(text, after)
    if isinstance(one, MoveStage):
        # The last line may be one without a line end, before and after.
        assert sorted(re.split(r"\r?\n", text)) == sorted(re.split(r"\r?\n", after))
    elif isinstance(one, InsertStage):
        # A list that was not there, or was empty in brackets, is the one line that changes.
        assert not gone or (len(gone) == 1 and ("[]" in gone[0] or not gone[0].endswith("\n"))), (gone, come)
        assert notes(after) == notes(text)
    elif isinstance(one, SetOption):
        assert len(gone) <= 1
        assert notes(after) == notes(text)
    elif not isinstance(one.value, list):
        assert len(gone) <= 1 or "ops" in gone[0] or "name" in gone[0], (gone, come)
        # A chain of calls in a block goes with the comments in it.
        assert one.argument == "ops" or notes(after) == notes(text)


@pytest.mark.parametrize("path", sorted(EXAMPLES.rglob("*.yaml")), ids=lambda path: path.stem)
def test_stages_of_the_examples(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    stages = read(text).data.get("stages") or []
    last = f"stages.{len(stages) - 1}" if stages else "source"
    more = apply_to_text(text, [InsertStage("cache", after=last)])
    assert apply_to_text(more, [ReplaceStages((f"stages.{len(stages)}",))]) == text
    if stages:
        moved = apply_to_text(text, [MoveStage(last, op_at(read(text).data, last), "stages.0")])
        assert sorted(lines_of(moved)) == sorted(lines_of(text))
        assert not changed_lines(text, apply_to_text(text, [ReplaceStages(("stages.0",))]))[1]


SPEC = """\
version: 1
# where the images are
source:
  list_files: {file_pattern: 'a-*.jpg'}   # quoted

stages:
  # decode: much of the time
  - map:
      name: decode
      ops: [tf.io.read_file, tf.io.decode_jpeg]   # two calls
      # ops: [tf.io.decode_png]

  # order
  - shuffle: {buffer_size: 100}
  - interleave:
      source: {TFRecordDataset: {}}
      stages: [{repeat: {count: 2}}]
  - batch:
      batch_size: 32   # of the paper"""


def diff(text: str, *edits: PipelineEdit) -> str:
    """The changed lines, as `git diff -U0` shows them."""
    lines = difflib.unified_diff(lines_of(text), lines_of(apply_to_text(text, edits)), n=0)
    return "\n".join(line.rstrip("\n") for line in lines if not line.startswith(("---", "+++", "@@")))


LATE = """\
stages:
  # of the paper
  - map:
      ops:  # floats
        - tf.square
        - to_tuple: [null, null]
      num_parallel_calls: 2  # cores
  - batch: {batch_size: 2}
source: {range: {stop: 9}}
"""
ANEW = NewStage("range", {"stop": 9}), NewStage("map", {"python": "a:b"})
WRITTEN: dict[str, PipelineEdit] = {
    "a number, its comment kept": SetArgument("stages.3", "batch", "batch_size", 64),
    "a text in its quotes": SetArgument("source", "list_files", "file_pattern", "b-*.jpg"),
    "a new argument in a block": SetArgument("stages.0", "map", "num_parallel_calls", "AUTOTUNE"),
    "a new argument in braces": SetArgument("stages.1", "shuffle", "seed", 7),
    "a stage": InsertStage("prefetch", {"buffer_size": "AUTOTUNE"}, after="stages.0"),
    "a stage inside a function": InsertStage("take", {"count": 3}, after="stages.2.stages.0"),
    "a stage moves with the lines before it": MoveStage("stages.1", "shuffle", "stages.0"),
    "a stage goes with the lines before it": ReplaceStages(("stages.1",)),
    "a source and a stage": ReplaceStages(("source", "stages.0"), ANEW),
    "an option after a last line without a line end": SetOption("threading.private_threadpool_size", 16),
    "a function for whole batches keeps the comments around it": VectoriseMap("stages.0", "stages.1"),
}


def test_other_lines_stay(golden: Callable[[str, str], None]) -> None:
    texts = {label: LATE if isinstance(one, VectoriseMap) else SPEC for label, one in WRITTEN.items()}
    golden("changes/spec.txt", "\n".join(f"{label}\n{diff(texts[label], one)}\n" for label, one in WRITTEN.items()))


@pytest.mark.parametrize("empty", ["stages: []", "stages: []\n", "stages:\n", "stages: null  # none yet\n"])
def test_a_list_without_stages_stays_where_its_source_is_edited(empty: str) -> None:
    text = "source:\n  range:\n    stop: 3\n\n"
    after = apply_to_text(text + empty, [SetArgument("source", "range", "stop", 4)])
    assert after == text.replace("3", "4") + empty


def test_line_ends_and_the_mark_before_the_text_stay() -> None:
    text = "\ufeffsource: {range: {stop: 9}}\r\nstages:\r\n- batch: {batch_size: 3}\r\n"
    assert apply_to_text(text, [InsertStage("cache")]) == f"{text}- cache: {{}}\r\n"


ALIASES = """\
x-batch: &both {batch_size: 4}
source: {range: {stop: 9}}
stages:
  - batch: &inner
      <<: *both
  - unbatch: {}
  - batch: *inner
  - batch: *both
"""


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (SetArgument("stages.2", "batch", "batch_size", 3), r"alias \*inner \(line 7\)"),
        (SetArgument("stages.0", "batch", "batch_size", 3), r"anchor &inner \(line 5\), and an alias uses it too"),
        (MoveStage("stages.2", "batch", "stages.0"), "alias"),
    ],
)
def test_what_the_text_does_not_allow_is_refused(edit: PipelineEdit, words: str) -> None:
    with pytest.raises(EditError, match=words):
        apply_to_text(ALIASES, [edit])


def test_other_stages_than_the_aliased_ones_may_change() -> None:
    assert diff(ALIASES, InsertStage("cache", after="stages.1")) == "+  - cache: {}"
    assert diff(ALIASES, ReplaceStages(("stages.3",))) == "-  - batch: *both"
    merged = ALIASES.replace(" &inner", "").replace("*inner", "{}")
    assert diff(merged, SetArgument("stages.0", "batch", "batch_size", 3)) == "+      batch_size: 3"


FLAGGED = """\
version: 1
source: {range: {stop: 100}}
stages:
  - map: {name: double, ops: [tf.square]}
  - shuffle: {buffer_size: 10}
  # of this spec
  - batch: {batch_size: 4}
  - flat_map:
      source: {range: {stop: 2}}
      stages: [{repeat: {count: 2}}]
"""
SETS = ["stages.batch.batch_size=8", "stages.+={skip: {count: 1}}"]


@pytest.mark.parametrize(
    ("edit", "refused"),
    [
        (SetArgument("stages.1", "shuffle", "buffer_size", 8), False),
        (SetArgument("stages.2", "batch", "drop_remainder", value=True), False),
        (MoveStage("stages.3", "flat_map", "stages.1"), False),
        (InsertStage("take", {"count": 3}, after="stages.3.stages.0"), False),
        (SetOption("deterministic", value=False), False),
        (SetArgument("stages.2", "batch", "batch_size", 16), True),
        (InsertStage("prefetch", {"buffer_size": 2}), True),
        (ReplaceStages(("stages.2",)), True),
    ],
)
def test_with_flags_the_file_changes_where_they_leave_the_change_as_it_is(
    tmp_path: Path, edit: PipelineEdit, refused: bool
) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text(FLAGGED, encoding="utf-8")
    loaded = load_spec(path, SETS)
    if refused:
        with pytest.raises(EditError, match=r"--set changes the same: .*spec\.yaml"):
            apply_to_spec(loaded, [edit])
        return
    path.write_text(apply_to_spec(loaded, [edit]), encoding="utf-8")
    assert same(load_spec(path, SETS).data, changed_spec(loaded, [edit]).data)


def test_a_changed_spec_has_the_lines_of_its_file(tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text(FLAGGED, encoding="utf-8")
    edits = [InsertStage("cache", after="source"), SetArgument("stages.2", "batch", "batch_size", 5)]
    found = changed_spec(load_spec(path), edits)
    lines = [place.line for address in ("source", "stages.1", "stages.3") if (place := found.locate(address))]
    assert lines == [2, 4, 7]
    assert found.data["stages"][0] == {"cache": {}}
