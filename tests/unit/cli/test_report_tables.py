"""The tables of a run: stages and their parts, owners of memory."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeprof.cli.report.blocks import Heading, Table
from pipeprof.cli.report.memory import build_memory, group_owners
from pipeprof.cli.report.rows import rows_per_line, write_inputs
from pipeprof.cli.report.time import OTHER_OPS, Part, build_time, describe_limits, split_stage
from pipeprof.profiles.document.base import Location
from pipeprof.profiles.document.memory import AutotuneMemory, LedgerEntry, LedgerMoment, MemoryEpochs, MemoryGrowth
from pipeprof.profiles.document.messages import Message
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.stages import Component, Stage
from pipeprof.profiles.document.store import load_profile
from tests.unit.cli.reports import RECORDED, Golden, Recorded, column, of, rows, shown, texts

MIB = 1 << 20


def stage(address: str, op: str, executed: str | None = None, **fields: object) -> Stage:
    known = {"origin": "written", "tf_op": "MapDataset", "time_ms_per_batch": 1.5, "share": 0.2, "elements": 1200}
    return Stage.model_validate({"id": address, "op": op, "executed": executed, **known, **fields})


def at(line: int, call: str, column: int = 10) -> dict[str, object]:
    return {"location": Location(file="input.py", line=line, column=column, call=call)}


def table_of(*stages: Stage, full: bool = True, **fields: Any) -> Table:
    profile = load_profile(RECORDED / "step-none.json").model_copy(update={"stages": list(stages), **fields})
    return of(Table, build_time(profile, full=full))[0]


def test_golden_of_nested_stages(recorded: Recorded, golden: Golden) -> None:
    inside = at(5, "rejection_resample")
    profile = recorded("step-none")
    profile.options = {"deterministic": False, "threading.private_threadpool_size": 3}
    profile.stages = [
        stage("source", "sample_from_datasets", **inside),
        stage("source.inputs.0.stages.0", "interleave", "parallelism tuned to 2", depth=1, parallelism=2, tunable=True),
        stage("source.inputs.0.stages.0.stages.0", "map", "stays serial: TensorFlow makes nothing parallel inside a "
              "function", name="decode_and_crop", depth=2, **at(4, "map")),
        stage("source.inputs.1.stages.0", "map", "fused with batch, stays serial: stateful op PyFunc", depth=1),
        stage("source.inputs.1.stages.1", "filter", depth=1, **inside, inputs_each=9.97, inputs_each_by="counters"),
        stage("stages.0", "batch", "fused with map", fused_with="source.inputs.1.stages.0"),
        stage("stages.1", "shuffle", buffered_bytes=27 * MIB, buffered_elements=1024.0),
        stage("injected.0", "prefetch", "prefetch injected, buffer tuned to 16", origin="injected"),
    ]  # fmt: skip
    golden("report/stages.txt", "\n".join(shown(build_time(profile, full=full)) for full in (False, True)))


def test_elements_and_buffers_of_unknown_size_are_told() -> None:
    spec = [Component(name="image", dtype="uint8", shape=[None, 8]), Component(name="1", dtype="variant", shape=None)]
    stages = [
        stage("running.0", "range", element_spec=spec, buffered_bytes=0, buffered_elements=0.0),
        stage("running.1", "prefetch", buffered_bytes=None, buffered_elements=4.0),
        stage("running.2", "shuffle", buffered_bytes=5 * MIB, buffered_elements=100.0),
        stage("running.3", "shuffle", buffered_bytes=27 * MIB, buffered_elements=1024.0),
    ]
    # The ledger is of the peak, which may have been before there were buffers.
    views = [Message(code="stages-alias", message="views", stages=["running.3"])]
    table = table_of(*stages, warnings=views)
    assert column(table, "an element")[0] == "image uint8[?,8], variant[…]"
    assert column(table, "holds MiB") == ["0", "n/a", "5.00", "views"]
    assert not any(column(table, "as TensorFlow runs it")), "what was written is not known"
    assert column(table_of(*stages, warnings=[]), "holds MiB")[3] == "27.0"


def test_200_parts_of_one_line_are_one_row() -> None:
    parts = [stage("source", "range", **at(8, "range"))]
    for number in range(1, 200):
        parts += [
            stage(f"stages.{number}", "concatenate", **at(9, "concatenate"), share=0.0001),
            stage(f"stages.{number}.inputs.1.source", "range", depth=1, **at(9, "range", 30), share=0.0001),
            stage(f"stages.{number}.inputs.1.stages.0", "map", name="load", depth=1, **at(9, "map", 40), share=0.0045),
        ]
    found = rows(table_of(*parts, full=False))
    assert [row[0].partition(" (")[0] for row in found] == ["range", "concatenate", "range", "load"]
    assert (found[3][0].endswith("×199"), found[3][2]) == (True, "90 %")


def test_rows_of_one_line_add_up_what_goes_in_and_hold_as_much_as_is_read_at_a_time() -> None:
    line = at(6, "flat_map")
    sides = [
        stage(f"source.inputs.{place}.stages.0", "flat_map", **line, elements=given, inputs_each=each)
        for place, (given, each) in enumerate([(600, 1 / 6), (1200, 1 / 12), (200, 1.0)])
    ]
    assert rows_per_line(sides)[0].stage.inputs_each == pytest.approx(400 / 2000)
    held: dict[str, object] = {**line, "buffered_bytes": 300_000, "buffered_elements": 2.0}
    first, *inside = [
        stage(place, "flat_map", **held)
        for place in ("stages.0", *(f"stages.1.inputs.1.stages.{number}" for number in range(3)))
    ]
    # Three that a loop puts into one part hold at the same time.
    two = [first, inside[0]]
    for parts, op, bytes_held in (
        (two, "concatenate", 300_000),
        (two, "zip", 600_000),
        (inside, "concatenate", 900_000),
    ):
        assert rows_per_line([*parts, stage("stages.1", op)])[0].stage.buffered_bytes == bytes_held


def test_elements_in_and_out() -> None:
    found = [
        write_inputs(stage("stages.0", op, inputs_each=each, inputs_each_by=by))
        for op, each, by in (
            ("shard", 4.0, "graph"), ("filter", 20.1, "counters"), ("filter", 2.5, "epochs"),
            ("flat_map", 1 / 198, "epochs"), ("filter", 1.01, "counters"), ("batch", 32.0, "graph"),
        )
    ]  # fmt: skip
    assert found == ["4:1", "~20:1", "2.5:1", "1:198", "", ""]


TIMES = st.floats(0, 1e4)


def costly(op: str = "map", *, python: Any = (), ops: Any = (), **times: Any) -> Stage:
    """A stage that is all of the work, with the times of its ops and of its functions."""
    functions = [{"function": name, "ms_per_batch": ms, "share": 0.1, "line": line} for name, line, ms in python]
    inside = [{"op": name, "ms_per_batch": ms} for name, ms in ops]
    known = {"name": "load", "share": 1.0, "time_ms_per_batch": 100.0, "cpu_ms_per_batch": 100.0}
    return stage("stages.0", op, **{**known, "calls_per_batch": 32.0, **times}, python=functions, ops=inside)


@given(
    ops=st.dictionaries(st.sampled_from(["DecodeJpeg", "PyFunc", "EagerPyFunc", "Mul"]), TIMES),
    python=st.lists(TIMES, max_size=4), calling=st.none() | TIMES, cpu=TIMES, blocked=st.none() | TIMES,
)  # fmt: skip
def test_parts_of_a_stage_never_exceed_it(
    ops: dict[str, float], python: list[float], calling: float | None, cpu: float, blocked: float | None
) -> None:
    one = costly(
        ops=ops.items(), python=[(f"f{line}", line, ms) for line, ms in enumerate(python)],
        calling_ms_per_batch=calling, cpu_ms_per_batch=cpu, blocked_ms_per_batch=blocked,
    )  # fmt: skip

    def require_within(parts: tuple[Part, ...], whole: float) -> None:
        assert -1e-9 <= sum(part.ms for part in parts) <= whole * (1 + 1e-9) + 1e-9
        for part in parts:
            require_within(part.inside, part.ms)

    require_within(tuple(split_stage(one)), one.active_ms or 0.0)


@pytest.mark.parametrize(
    ("one", "inside"),
    [
        (costly(ops=[("DecodeJpeg", 60.0), ("ReadFile", 20.0), ("Mul", 9.0)]), "DecodeJpeg 60 %, ReadFile 20 %"),
        (costly(ops=[("DecodeJpeg", 60.0)], share=0.2), ""),
        # That it calls a function says something where nothing takes longer.
        (costly(ops=[("Pack", 2.0)], calling_ms_per_batch=20.0), ""),
        (costly(ops=[("Pack", 2.0)], calling_ms_per_batch=80.0), "calling it 32 times 80 %"),
        (costly(ops=[("PyFunc", 90.0)], python=[("load", 1, 60.0)]), ""),
        (costly(ops=[("PyFunc", 90.0)], python=[("load", 1, 9.9), ("parse", 2, 50.0)]), "parse() 50 %"),
        (costly(ops=[("PyFunc", 90.0)], python=[("read", 3, 30.0), ("read", 4, 20.0)]), "read() 50 %"),
        (costly(ops=[("PyFunc", 90.0)], python=[("read", 1, 15.0), ("scale", 2, 4.0)]),
         "calling Python and waiting for the GIL 71 %, read() 15 %"),
    ],
)  # fmt: skip
def test_what_is_inside_a_stage_is_named_where_it_explains_something(one: Stage, inside: str) -> None:
    assert rows(table_of(stage("source", "range", share=0.0), one, full=False))[0][3] == inside


def test_functions_are_inside_of_the_op_that_calls_them_and_a_generator_has_no_other_ops() -> None:
    one = costly(ops=[("DecodeJpeg", 60.0), ("PyFunc", 30.0)], python=[("jitter", 1, 20.0), ("load", 2, 40.0)])
    assert [(part.name, part.ms, len(part.inside)) for part in split_stage(one)] == [
        ("DecodeJpeg", 60.0, 0), ("PyFunc", 30.0, 2), (OTHER_OPS, 10.0, 0),
    ]  # fmt: skip
    assert [part.name for part in split_stage(one)[1].inside] == ["load()", "jitter()"]
    assert OTHER_OPS not in [part.name for part in split_stage(costly("from_generator", ops=[("PyFunc", 30.0)]))]


def test_limits_are_those_that_are_not_reached(recorded: Recorded) -> None:
    profile = recorded("jpeg-folder")
    first, *others = describe_limits(profile).split(" · ")
    assert ("(decode)" in first, any("decode" in other for other in others)) == (True, False)
    assert profile.ceiling is not None
    assert profile.steps is not None
    profile.steps.interval_ms.mean = 1e3 / (profile.ceiling.terms[0].batches_per_second + 1)
    assert describe_limits(profile).split(" · ") == others
    profile.ceiling.terms = [term for term in profile.ceiling.terms if term.resource == "step"]
    assert describe_limits(profile) == ""


@pytest.fixture
def accounted(recorded: Recorded) -> Profile:
    """A profile with owners of memory, which sum up to the peak."""
    memory = (profile := recorded("input-bound")).memory
    memory.baseline_bytes, memory.peak_bytes, memory.unexplained_bytes = 550 * MIB, 1550 * MIB, 20 * MIB
    memory.predicted_bytes, memory.ledger_at = 900 * MIB, None
    owners: tuple[tuple[str, str | None, int, str, str | None, int | None], ...] = (
        ("runtime", None, 550, "measured", None, None), ("source", "source", 300, "measured", "the array", 310),
        ("source", "source", 300, "measured", "tensors", None), ("shuffle", "stages.1", 350, "model", None, 340),
        ("cache", "stages.2", 0, "alias", None, 200), ("slack", None, 30, "measured", "the pool", None),
        ("prefetch", "stages.3", 0, "model", None, None),
    )  # fmt: skip
    memory.ledger = [
        LedgerEntry.model_validate({"owner": owner, "stage": where, "bytes": mib * MIB, "how": how, "what": what,
                                    "predicted_bytes": known and known * MIB})
        for owner, where, mib, how, what, known in owners
    ]  # fmt: skip
    return profile


def test_golden_of_memory(accounted: Profile, golden: Golden) -> None:
    memory = accounted.memory
    memory.growth = MemoryGrowth(mb_per_1000_steps=12.5, low=11, high=14, windows=6, leak=True, bytes=9 * MIB, steps=99)
    memory.epochs = MemoryEpochs(first_peak_bytes=1550 * MIB, later_peak_bytes=1400 * MIB)
    limits = {"budget_bytes": 6000 * MIB, "limit_bytes": 7000 * MIB, "uncounted_bytes": 1500 * MIB}
    memory.autotune = AutotuneMemory.model_validate({**limits, "exceeds_limit": True})
    memory.growth_bytes_per_second, memory.seconds_to_limit = 50.0 * MIB, 30.0
    golden("report/memory.txt", "\n".join(shown(build_memory(accounted, full=full)) for full in (False, True)))
    # The error has it.
    accounted.errors = load_profile(RECORDED / "out-of-memory.json").errors
    assert not any("from the limit" in text for text in texts(build_memory(accounted, full=False)))


def owners(profile: Profile) -> list[str]:
    """The parts of the line on the peak."""
    (heading,) = of(Heading, build_memory(profile, full=False))
    return heading.rest.partition(": ")[2].split(", ")


@given(st.lists(st.integers(0, 900), max_size=5), st.integers(1, 900), st.integers(0, 900))
def test_owners_of_memory_add_up_to_the_peak(held: list[int], baseline: int, above: int) -> None:
    memory = (profile := load_profile(RECORDED / "input-bound.json")).memory
    memory.baseline_bytes, memory.peak_bytes = baseline * MIB, (baseline + above) * MIB
    memory.unexplained_bytes, memory.ledger = (
        max(above - sum(held), 0) * MIB,
        [
            LedgerEntry(owner="source", bytes=mib * MIB, how="measured", what=f"array {number}")
            for number, mib in enumerate(held)
        ],
    )
    parts = [part.removesuffix(" other").replace(",", "").split()[-2:] for part in owners(profile)]
    (unit,) = {unit for _, unit in parts}
    total = sum(float(number) for number, _ in parts) * (1024 if unit == "GiB" else 1)
    assert total == pytest.approx(baseline + above, rel=0.02)
    assert len(parts) <= 5


def test_owners_are_grouped_and_those_of_another_moment_left_out(accounted: Profile) -> None:
    entry = LedgerEntry(owner="python", bytes=90 * MIB, how="measured", what="objects", function="load")
    entry.location = Location(file="code/input.py", line=12)
    accounted.memory.ledger = [*(accounted.memory.ledger or ()), entry]
    assert [nbytes // MIB for _, nbytes in group_owners(accounted) if nbytes] == [600, 350, 90, 30, 20]
    assert any(name.endswith("(input.py:12)") for name, _ in group_owners(accounted))
    accounted.memory.peak_bytes = 700 * MIB
    assert len(owners(accounted)) == 2
    accounted.memory.peak_bytes = None
    assert list(build_memory(accounted, full=False)) == []


def test_the_table_of_owners_has_what_matters(accounted: Profile) -> None:
    def ledger() -> tuple[list[tuple[str, ...]], str]:
        blocks = list(build_memory(accounted, full=True))
        last = of(Table, blocks)[-1]
        return rows(last), "\n".join(texts(blocks[blocks.index(last) :]))

    table, below = ledger()
    assert [row[2:4] for row in table][1:] == [
        ("300.0", "310.0"), ("300.0", ""), ("350.0", "340.0"), ("0", "200.0"), ("30.0", ""), ("20.0", ""),
    ]  # fmt: skip
    assert not any(word in below for word in ("AUTOTUNE", "grows", "first epoch", "at least"))
    memory, prefetch = accounted.memory, (accounted.memory.ledger or [])[-1]
    # A prediction that lacks much is a lower bound, and one of next to nothing none.
    prefetch.bytes = 300 * MIB
    assert "at least 900 MiB predicted, 1,000 MiB measured" in ledger()[1]
    row = next(one for one in accounted.stages or [] if one.id == "stages.3")
    row.buffered_elements = 300.0
    assert "held 300 elements, 300 MiB: AUTOTUNE chose how many" in ledger()[1]
    row.tunable, memory.predicted_bytes, memory.unexplained_bytes = False, 12, -20 * MIB
    table, below = ledger()
    assert (table[-1][2], "AUTOTUNE" in below) == ("−20.0", False)
    assert "not predicted, 1,000 MiB measured; not attributed: −20.0 MiB (2.0 %)" in below
    memory.ledger_at = LedgerMoment(seconds=4.25, phase="first_element", rss_bytes=1450 * MIB)
    assert "1.42 GiB after 4.25 s, in phase first element" in ledger()[1]
