"""The table of stages: readable at 100 columns, however deep a pipeline is nested."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeprof.cli.report.ledger import group_owners
from pipeprof.cli.report.pipeline import build_pipeline
from pipeprof.cli.report.stages import build_stages
from pipeprof.cli.text.names import list_library_lines, number_of
from pipeprof.cli.text.paint import paint
from pipeprof.cli.text.rows import rows_per_line, write_inputs
from pipeprof.cli.text.style import Style
from pipeprof.profiles.document.base import Location
from pipeprof.profiles.document.memory import LedgerEntry
from pipeprof.profiles.document.messages import Message
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.stages import Component, Stage
from pipeprof.profiles.document.store import load_profile

Golden = Callable[[str, str], None]
RECORDED = Path(__file__).parents[2] / "recorded" / "profiles" / "step-none.json"
SERIAL = "stays serial: TensorFlow makes nothing parallel inside a function"


def stage(address: str, op: str, executed: str | None = None, **fields: object) -> Stage:
    known = {"origin": "written", "tf_op": "MapDataset", "time_ms_per_batch": 1.5, "share": 0.2, "elements": 1200}
    return Stage.model_validate({"id": address, "op": op, "executed": executed, **known, **fields})


def profile(*stages: Stage, **changes: object) -> Profile:
    return load_profile(RECORDED).model_copy(update={"stages": list(stages), **changes})


def rendered(shown: Profile, width: int) -> str:
    return paint(build_stages(shown), Style(width=width))


NESTED = (
    stage("source", "sample_from_datasets", depth=0),
    stage("source.inputs.0.source", "from_tensor_slices", depth=1, buffered_bytes=5_000_000),
    stage("source.inputs.0.stages.0", "interleave", "parallelism tuned to 2", depth=1, parallelism=2),
    stage("source.inputs.0.stages.0.source", "TFRecordDataset", depth=2),
    stage("source.inputs.0.stages.0.stages.0", "map", SERIAL, name="decode_and_crop", depth=2),
    stage("source.inputs.1.source", "range", depth=1),
    stage("source.inputs.1.stages.0", "map", "fused with batch, stays serial: stateful op PyFunc", depth=1),
    stage("stages.0", "batch", "fused with map", fused_with="source.inputs.1.stages.0"),
    stage("injected.0", "prefetch", "prefetch injected, buffer tuned to 16", origin="injected"),
)


def test_what_tensorflow_runs_is_not_cut_at_100_columns() -> None:
    text = rendered(profile(*NESTED), 100)
    rows = {line.split()[0]: line for line in reversed(text.splitlines()[3:])}
    assert max(map(len, text.splitlines())) <= 100
    assert "source/0.0.source" in rows
    assert " decode_and_crop (" in rows["source/0.0.0"]
    assert " map  " in rows["source/1.0"]
    assert "  fused with batch, stays serial  " in rows["source/1.0"]
    assert "  fused into source/1.0 map" in rows["0"]
    assert "  buffer tuned to 16  " in rows["+"]
    assert "source/0.0.0: stays serial: TensorFlow makes nothing parallel inside a function" in text
    assert "source/1.0: stays serial: stateful op PyFunc" in text


def test_addresses_are_cut_at_their_beginning_where_nothing_else_helps() -> None:
    inside = "source.inputs.1.source.inputs.0.source.inputs.0"
    shown = profile(
        stage("source", "sample_from_datasets"),
        stage(f"{inside}.stages.2", "map", "fused with batch (×2, tuned)", depth=3),
        stage(f"{inside}.stages.3", "batch", "fused with map", depth=3, fused_with=f"{inside}.stages.2"),
    )
    text = rendered(shown, 80)
    assert "…/0.2" in text
    assert "fused with batch (×2, tuned)" in text
    assert "fused into …/0.2 map" in text
    assert "source/1.source/0.source/0.2" in rendered(shown, 120)


def test_why_stands_in_the_table_where_there_is_room() -> None:
    text = rendered(
        profile(stage("source", "range"), stage("stages.0", "map", "stays serial: stateful op PyFunc")), 100
    )
    assert text.count("stateful op PyFunc") == 1
    assert "0: stays serial" not in text


def test_elements_stand_there_where_there_is_room() -> None:
    spec = [
        Component(name="image", dtype="uint8", shape=[None, 8]),
        Component(name="1", dtype="int64", shape=[]),
        Component(name="2", dtype="variant", shape=None),
    ]
    shown = profile(stage("source", "range", element_spec=spec))
    assert "1,200  image uint8[?,8], int64, variant[…]" in rendered(shown, 120)
    assert "image uint8" not in rendered(shown, 80)


def test_views_are_no_bytes_of_a_buffer() -> None:
    mib = 1 << 20
    shown = profile(
        stage("source", "from_tensor_slices"),
        stage("stages.0", "shuffle", buffered_bytes=27 * mib, buffered_elements=1024),
        stage("stages.1", "shuffle", buffered_bytes=5 * mib, buffered_elements=100),
    )
    shown.memory.ledger = [
        LedgerEntry(owner="shuffle", stage="stages.0", bytes=0, how="alias"),
        LedgerEntry(owner="shuffle", stage="stages.1", bytes=5 * mib, how="predicted"),
    ]
    for text in (rendered(shown, 160), on_one_screen(shown, 100)):
        assert "views" in text
        assert "27" not in text
        assert "5.00" in text
    # The ledger is of the peak, which may have been before there were buffers.
    shown.memory.ledger = []
    shown.warnings = [Message(code="stages-alias", message="views", stages=["stages.0"])]
    text = on_one_screen(shown, 100)
    assert "views" in text
    assert "27" not in text


def test_options_are_told() -> None:
    options = {"deterministic": False, "threading.private_threadpool_size": 3}
    text = rendered(profile(stage("source", "range"), options=options), 100)
    assert "Options: deterministic = false, threading.private_threadpool_size = 3" in text


def test_stages_of_a_running_pipeline_are_not_said_to_be_written() -> None:
    text = rendered(profile(stage("running.0", "from_tensors"), stage("running.1", "map+batch")), 100)
    assert " as written" not in text
    assert "graph of what was written was not read" in text.replace("\n  ", " ")
    assert [line.split()[:2] for line in text.splitlines()[-2:]] == [["0", "from_tensors"], ["1", "map+batch"]]


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("stages.1.inputs.1.stages.0", "1/1.0"),
        ("source.datasets.2.source", "source/2.source"),
        ("source.choice_dataset.source", "source.choice_dataset.source"),
        ("stages.0.source.inputs.1.stages.3", "0.source/1.3"),
        ("running.3", "3"),
    ],
)
def test_places_are_short(address: str, place: str) -> None:
    assert number_of(address) == place


def test_a_call_that_is_several_stages_is_named() -> None:
    def at(line: int, call: str) -> dict[str, object]:
        return {"location": {"file": "input.py", "line": line, "call": call}}

    shown = profile(
        stage("source", "range", **at(3, "range")),
        stage("stages.0", "group_by_window", **at(4, "bucket_by_sequence_length")),
        stage("stages.0.stages.0", "padded_batch", depth=1, **at(4, "bucket_by_sequence_length")),
        *[stage(f"stages.{number}", "map", **at(number, "rejection_resample")) for number in (5, 5, 5, 5)],
        stage("stages.6", "list_files", **at(7, "list_files")),
        stage("stages.7", "shuffle", **at(7, "list_files")),
        stage("stages.8", "map", **at(8, "change")),
    )
    shown.target.kind = "function"
    text = rendered(shown, 100)
    assert "bucket_by_sequence_length (line 4) is 0 and 0.0\n" in text
    assert "rejection_resample (line 5) is 5 to 5, 4 stages\n" in text
    assert text.count(") is ") == 2


def on_one_screen(shown: Profile, width: int) -> str:
    return paint(build_pipeline(shown), Style(width=width))


@pytest.mark.parametrize("width", [80, 100, 120])
def test_the_default_table_names_only_what_differs(width: int) -> None:
    text = on_one_screen(profile(*NESTED[:8]), width)
    assert max(map(len, text.splitlines())) <= width
    assert "as written" not in text

    def row(word: str) -> str:
        (line,) = [line for line in text.splitlines() if word in line]
        return line

    assert row("from_tensor_slices").split()[:3] == [".source", "from_tensor_slices", "1.50"]
    if width > 80:
        assert row("fused into map").split()[0] == "0"
        assert " map " in row("fused with batch")
    assert row("decode_and_crop").index("decode_and_crop") == row("interleave").index("interleave") + 2


def test_stages_that_tensorflow_adds_and_tunes_are_marked() -> None:
    shown = profile(
        stage("source", "range", "parallelism tuned to 4", parallelism=4, tunable=True),
        stage("stages.0", "prefetch", "buffer tuned to 8"),
        stage("injected.0", "prefetch", "prefetch injected, buffer tuned to 16", origin="injected"),
    )
    rows = [line.strip() for line in on_one_screen(shown, 120).splitlines()[2:]]
    assert rows[0].endswith("4  calls chosen by TensorFlow")
    assert rows[1].endswith("TensorFlow chose a buffer of 8")
    assert rows[2].startswith("+")
    assert rows[2].endswith("added by TensorFlow, buffer of 16")


def test_a_function_has_the_lines_of_its_stages() -> None:
    shown = profile(
        stage("source", "range", location={"file": "train.py", "line": 8}),
        stage("stages.0", "map", location={"file": "train.py", "line": 9}),
    )
    assert " line " not in on_one_screen(shown, 100)
    shown.target.kind = "function"
    rows = [line.split() for line in on_one_screen(shown, 100).splitlines()[1:4]]
    assert [row[2] for row in rows] == ["line", "8", "9"]


def at(line: int, call: str, column: int = 10) -> dict[str, object]:
    return {"location": {"file": "input.py", "line": line, "column": column, "call": call}}


def drawn(shown: Profile, width: int) -> str:
    shown.target.kind = "function"
    return paint(build_pipeline(shown), Style(width=width))


def test_200_parts_of_one_line_are_one_row() -> None:
    parts = [
        part
        for number in range(1, 200)
        for part in (
            stage(f"stages.{number}", "concatenate", **at(9, "concatenate"), share=0.0001, time_ms_per_batch=0.001),
            stage(f"stages.{number}.inputs.1.source", "range", depth=1, **at(9, "range", 30), share=0.0001),
            stage(
                f"stages.{number}.inputs.1.stages.0", "map", name="load", depth=1, **at(9, "map", 40), share=0.0045,
                ops=[{"op": "ReadFile", "ms_per_batch": 0.5}],
            ),
        )
    ]  # fmt: skip
    text = drawn(profile(stage("source", "range", **at(8, "range")), *parts), 100)
    rows = [line.split("  ")[1:] for line in text.splitlines() if line.strip().startswith(("source ", "1"))]
    assert len(rows) == 4
    assert "load (map) ×199" in text
    assert "90 %" in text
    assert "ReadFile 33 %" in text


def test_copies_of_a_line_take_and_give_their_elements_together() -> None:
    copies = [
        stage(f"source.inputs.{number}.stages.0", "flat_map", name="chunk", depth=1, **at(9, "flat_map"),
              inputs_each=each, inputs_each_by="counters", elements=elements)
        for number, (each, elements) in enumerate([(0.5, 1000), (0.1, 3000)])
    ]  # fmt: skip
    text = drawn(profile(stage("source", "sample_from_datasets", **at(8, "sample_from_datasets")), *copies), 100)
    # 500 + 300 for 4,000.
    assert next(line for line in text.splitlines() if "chunk (flat_map) ×2" in line).split()[-1] == "~1:5"


@pytest.mark.parametrize(
    ("each", "by", "share", "notes"),
    [
        (4.0, "graph", 0.3, []),
        (4.0, "counters", 0.3, ["counted over part"]),
        (None, None, 0.3, ["estimate from the trace"]),
        # It shares a row with other small ones, which has no mark.
        (None, None, 0.0, []),
    ],
)
def test_a_mark_is_explained_where_a_row_has_it(
    each: float | None, by: str | None, share: float, notes: list[str]
) -> None:
    marked = "trace" if each is None else "model"
    stages = [stage(f"stages.{place}", "map", timed_by="model", share=0.001) for place in range(9)]
    shown = profile(
        stage("source", "filter", timed_by=marked, share=share, inputs_each=each, inputs_each_by=by), *stages
    )
    text = on_one_screen(shown, 120)
    known = ("counted over part", "estimate from the trace")
    assert [note for note in known if note in " ".join(text.split())] == notes


@pytest.mark.parametrize(
    ("ops", "calling", "python", "shown"),
    [
        ({"DecodeJpeg": 6.0}, 0.0, {}, True),
        ({"Pack": 0.2}, 2.0, {}, False),
        ({"Pack": 0.2}, 8.0, {}, True),
        ({"PyFunc": 9.0}, 0.0, {"load": 6.0}, False),
        ({"PyFunc": 9.0}, 0.0, {"load": 1.0, "parse": 5.0}, True),
    ],
)
def test_what_is_inside_a_stage_is_listed_where_it_says_something(
    ops: dict[str, float], calling: float, python: dict[str, float], shown: bool
) -> None:
    made = profile(
        stage("source", "range", share=0.0),
        stage(
            "stages.0", "map", name="load", share=0.9, time_ms_per_batch=10.0, cpu_ms_per_batch=10.0,
            calling_ms_per_batch=calling, calls_per_batch=32.0,
            ops=[{"op": op, "ms_per_batch": ms} for op, ms in ops.items()],
            python=[{"function": name, "ms_per_batch": ms, "share": 0.1} for name, ms in python.items()],
        ),
    )  # fmt: skip
    assert ("\n  load: " in on_one_screen(made, 100)) == shown


def test_what_tensorflow_makes_inside_of_a_call_is_in_the_row_of_the_call(golden: Golden) -> None:
    inside = at(5, "rejection_resample")
    counted: dict[str, object] = {"inputs_each": 9.97, "inputs_each_by": "counters"}
    shown = profile(
        stage("source", "sample_from_datasets", **inside, share=0.01, elements=285),
        stage("source.inputs.0.source", "range", depth=1, **at(3, "range"), share=0.0),
        stage("source.inputs.0.stages.0", "map", name="load", depth=1, **at(4, "map"), share=0.1, parallelism=2),
        stage("source.inputs.0.stages.1", "map", depth=1, **inside, share=0.01),
        stage("source.inputs.1.source", "zip", depth=1, **inside, share=0.0),
        stage("source.inputs.1.source.inputs.1.source", "range", depth=2, **at(3, "range"), share=0.0),
        stage(
            "source.inputs.1.source.inputs.1.stages.0", "map", name="load", depth=2, **at(4, "map"), share=0.8,
            parallelism=2,
        ),
        stage("source.inputs.1.stages.1", "filter", depth=1, **inside, **counted, share=0.02),
        stage("stages.0", "flat_map", name="cut", **at(6, "flat_map"), inputs_each=1 / 198, inputs_each_by="epochs"),
        stage("stages.1", "shard", **at(7, "shard"), inputs_each=4.0, inputs_each_by="graph"),
        stage("stages.2", "batch", **at(8, "batch"), inputs_each=32.0, inputs_each_by="graph"),
    )  # fmt: skip
    golden("report/rows-per-line-100.txt", drawn(shown, 100))
    golden("report/rows-per-line-80.txt", drawn(shown, 80))


def test_what_goes_into_stages_of_one_line_is_what_goes_into_all_of_them() -> None:
    place = Location(file="a.py", line=6, column=4, call="flat_map")
    sides = [
        stage(f"source.inputs.{at}.stages.0", "flat_map", name="cut", location=place, elements=given, inputs_each=each)
        for at, (given, each) in enumerate([(600, 1 / 6), (1200, 1 / 12), (200, 1.0)])
    ]
    (row,) = rows_per_line(sides)
    assert row.stage.inputs_each == pytest.approx(400 / 2000)


def test_parts_that_are_read_in_turn_hold_as_much_as_one_of_them() -> None:
    place = Location(file="a.py", line=6, column=4, call="map")
    held: dict[str, object] = {"location": place, "buffered_bytes": 300_000, "buffered_elements": 2.0}
    parts = [stage("stages.0", "map", **held), stage("stages.1.inputs.1.stages.0", "map", depth=1, **held)]
    for op, bytes_held in (("concatenate", 300_000), ("zip", 600_000)):
        row = next(row for row in rows_per_line([*parts, stage("stages.1", op)]) if row.stage.op == "map")
        assert (row.times, row.stage.buffered_bytes) == (2, bytes_held)
    # Three that a loop puts into one part hold at the same time.
    inside = [stage(f"stages.1.inputs.1.stages.{number}", "map", depth=1, **held) for number in range(3)]
    row = next(row for row in rows_per_line([*inside, stage("stages.1", "concatenate")]) if row.stage.op == "map")
    assert row.stage.buffered_bytes == 900_000


def test_a_buffer_that_held_more_than_its_last_size_has_no_size() -> None:
    tuned: dict[str, object] = {"executed": "buffer tuned to 1", "buffer_size": 1.0, "buffered_bytes": 13_000_000}
    full = drawn(profile(stage("source", "range"), stage("stages.0", "prefetch", **tuned, buffered_elements=1.0)), 100)
    over = drawn(profile(stage("source", "range"), stage("stages.0", "prefetch", **tuned, buffered_elements=2.0)), 100)
    assert "a buffer of 1" in full
    assert "buffer" not in over.replace("prefetch", "")


def test_of_500_stages_none_is_compared_with_another(monkeypatch: pytest.MonkeyPatch) -> None:
    stages = [stage(f"stages.{number}", "map", share=1 / 500) for number in range(500)]
    monkeypatch.setattr(Stage, "__eq__", lambda *_: pytest.fail("compared"))
    assert "499 other stages" in paint(build_pipeline(profile(*stages)), Style(width=100))


def test_a_stage_that_drops_elements_has_a_row_of_its_own() -> None:
    many = [stage(f"stages.{number}", "map", share=0.001) for number in range(10)]
    shard = stage("stages.10", "shard", share=0.001, inputs_each=4.0, inputs_each_by="graph")
    text = drawn(profile(stage("source", "range", share=0.9), *many, shard), 100)
    assert "9 other stages" in text
    assert " shard " in text


@pytest.mark.parametrize(
    ("op", "each", "by", "text"),
    [
        ("shard", 4.0, "graph", "4:1"),
        ("filter", 20.1, "counters", "~20:1"),
        ("filter", 2.5, "epochs", "2.5:1"),
        ("flat_map", 1 / 198, "epochs", "1:198"),
        ("filter", 1.01, "counters", ""),
        ("batch", 32.0, "graph", ""),
        ("map", None, None, ""),
    ],
)
def test_elements_in_and_out(op: str, each: float | None, by: str | None, text: str) -> None:
    assert write_inputs(stage("stages.0", op, inputs_each=each, inputs_each_by=by)) == text


def test_what_a_stage_is_fused_into_has_the_name_of_its_row() -> None:
    """``list_files`` makes a shuffle, with which TensorFlow fuses the repeat after it."""
    made = {"file": "input.py", "line": 7, "column": 3, "call": "list_files"}
    shown = profile(
        stage("source", "list_files", location=made),
        stage("stages.0", "shuffle", "fused with repeat", location=made),
        stage("stages.1", "repeat", "fused with shuffle", location={**made, "call": "repeat"}, fused_with="stages.0"),
    )
    assert "fused into shuffle" in on_one_screen(shown, 100)
    library = {"file": "lib/reader.py", "line": 3, "function": "read"}
    read = {"location": {**made, "call": "read"}, "library": library}
    shown = profile(stage("source", "range", **read), stage("stages.0", "shuffle", buffered_bytes=5_000_000, **read))
    assert list_library_lines(shown.stages or ()) == ["via lib/reader.py: line 3 (source range), 3 (0 shuffle)"]
    shown.memory.ledger = [LedgerEntry(owner="shuffle", stage="stages.0", bytes=5_000_000, how="model")]
    assert ("shuffle", 5_000_000) in group_owners(shown)


@pytest.mark.parametrize(("share", "said"), [(0.2, False), (0.215, True)])
def test_shares_that_differ_from_the_milliseconds_are_explained(share: float, said: bool) -> None:
    """A reader divides: 1.93 of 9.62 ms are no 22 %."""
    times = [
        {"cpu_ms_per_batch": ms, "time_ms_per_batch": ms, "timed_by": "model", "share": part}
        for ms, part in ((8.0, 1 - share), (2.0, share))
    ]
    shown = profile(stage("source", "range", **times[0]), stage("stages.0", "map", **times[1]))
    assert ("without the time waiting for a core" in drawn(shown, 200)) is said
