"""The tables of a run: stages and their parts, owners of memory."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeprof.cli.report.blocks import Heading, Table
from pipeprof.cli.report.memory import OWNERS, build_memory, group_owners
from pipeprof.cli.report.rows import rows_per_line
from pipeprof.cli.report.time import Part, build_time, split_stage
from pipeprof.profiles.document.base import Location, Owner
from pipeprof.profiles.document.memory import AutotuneMemory, LedgerEntry, MemoryGrowth
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.stages import Component, Stage
from pipeprof.profiles.document.store import load_profile
from tests.unit.cli.reports import MIB, RECORDED, Golden, Recorded, of, rows, shown, texts


def stage(address: str, op: str, executed: str | None = None, **fields: object) -> Stage:
    known = {"origin": "written", "tf_op": "MapDataset", "time_ms_per_batch": 1.5, "share": 0.2, "elements": 1200}
    return Stage.model_validate({"id": address, "op": op, "executed": executed, **known, **fields})


def at(line: int, call: str, column: int = 10) -> dict[str, object]:
    return {"location": Location(file="input.py", line=line, column=column, call=call)}


def test_golden_of_stages(recorded: Recorded, golden: Golden) -> None:
    profile, inside = recorded("step-none"), at(5, "rejection_resample")
    spec = [Component(name="image", dtype="uint8", shape=[None, 8]), Component(name="1", dtype="variant", shape=None)]
    serial = "stays serial: TensorFlow makes nothing parallel inside a function"
    profile.stages = [
        stage("source", "sample_from_datasets", **inside, element_spec=spec),
        stage("source.inputs.0.stages.0", "interleave", "parallelism tuned to 2", depth=1, parallelism=2, tunable=True),
        stage("source.inputs.0.stages.0.stages.0", "map", serial, name="decode_and_crop", depth=2, **at(4, "map")),
        stage("source.inputs.1.stages.0", "map", "fused with batch, stays serial: stateful op PyFunc", depth=1),
        stage("source.inputs.1.stages.1", "filter", depth=1, **inside, inputs_each=9.97, inputs_each_by="counters"),
        stage("stages.0", "batch", "fused with map", fused_with="source.inputs.1.stages.0", inputs_each=32.0),
        stage("stages.1", "shuffle", buffered_bytes=27 * MIB, buffered_elements=1024.0),
        stage("stages.2", "shard", inputs_each=4.0, inputs_each_by="graph", buffered_bytes=5 * MIB),
        stage("stages.3", "flat_map", inputs_each=1 / 198, inputs_each_by="epochs", buffered_elements=4.0),
        stage("injected.0", "prefetch", "prefetch injected, buffer tuned to 16", origin="injected"),
    ]
    profile.memory.ledger = [LedgerEntry(owner="shuffle", stage="stages.1", bytes=0, how="alias")]
    profile.options = {"deterministic": False, "threading.private_threadpool_size": 3}
    forms = (
        shown(build_time(profile, full=full), width=width) for full, width in ((False, 100), (True, 100), (True, 190))
    )
    golden("sections/stages.txt", "\n".join(forms))


def short_rows(*stages: Stage) -> list[tuple[str, ...]]:
    profile = load_profile(RECORDED / "step-none.json").model_copy(update={"stages": list(stages)})
    return rows(of(Table, build_time(profile, full=False))[0])


def test_parts_of_one_line_are_one_row_that_adds_up_what_goes_in_and_is_held() -> None:
    parts = [stage("source", "range", **at(8, "range"))]
    for number in range(1, 200):
        parts += [
            stage(f"stages.{number}", "concatenate", **at(9, "concatenate"), share=0.0001),
            stage(f"stages.{number}.inputs.1.stages.0", "map", name="load", depth=1, **at(9, "map", 40), share=0.0045),
        ]
    found = short_rows(*parts)
    assert [row[0].partition(" (")[0] for row in found] == ["range", "concatenate", "load"]
    assert (found[2][0].endswith("×199"), found[2][2]) == (True, "90 %")
    places, line = ("stages.0", "stages.1.inputs.1.stages.0"), at(6, "flat_map")
    two = [stage(one, "flat_map", **line, buffered_bytes=300_000, inputs_each=1 / 12) for one in places]
    # What is read at a time is held at a time.
    for op, bytes_held in (("concatenate", 300_000), ("zip", 600_000)):
        together = rows_per_line([*two, stage("stages.1", op)])[0].stage
        assert (together.buffered_bytes, together.inputs_each) == (bytes_held, pytest.approx(1 / 12))


TIMES = st.floats(0, 1e4)
MORE = {"calling_ms_per_batch": TIMES, "blocked_ms_per_batch": TIMES}


def costly(op: str = "map", *, python: Any = (), ops: Any = (), **times: Any) -> Stage:
    """A stage that is all of the work, with the times of its ops and of its functions."""
    functions = [{"function": name, "ms_per_batch": ms, "share": 0.1, "line": line} for name, line, ms in python]
    inside = [{"op": name, "ms_per_batch": ms} for name, ms in ops]
    known = {"name": "load", "share": 1.0, "time_ms_per_batch": 100.0, "cpu_ms_per_batch": 100.0}
    return stage("stages.0", op, **{**known, "calls_per_batch": 32.0, **times}, python=functions, ops=inside)


@given(
    ops=st.dictionaries(st.sampled_from(["DecodeJpeg", "PyFunc", "EagerPyFunc", "Mul"]), TIMES),
    python=st.lists(TIMES, max_size=4),
    times=st.fixed_dictionaries({"cpu_ms_per_batch": TIMES}, optional=MORE),
)
def test_parts_of_a_stage_never_exceed_it(ops: dict[str, float], python: list[float], times: dict[str, float]) -> None:
    inside = sum(ops.values()) if ops.keys() & {"PyFunc", "EagerPyFunc"} else sum(ops.values()) + sum(python)
    times["cpu_ms_per_batch"] += inside + times.get("calling_ms_per_batch", 0.0)
    one = costly(ops=ops.items(), python=[(f"f{line}", line, ms) for line, ms in enumerate(python)], **times)

    def require_within(parts: tuple[Part, ...], whole: float) -> None:
        assert -1e-9 <= sum(part.ms for part in parts) <= whole * (1 + 1e-9) + 1e-9
        for part in parts:
            require_within(part.inside, part.ms)

    require_within(tuple(split_stage(one)), one.active_ms or 0.0)


@pytest.mark.parametrize(
    ("one", "inside"),
    [
        (costly(ops=[("DecodeJpeg", 60.0), ("ReadFile", 20.0), ("Mul", 9.0)]), "of it DecodeJpeg 60 %, ReadFile 20 %"),
        (costly(ops=[("DecodeJpeg", 60.0)], share=0.2), ""),
        # That it calls a function says something where nothing takes longer.
        (costly(ops=[("Pack", 2.0)], calling_ms_per_batch=20.0), ""),
        (costly(ops=[("Pack", 2.0)], calling_ms_per_batch=80.0), "of it overhead of 32 calls 80 %"),
        (costly(ops=[("PyFunc", 90.0)], python=[("load", 1, 60.0)]), ""),
        (costly(ops=[("PyFunc", 90.0)], python=[("load", 1, 9.9), ("parse", 2, 50.0)]), "of it parse() 50 %"),
        (costly(ops=[("PyFunc", 90.0)], python=[("read", 3, 30.0), ("read", 4, 20.0)]), "of it read() 50 %"),
        (costly(ops=[("PyFunc", 90.0)], python=[("read", 1, 15.0), ("scale", 2, 4.0)]),
         "of it calling Python and waiting for the GIL 71 %, read() 15 %"),
    ],
)  # fmt: skip
def test_what_is_inside_a_stage_is_named_where_it_explains_something(one: Stage, inside: str) -> None:
    assert short_rows(stage("source", "range", share=0.0), one)[0][3] == inside


@pytest.fixture
def accounted(recorded: Recorded) -> Profile:
    """A profile with owners of memory, which sum up to the peak."""
    memory = (profile := recorded("input-bound")).memory
    memory.baseline_bytes, memory.peak_bytes, memory.unexplained_bytes = 550 * MIB, 1550 * MIB, 20 * MIB
    memory.predicted_bytes, memory.ledger = 900 * MIB, []
    for owner, place, mib, how, what, known in (
        ("runtime", None, 550, "measured", None, None), ("source", "source", 300, "measured", None, 310),
        ("parallel", None, 300, "measured", None, None), ("shuffle", "stages.1", 350, "model", None, 340),
        ("cache", "stages.2", 0, "alias", None, 200), ("slack", None, 30, "measured", "TensorFlow's pool", None),
        ("prefetch", "stages.3", 0, "model", None, None),
    ):  # fmt: skip
        sizes = {"bytes": mib * MIB, "predicted_bytes": known and known * MIB}
        entry = LedgerEntry.model_validate({"owner": owner, "stage": place, "how": how, "what": what, **sizes})
        memory.ledger.append(entry)
    return profile


def test_golden_of_memory(accounted: Profile, golden: Golden) -> None:
    memory, limits = accounted.memory, {"budget_bytes": 6000 * MIB, "limit_bytes": 7000 * MIB}
    memory.growth = MemoryGrowth(leak=True, bytes=9 * MIB, steps=99)
    memory.autotune = AutotuneMemory(**limits, uncounted_bytes=1500 * MIB, exceeds_limit=True)
    memory.growth_bytes_per_second, memory.seconds_to_limit = 50.0 * MIB, 30.0
    golden("sections/memory.txt", "\n".join(shown(build_memory(accounted, full=full)) for full in (False, True)))
    accounted.errors = load_profile(RECORDED / "out-of-memory.json").errors
    assert "from the limit" not in str(texts(build_memory(accounted, full=False))), "the error has it"


def owners(profile: Profile) -> list[str]:
    """The parts of the line on the peak."""
    (heading,) = of(Heading, build_memory(profile, full=False))
    return heading.rest.partition(": ")[2].split(", ")


def test_owners_add_up_to_the_peak_in_groups_and_more_than_the_pipelines_are_left_out(accounted: Profile) -> None:
    memory = accounted.memory
    entry = LedgerEntry(owner="python", bytes=90 * MIB, how="measured", what="child processes")
    memory.ledger = [*(memory.ledger or ()), entry]
    assert [nbytes // MIB for _, nbytes in group_owners(accounted) if nbytes] == [350, 300, 300, 90, 30, 20]
    parts = [part.removesuffix(" other").split()[-2:] for part in owners(accounted)]
    assert sum(float(number) * {"GiB": 1024, "MiB": 1}[unit] for number, unit in parts) == pytest.approx(1550, rel=0.02)
    memory.peak_bytes = 700 * MIB
    assert len(owners(accounted)) == 2
    memory.peak_bytes = None
    assert list(build_memory(accounted, full=False)) == []


def test_every_owner_of_memory_has_a_name() -> None:
    assert set(OWNERS) == set(get_args(Owner))
