"""Edits applied to the text of a spec: the data that `apply_to_data` gives, and no other line changed."""

from __future__ import annotations

import contextlib
import difflib
import re
from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from unit.spec.styled import Writer, addresses, edit, spec

from pipeprof.pipelines.edits.edits import (
    InsertStage,
    MoveFilter,
    MoveStage,
    NewStage,
    PipelineEdit,
    ReplaceStages,
    SetArgument,
    SetOption,
    VectoriseMap,
)
from pipeprof.pipelines.spec.edits.apply_data import apply_to_data
from pipeprof.pipelines.spec.edits.apply_files import apply_to_text
from pipeprof.pipelines.spec.edits.places import EditError, same
from pipeprof.pipelines.spec.yaml.reader import read

RANDOM = st.integers(0, 1 << 32).map(Random)
MANY = settings(deadline=None)


def written(rng: Random, **style: float) -> tuple[dict[str, Any], str]:
    data = spec(rng)
    text = Writer(rng, **style).text(data)
    document = read(text)
    assert not document.problems, (document.problems, text)
    assert same(document.data, data), text
    return document.data, text


def lines_of(text: str) -> list[str]:
    return text.splitlines(keepends=True)


def changed(before: str, after: str) -> tuple[list[str], list[str]]:
    """The lines that go and those that come."""
    gone, come = [], []
    matcher = difflib.SequenceMatcher(None, lines_of(before), lines_of(after), autojunk=False)
    for tag, first, last, start, stop in matcher.get_opcodes():
        if tag != "equal":
            gone += lines_of(before)[first:last]
            come += lines_of(after)[start:stop]
    return gone, come


def notes(text: str) -> Counter[str]:
    return Counter(re.findall(r"# note \d+", text))


def applied(text: str, edits: Sequence[PipelineEdit]) -> str | None:
    """The text afterwards; ``None`` where comments between items in brackets allow no change."""
    try:
        return apply_to_text(text, edits)
    except EditError as error:
        if "between the items in brackets" in str(error):
            return None
        raise


@MANY
@given(rng=RANDOM)
def test_the_text_says_what_the_data_says(rng: Random) -> None:
    data, text = written(rng)
    edits: list[PipelineEdit] = []
    for _ in range(rng.choice((1, 1, 2, 3))):
        edits.append(edit(rng, data))
    try:
        wanted = apply_to_data(data, edits)
    except EditError:
        return
    result = applied(text, edits)
    if result is None:
        return
    assert same(read(result).data, wanted), text
    if not any(isinstance(one, ReplaceStages) for one in edits) and not any(
        isinstance(one, SetArgument) and one.argument == "ops" for one in edits
    ):
        assert notes(result) == notes(text)


@MANY
@given(rng=RANDOM)
def test_what_was_inserted_can_be_taken_out_again(rng: Random) -> None:
    data, text = written(rng)
    one = edit(rng, data, kinds=(InsertStage,))
    # A list that is empty is the same as none, and none is left.
    assume("stages: []" not in text and "stages: [ ]" not in text)
    more = applied(text, [one])
    if more is None:
        return
    added = [address for address in addresses(read(more).data) if _is_new(address, one, data)]
    assert len(added) == 1
    assert apply_to_text(more, [ReplaceStages((added[0],))]) == text


def _is_new(address: str, one: InsertStage, data: dict[str, Any]) -> bool:
    if one.after is None:
        return address == f"stages.{len(data.get('stages') or [])}"
    head, _, last = one.after.rpartition(".")
    if last == "source":
        return address == (f"{head}.stages.0" if head else "stages.0")
    return address == f"{head}.{int(last) + 1}"


@MANY
@given(rng=RANDOM)
def test_in_blocks_only_the_lines_of_an_edit_change(rng: Random) -> None:
    data, text = written(rng, flow_share=0.0)
    one = edit(rng, data, kinds=(InsertStage, SetArgument, MoveStage, SetOption))
    after = apply_to_text(text, [one])
    gone, come = changed(text, after)
    if isinstance(one, MoveStage):
        # The last line may be one without a line end, before and after.
        assert sorted(re.split(r"\r?\n", text)) == sorted(re.split(r"\r?\n", after))
    elif isinstance(one, InsertStage):
        # A list that was not there, or was empty in brackets, is the one line that changes.
        assert not gone or (len(gone) == 1 and ("[]" in gone[0] or not gone[0].endswith("\n"))), (gone, come)
    elif isinstance(one, SetOption):
        assert len(gone) <= 1
        assert len(come) <= 2
    elif not isinstance(one.value, list):
        assert len(gone) <= 1 or "ops" in gone[0] or "name" in gone[0], (gone, come)


@pytest.mark.parametrize("empty", ["stages: []", "stages: []\n", "stages:\n", "stages: null  # none yet\n"])
def test_a_list_without_stages_stays_where_its_source_is_edited(empty: str) -> None:
    text = "source:\n  range:\n    stop: 3\n\n"
    after = apply_to_text(text + empty, [SetArgument("source", "range", "stop", 4)])
    assert after == text.replace("3", "4") + empty


@MANY
@given(rng=RANDOM)
def test_edits_leave_the_data_they_are_given_alone(rng: Random) -> None:
    data, text = written(rng)
    with contextlib.suppress(EditError):
        apply_to_data(data, [edit(rng, data) for _ in range(2)])
    assert same(data, read(text).data)


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


@pytest.mark.parametrize(
    ("edit", "lines"),
    [
        pytest.param(
            SetArgument("stages.3", "batch", "batch_size", 64),
            "-      batch_size: 32   # of the paper\n+      batch_size: 64   # of the paper",
            id="a number, its comment kept",
        ),
        pytest.param(
            SetArgument("source", "list_files", "file_pattern", "b-*.jpg"),
            "-  list_files: {file_pattern: 'a-*.jpg'}   # quoted\n+  list_files: {file_pattern: 'b-*.jpg'}   # quoted",
            id="a text in its quotes",
        ),
        pytest.param(
            SetArgument("stages.0", "map", "num_parallel_calls", "AUTOTUNE"),
            "+      num_parallel_calls: AUTOTUNE",
            id="a new argument in a block",
        ),
        pytest.param(
            SetArgument("stages.1", "shuffle", "seed", 7),
            "-  - shuffle: {buffer_size: 100}\n+  - shuffle: {buffer_size: 100, seed: 7}",
            id="a new argument in braces",
        ),
        pytest.param(
            InsertStage("prefetch", {"buffer_size": "AUTOTUNE"}, after="stages.0"),
            "+  - prefetch: {buffer_size: AUTOTUNE}",
            id="a stage",
        ),
        pytest.param(
            InsertStage("take", {"count": 3}, after="stages.2.stages.0"),
            "-      stages: [{repeat: {count: 2}}]\n+      stages: [{repeat: {count: 2}}, {take: {count: 3}}]",
            id="a stage inside a function",
        ),
        pytest.param(
            MoveStage("stages.1", "shuffle", "stages.0"),
            "+  # order\n+  - shuffle: {buffer_size: 100}\n-  # order\n-  - shuffle: {buffer_size: 100}",
            id="a stage moves with its comment",
        ),
        pytest.param(
            ReplaceStages(("stages.1",)),
            "-  # order\n-  - shuffle: {buffer_size: 100}",
            id="a stage goes with its comment",
        ),
        pytest.param(
            ReplaceStages(("source", "stages.0"), (NewStage("range", {"stop": 9}), NewStage("map", {"python": "a:b"}))),
            "-  list_files: {file_pattern: 'a-*.jpg'}   # quoted\n+  range: {stop: 9}\n"
            "-      name: decode\n-      ops: [tf.io.read_file, tf.io.decode_jpeg]   # two calls\n"
            '+      python: "a:b"',
            id="a source and a stage",
        ),
        pytest.param(
            SetOption("threading.private_threadpool_size", 16),
            "-      batch_size: 32   # of the paper\n+      batch_size: 32   # of the paper\n"
            "+options: {threading: {private_threadpool_size: 16}}",
            id="an option after a last line without a line end",
        ),
    ],
)
def test_other_lines_stay(edit: PipelineEdit, lines: str) -> None:
    assert diff(SPEC, edit) == lines


def test_a_vectorised_map_goes_after_its_batch() -> None:
    text = "source: {range: {stop: 9}}\nstages:\n  - map: {ops: [tf.square]}   # one\n  - batch: {batch_size: 3}\n"
    assert apply_to_text(text, [VectoriseMap("stages.0", "stages.1")]).splitlines()[2:] == [
        "  - batch: {batch_size: 3}",
        "  - map: {ops: [{tf.vectorized_map: {fn: [tf.square]}}]}   # one",
    ]


COMMENTED = """\
source: {range: {stop: 9}}
stages:
  # of the paper
  - map:
      name: scale
      ops:
        # floats first
        - tf.cast: {dtype: float32}  # from integers

        - tf.multiply:
            y: 2.0  # twice
          # the end
  - batch: {batch_size: 3}
"""


def test_a_vectorised_map_keeps_the_comments_in_its_function() -> None:
    found = apply_to_text(COMMENTED, [VectoriseMap("stages.0", "stages.1")])
    assert found.splitlines()[2:] == [
        "  - batch: {batch_size: 3}",
        "  # of the paper",
        "  - map:",
        "      name: scale",
        "      ops:",
        "        - tf.vectorized_map:",
        "            fn:",
        "              # floats first",
        "              - tf.cast: {dtype: float32}  # from integers",
        "",
        "              - tf.multiply:",
        "                  y: 2.0  # twice",
        "                # the end",
    ]


def test_a_vectorised_map_keeps_the_comments_in_brackets() -> None:
    text = (
        "source: {range: {stop: 9}}\nstages:\n  - map: {ops: [tf.square,  # first\n      tf.negative]}\n"
        "  - batch: {batch_size: 3}\n"
    )
    assert apply_to_text(text, [VectoriseMap("stages.0", "stages.1")]).splitlines()[3:] == [
        "  - map: {ops: [{tf.vectorized_map: {fn: [tf.square,  # first",
        "      tf.negative]}}]}",
    ]


LESS = {"tf.math.less": {"y": 3}}
LATE = """\
source: {range: {stop: 9}}
stages:
  - map:
      ops:
        - tf.square
        - to_tuple: [null, null]
      num_parallel_calls: 2
  - prefetch: {buffer_size: 1}
  # the small ones
  - filter:
      name: small   # of the second part
      ops:
        - select: 1
        # at least one
        - tf.abs
        - tf.math.less:
            y: 30  # as in the paper
  - batch: {batch_size: 3}
"""


def test_a_filter_before_a_map_gets_the_calls_that_it_reads_and_keeps_its_comments() -> None:
    found = apply_to_text(LATE, [MoveFilter("stages.2", "stages.0")])
    assert found.splitlines()[2:12] == [
        "  # the small ones",
        "  - filter:",
        "      name: small   # of the second part",
        "      ops:",
        "        - tf.square",
        "        # at least one",
        "        - tf.abs",
        "        - tf.math.less:",
        "            y: 30  # as in the paper",
        "  - map:",
    ]
    assert found.splitlines()[12:] == LATE.splitlines()[3:8] + LATE.splitlines()[-1:]


def test_calls_that_read_a_field_now_look_like_the_others() -> None:
    text = LATE.replace("tf.square", "tf.square: {on: x}").replace("[null, null]", "[y, x]")
    found = apply_to_text(text, [MoveFilter("stages.2", "stages.0")])
    assert "        - tf.square:\n            on: x\n        # at least one\n        - tf.abs: {on: x}\n" in found
    assert "            y: 30  # as in the paper\n            on: x\n" in found


def test_a_chain_that_outgrows_its_line_gets_lines() -> None:
    text = (
        "source: {range: {stop: 9}}\nstages:\n"
        "  - map: {ops: [{tf.clip_by_value: {clip_value_min: 100, clip_value_max: 20000}}, {to_dict: [number]}]}\n"
        "  - filter: {ops: [{tf.math.less: {y: 3000, on: number}}], name: keep_only_small_numbers}\n"
    )
    assert apply_to_text(text, [MoveFilter("stages.1", "stages.0")]).splitlines()[2:] == [
        "  - filter:",
        "      ops:",
        "        - tf.clip_by_value: {clip_value_min: 100, clip_value_max: 20000}",
        "        - tf.math.less: {y: 3000}",
        "      name: keep_only_small_numbers",
        text.splitlines()[2],
    ]


@pytest.mark.parametrize(
    ("stages", "words"),
    [
        ([{"filter": {"ops": [LESS]}}, {"map": {"ops": ["tf.square"]}}], "stages.1: it is not a filter after stages.0"),
        ([{"map": {"ops": ["tf.square"]}}, {"batch": {"batch_size": 2}}, {"filter": {"ops": [LESS]}}], "batch before"),
        ([{"map": {"python": "f.py:fn"}}, {"filter": {"ops": [LESS]}}], "a function in Python is not taken apart"),
        ([{"map": {"ops": ["tf.square"]}}, {"filter": {"python": "f.py:fn"}}], "a function in Python is not taken"),
        (
            [{"map": {"ops": [{"tf.random.uniform": {"shape": [], "on": []}}]}}, {"filter": {"ops": [LESS]}}],
            r"stages\.1 cannot move before stages\.0: tf\.random\.uniform draws random numbers",
        ),
        ([{"map": {"ops": ["tf.sqare"]}}, {"filter": {"ops": [LESS]}}], "cannot move before stages.0: .*tf.sqare"),
    ],
)
def test_a_filter_that_cannot_move_is_refused(stages: list[Any], words: str) -> None:
    last = f"stages.{len(stages) - 1}"
    with pytest.raises(EditError, match=words):
        apply_to_data({"source": {"range": {"stop": 9}}, "stages": stages}, [MoveFilter(last, "stages.0")])
    with pytest.raises(EditError, match=rf"stages\.0: it is not a filter after {last}"):
        apply_to_data({"source": {"range": {"stop": 9}}, "stages": stages}, [MoveFilter("stages.0", last)])


def test_edits_name_stages_as_they_were_before_all_of_them() -> None:
    data = read(SPEC).data
    edits = [
        MoveStage("stages.3", "batch", "stages.0"),
        SetArgument("stages.3", "batch", "batch_size", 8),
        InsertStage("cache", after="stages.1"),
        ReplaceStages(("stages.0",), (NewStage("map", {"ops": ["tf.abs"]}),)),
    ]
    stages = apply_to_data(data, edits)["stages"]
    assert [next(iter(stage)) for stage in stages] == ["batch", "map", "shuffle", "cache", "interleave"]
    assert stages[0] == {"batch": {"batch_size": 8}}
    assert stages[1] == {"map": {"ops": ["tf.abs"]}}
    assert read(apply_to_text(SPEC, edits)).data["stages"] == stages


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
        (SetArgument("stages.9", "batch", "batch_size", 3), "no stage at stages.9"),
        (SetArgument("stages.1", "batch", "batch_size", 3), "stages.1: it is unbatch, expected batch"),
        (MoveStage("stages.2", "batch", "stages.0"), "alias"),
        (MoveStage("stages.1", "unbatch", "source"), "stages.1: a stage cannot come before the source"),
        (
            ReplaceStages(("source",)),
            "source: a pipeline without a source has no elements: it can be replaced, not removed",
        ),
        (ReplaceStages(("stages.0", "stages.2")), "do not follow each other"),
    ],
)
def test_what_the_text_does_not_allow_is_refused(edit: PipelineEdit, words: str) -> None:
    with pytest.raises(EditError, match=words):
        apply_to_text(ALIASES, [edit])


def test_other_stages_than_the_aliased_ones_may_change() -> None:
    assert diff(ALIASES, InsertStage("cache", after="stages.1")) == "+  - cache: {}"
    assert diff(ALIASES, ReplaceStages(("stages.3",))) == "-  - batch: *both"


def test_a_merged_argument_is_written_in_its_own_place() -> None:
    text = "x-a: &a {batch_size: 4}\nsource: {range: {stop: 9}}\nstages:\n  - batch:\n      <<: *a\n"
    assert diff(text, SetArgument("stages.0", "batch", "batch_size", 3)) == "+      batch_size: 3"
