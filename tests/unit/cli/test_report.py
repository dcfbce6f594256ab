"""The text report: goldens, its length, and what holds for every profile, width and receiver."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from pipeprof.cli.options import SECTION_NAMES
from pipeprof.cli.report.memory import build_memory
from pipeprof.cli.report.report import (
    MOST_LINES,
    MOST_MEASURED,
    SECTIONS,
    Selection,
    build_parts,
    build_report,
    build_verdict,
)
from pipeprof.cli.report.steps import elements_rate
from pipeprof.cli.report.time import describe_inside
from pipeprof.cli.text.blocks import Alternatives, Block, Code, Prose, Table, TextSpan, without
from pipeprof.cli.text.paint import paint
from pipeprof.cli.text.style import Style, in_ascii
from pipeprof.profiles.document.findings import Finding, NotTried, Verdict, VerdictDetail, Verification
from pipeprof.profiles.document.memory import LedgerEntry
from pipeprof.profiles.document.messages import Message, Problem
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.shared import Contention
from pipeprof.profiles.document.stages import Headspace, OpCost, PythonCost, Stage
from pipeprof.profiles.document.store import load_profile
from pipeprof.profiles.document.subject import Host, Target, Tool
from pipeprof.profiles.document.time import CpuAccount
from pipeprof.profiles.time.verdict import conclude

RECORDED = Path(__file__).parents[2] / "recorded" / "profiles"
SCRIPTS = ("script-loop", "script-fit")
NAMES = (
    *("input-bound", "step-bound", "step-none", "out-of-memory", "interrupted", "no-model", "jpeg-folder", "raised"),
    *SCRIPTS,
)
SAVED = "pipeprof-out/{}-20260731T101112Z.json"
COPIED = re.compile(r" *(Next|Saved|try|why|Try) ")
SCREEN = 45
"""Lines of the default report of the JPEG example."""
BEFORE = Path(__file__).parents[2] / "recorded" / "reports"
"""Reports of the recorded profiles as they were when there was only one report, the complete one."""
NUMBER = re.compile(r"(?<![\w.])\d[\d,]*(?:\.\d+)?")

Recorded = Callable[[str], Profile]


def report(profile: Profile, name: str = "x", selection: Selection | None = None, **style: object) -> str:
    return paint(build_report(profile, SAVED.format(name), selection), Style(**{"width": 80, **style}))


def full(profile: Profile, *sections: str, **style: object) -> str:
    return report(profile, selection=Selection(verbose=True, sections=sections), **{"width": 120, **style})


def copied(blocks: Iterable[Block]) -> Iterator[str]:
    """Lines of code, which are never wrapped."""
    for block in blocks:
        if isinstance(block, Code) and not block.cut:
            yield from block.text.splitlines()
        elif isinstance(block, Table):
            yield from copied(inner for below in block.below.values() for inner in below)
        elif isinstance(block, Alternatives):
            yield from copied(inner for version in block.versions for inner in version)


@pytest.mark.parametrize("width", [80, 100, 120])
@pytest.mark.parametrize("name", NAMES)
def test_golden(name: str, width: int, recorded: Recorded, golden: Callable[[str, str], None]) -> None:
    golden(f"report/{name}-{width}.txt", report(recorded(name), name, width=width))


@pytest.mark.parametrize("name", NAMES)
def test_golden_in_full(name: str, recorded: Recorded, golden: Callable[[str, str], None]) -> None:
    text = report(recorded(name), name, Selection(verbose=True), width=120)
    golden(f"report/{name}-verbose-120.txt", text)


def test_golden_ascii(recorded: Recorded, golden: Callable[[str, str], None]) -> None:
    text = report(recorded("jpeg-folder"), "jpeg-folder", width=100, unicode=False)
    assert text.isascii()
    golden("report/jpeg-folder-100-ascii.txt", text)


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_is_shown_as_one(name: str, recorded: Recorded) -> None:
    text = report(recorded(name), name, width=120)
    assert "the training waits for data" in text
    assert "the device" not in text
    assert " of train.py" in text
    assert "--change" not in text


@pytest.mark.parametrize("times", [True, False], ids=["measured", "without times"])
def test_of_a_short_script_the_stage_with_all_the_time_is_named(times: bool, recorded: Recorded) -> None:
    profile = recorded("script-loop").model_copy(deep=True)
    profile.findings = []
    assert profile.stages is not None
    if not times:
        # One batch of three was measured, and no model was read.
        for stage in profile.stages:
            stage.share = stage.time_ms_per_batch = None
    shown = report(profile, width=120)
    assert "Nothing suspected" not in shown
    assert "Nothing was tried" in shown
    assert profile.verdict is not None
    profile.verdict.bound = "step"
    assert "Nothing suspected" in report(profile, width=120)


@pytest.mark.parametrize("width", [80, 100, 120])
def test_the_report_is_one_screen(width: int, recorded: Recorded) -> None:
    text = report(recorded("jpeg-folder"), "jpeg-folder", width=width)
    assert len(text.splitlines()) <= SCREEN
    order = ["Input-bound", "Steps", "Pipeline", "Memory", "What to change", "Saved", "Next"]
    assert [word for line in text.splitlines() for word in order if line.startswith(word)] == order


@pytest.mark.parametrize("path", sorted(BEFORE.glob("*.txt")), ids=lambda path: path.stem)
def test_the_complete_report_has_every_number_of_the_former_one(path: Path, recorded: Recorded) -> None:
    # Verdict and next command have other numbers now, of which there are tests of their own.
    body = path.read_text().partition("\n\n")[2].partition("\nVerdict ")[0]
    # Rates were decimal once, and those of the baseline had two units.
    before = set(NUMBER.findall(re.sub(r"[\d.,]+ [kMG]B/s|floor of next\(\)[^,]*,", "", body)))
    assert len(before) > 20
    # Wide enough for every column.
    now = set(NUMBER.findall(full(recorded(path.stem), width=200)))
    assert before <= now, sorted(before - now)


def test_sections_are_those_of_the_help() -> None:
    assert tuple(SECTIONS) == SECTION_NAMES


@pytest.mark.parametrize("name", NAMES)
def test_sections_are_the_complete_report(name: str, recorded: Recorded) -> None:
    profile = recorded(name)
    whole = full(profile).splitlines()
    parts = [line for section in SECTIONS for line in full(profile, section).splitlines()]
    assert [line for line in parts if line] == [line for line in whole if line][: len([line for line in parts if line])]
    assert full(profile, "memory", "steps") == full(profile, "steps", "memory")
    if profile.steps:
        assert full(profile, "steps").startswith("Steps ")


@pytest.mark.parametrize("verbose", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_what_is_written_first_does_not_depend_on_what_is_tried(name: str, verbose: bool, recorded: Recorded) -> None:
    profile, selection = recorded(name), Selection(verbose=verbose)
    before = build_parts(profile, None, selection)[:2]
    measured = {"speedup": 9.0, "low": 8.0, "high": 10.0, "peak_rss_delta_bytes": -(10**9)}
    kept = {"rule": "a", "title": "A", "status": "kept", "stage": "stages.0", "measured": measured}
    profile.findings = [Finding.model_validate({**kept, "family": family}) for family in ("speed", "memory")]
    profile.verification = Verification(seconds=1.0, budget_seconds=9.0, mode="pairs", tried=3, block_seconds=0.3)
    profile.warnings = [*profile.warnings, Message(code="verification-interrupted", message="so")]
    assert build_parts(profile, None, selection)[:2] == before
    profile.findings = []
    assert build_parts(profile, None, selection)[:2] == before


@pytest.mark.parametrize("name", NAMES)
def test_recorded_verdicts_are_those_of_today(name: str, recorded: Recorded) -> None:
    assert recorded(name).verdict == conclude(recorded(name))


@pytest.mark.parametrize("selection", [None, Selection(verbose=True)], ids=["screen", "full"])
@pytest.mark.parametrize(
    ("width", "unicode"), [(40, True), (40, False), (57, False), (80, True), (97, False), (120, True), (120, False)]
)
@pytest.mark.parametrize("name", NAMES)
def test_fits_except_for_what_is_copied(
    name: str, width: int, unicode: bool, selection: Selection | None, recorded: Recorded
) -> None:
    lines = report(recorded(name), name, selection, width=width, unicode=unicode).splitlines()
    code = list(copied(build_report(recorded(name), selection=selection)))
    code = {line.strip() for line in (*code, *map(in_ascii, code))}
    wide = [line for line in lines if cell_len(line) > width and not COPIED.match(line)]
    assert [line for line in wide if line.removeprefix("    Python").removeprefix("    YAML").strip() not in code] == []


@pytest.mark.parametrize("selection", [None, Selection(verbose=True)], ids=["screen", "full"])
@pytest.mark.parametrize("name", NAMES)
def test_no_trailing_blanks_and_no_double_empty_lines(
    name: str, selection: Selection | None, recorded: Recorded
) -> None:
    text = report(recorded(name), name, selection)
    assert not re.search(r"[ \t]$", text, re.MULTILINE)
    assert "\n\n\n" not in text


@pytest.mark.parametrize("selection", [None, Selection(verbose=True)], ids=["screen", "full"])
def test_colour_adds_nothing_but_escapes(selection: Selection | None, recorded: Recorded) -> None:
    profile = recorded("jpeg-folder")
    colored = report(profile, selection=selection, color=True)
    assert "\x1b[" in colored
    plain = re.sub(r"\x1b\[[0-9;]*m", "", colored)
    assert [line.rstrip() for line in plain.splitlines()] == report(profile, selection=selection).splitlines()


def test_narrow_drops_whole_columns_in_their_order(recorded: Recorded) -> None:
    def head(width: int) -> str:
        lines = full(recorded("input-bound"), width=width).splitlines()
        return next(line for line in lines if line.startswith("  #"))

    assert "MiB/element" in head(120)
    assert "MiB/element" not in head(85)
    assert "share" in head(80)
    assert "written" in head(50)
    assert "holds" not in head(50)


@pytest.mark.parametrize(
    "hostile", ["\x1b[31mred", "a\nb", "a\rb", "\u202eevil", "[bold]x[/bold]", "\x07", "a\tb", "\x9b1m"]
)
def test_names_cannot_do_anything(hostile: str, recorded: Recorded) -> None:
    profile = recorded("input-bound")
    calm = full(profile)
    assert profile.stages is not None
    profile.stages[1].name = hostile
    profile.target.name = hostile
    profile.verdict = conclude(profile)
    for text in (full(profile), report(profile, width=120)):
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", text)
        assert len(text.splitlines()) <= len(calm.splitlines()) + 2
        if hostile.startswith("["):
            assert hostile in text


@given(name=st.text(max_size=30))
def test_any_name_renders(name: str) -> None:
    profile = Profile(
        tool=Tool(version="0"),
        target=Target(kind="spec", text=name, name=name),
        host=Host(system=name, machine="m", cores=1, name=name),
        stages=[Stage(id="source", origin="written", op="range", name=name)],
        errors=[Problem(code="raised", message=name, stage="source")],
        output=name,
    )
    profile.verdict = conclude(profile)
    for unicode in (True, False):
        for selection in (None, Selection(verbose=True)):
            text = report(profile, selection=selection, unicode=unicode)
            text.encode("utf-8" if unicode else "ascii")
            assert "\x1b" not in text


def test_without_a_saved_file_there_is_no_path(recorded: Recorded) -> None:
    assert "Saved" not in paint(build_report(recorded("input-bound")), Style())


def test_what_runs_is_not_claimed_without_a_graph(recorded: Recorded) -> None:
    profile = recorded("out-of-memory")
    profile.stages = [stage.model_copy(update={"tf_op": None, "executed": None}) for stage in profile.stages or []]
    text = full(profile)
    assert "as written; the graph that TensorFlow runs was not read" in text
    assert "as TensorFlow runs it" not in text
    assert "decode (map)" in text
    assert "as written: the graph that TensorFlow runs was not read" in " ".join(report(profile).split())


def line_of(text: str, key: str) -> str:
    return next((line for line in text.splitlines() if line.startswith(key)), "")


def test_nothing_to_change(recorded: Recorded) -> None:
    profile = recorded("step-bound")
    profile.headspace = Headspace(interval_ms=10.0, replayed_ms=9.9, share=0.01, speedup=1.01, batches=4)
    profile.findings, profile.warnings = [], []
    profile.verdict = conclude(profile)
    text = report(profile, width=100)
    assert line_of(text, "  speed").endswith("  even a free pipeline would save only 1.0 %")
    assert text.count("even a free pipeline") == text.count("\nNothing to change\n") == 1
    assert "What to change" not in text
    assert "Next" not in text
    memory = [line for line in text.partition("\nMemory")[2].splitlines() if line]
    assert memory[1].startswith("Nothing to change"), "one line on memory where nothing is wrong"
    profile.verdict.details.append(VerdictDetail(label="memory", text="1.9 GiB at the peak"))
    assert "Nothing to change" not in report(profile, width=100)


@pytest.mark.parametrize(
    ("ops", "epochs", "about"),
    [
        (("range", "repeat", "batch"), 0, False),
        (("range", "batch", "repeat"), 0, True),
        (("range", "batch"), 0, False),
        (("range", "batch"), 2, True),
    ],
)
def test_elements_of_batches_that_may_be_shorter_are_about_so_many(
    recorded: Recorded, ops: Sequence[str], epochs: int, about: bool
) -> None:
    profile = recorded("jpeg-folder")
    assert profile.steps is not None
    profile.steps.epochs = epochs
    profile.stages = [
        Stage(id=f"stages.{place}" if place >= 0 else "source", op=op, origin="written")
        for place, op in enumerate(ops, -1)
    ]
    assert elements_rate(profile, 100.0) == ("about " if about else "") + "100 elements/s"


def test_processes_of_one_pipeline_that_differ_are_a_caution(recorded: Recorded) -> None:
    profile = recorded("jpeg-folder")
    profile.warnings = []
    for apart, doubted in ((1.09, False), (1.22, True)):
        profile.verification = Verification(
            seconds=1.0, budget_seconds=60.0, mode="alternating", tried=1, block_seconds=0.3, apart=apart
        )
        text = " ".join(report(profile, width=120).split())
        assert ("differed by 22 % while changes were tried" in text) is doubted
        assert ("Reliable" in text) is not doubted


def test_trust_is_one_line_or_a_caution(recorded: Recorded) -> None:
    profile = recorded("jpeg-folder")
    profile.warnings = []
    profile.contention = Contention(runnable_wait_share=0.0, steal_share=0.0, worker_cores=1.0, others_cores=0.0)
    profile.overhead.loop_share, profile.overhead.wake_share = 0.003, 0.001
    line = line_of(report(profile, width=120), "Reliable")
    assert line.split()[1:3] == ["settled", "after"]
    assert line.endswith(" · nothing else used the cores · pipeprof itself 0.4 %")
    profile.contention = Contention(others_cores=1.2, worker_cores=0.9, steal_share=0.04, throttled_seconds=3.0)
    profile.warnings = [Message(code="not-settled", message="…")]
    profile.overhead.wake_share = 0.3
    text = " ".join(report(profile, width=120).split())
    assert "Reliable" not in text
    for doubt in (
        "the warm-up had not settled",
        "other processes used 1.2 of 2 cores",
        "took 4.0 % of the CPU time (steal)",
        "throttled by the CPU quota for 3.00 s",
    ):
        assert doubt in text
    assert "ended late" not in text, "other processes are the cause"
    profile.contention = None
    assert "the simulated step ended late, 30 % of the time in all" in " ".join(report(profile, width=120).split())
    profile.overhead.wake_share, profile.overhead.loop_share = 0.001, 0.07
    assert "pipeprof itself took 7.1 % of the time" in " ".join(report(profile, width=120).split())


def test_notes_are_only_counted(recorded: Recorded) -> None:
    profile = recorded("input-bound")
    profile.warnings = [
        Message(code="stages-alias", message="a note"),
        Message(code="repeated", message="a note"),
        Message(code="no-trace", message="what matters"),
    ]
    text = report(profile, width=120)
    assert "a note" not in text
    assert "! no-trace: what matters" in text
    assert "Reliable" not in text
    assert "all numbers and 2 notes: pipeprof show -v" in text
    assert full(profile, "warnings").count("a note") == 2


@pytest.mark.parametrize(("above", "asked", "owned"), [(0.25, False, False), (0.25, True, True), (0.5, False, True)])
def test_large_memory_and_memory_that_was_asked_about_has_owners_without_a_finding(
    recorded: Recorded, above: float, asked: bool, owned: bool
) -> None:
    profile, mib = recorded("step-bound"), 1 << 20
    profile.findings = []
    profile.memory.baseline_bytes, profile.memory.peak_bytes = 600 * mib, 600 * mib + int(above * 800 * mib)
    profile.memory.ledger = [LedgerEntry(owner="cache", stage="stages.0", bytes=150 * mib, how="measured")]
    profile.host.memory_limit_source = "option" if asked else "machine"
    assert ("\n  150 read" in report(profile)) == owned
    profile.memory.growth_bytes_per_second, profile.memory.seconds_to_limit = 50.0 * mib, 30.0
    assert "30.0 s from the limit" in report(profile)


def test_threads_that_wake_up_on_free_cores_are_no_contention(recorded: Recorded) -> None:
    profile = recorded("step-bound")
    profile.cpu = CpuAccount(total_ms=1.0, stages_ms=1.0, runtime_ms=0.0, waiting_share=0.44)
    profile.contention = Contention(runnable_wait_share=0.44, worker_cores=0.04, others_cores=0.02)
    assert line_of(full(profile), "Contention").split(maxsplit=1)[1].startswith("none, cores were free")
    assert "waiting for a core" not in full(profile)
    assert "other processes" not in report(profile)
    profile.contention.others_cores = profile.host.cores
    assert "44 % of the threads' time waiting for a core" in line_of(full(profile), "Contention")
    assert "waiting for a core 44 % of the threads' time" in full(profile)
    assert "other processes used 8.0 of 8 cores" in " ".join(report(profile).split())


def test_an_error_shows_the_users_own_frames(recorded: Recorded) -> None:
    profile = recorded("raised")
    text = report(profile)
    frames = [
        "    data/records.py:7 in load",
        '      return parse(index, b"" if index == 2 else b"1.5")',
        "    data/records.py:12 in parse",
        '      raise ValueError(f"record {index} is empty")',
    ]
    assert "\n".join(frames) in text
    assert "site-packages" not in text
    assert "iterator_ops.py" in full(profile, "errors")
    assert "".join((profile.errors[0].traceback or "").split()) in "".join(full(profile, "errors").split())
    error = profile.errors[0]
    error.frames[1] = replace(error.frames[1], source=None, function=None)
    assert "    data/records.py:12\n" in report(profile)


def with_stage(profile: Profile, **changes: object) -> Profile:
    """The profile with changes of its stage `decode`."""
    stages = [stage.model_copy(update=changes) if stage.ops else stage for stage in profile.stages or []]
    return profile.model_copy(update={"stages": stages})


def test_parts_of_a_stage_never_exceed_it_and_python_is_inside_its_op(recorded: Recorded) -> None:
    changed = with_stage(
        recorded("input-bound"),
        time_ms_per_batch=70.0,
        cpu_ms_per_batch=40.0,
        blocked_ms_per_batch=10.0,
        ops=[OpCost(op="DecodeJpeg", ms_per_batch=60.0), OpCost(op="PyFunc", ms_per_batch=40.0)],
        python=[
            PythonCost(function="jitter", ms_per_batch=60.0, share=0.75),
            PythonCost(function="load", ms_per_batch=20.0, share=0.25),
        ],
        calling_ms_per_batch=None,
    )
    assert "decode: DecodeJpeg 60 % · PyFunc 40 % (jitter() 30 %, load() 10 %)" in " ".join(report(changed).split())
    rows = {line.split()[-4 if "decode (map)" in line else 0]: line for line in full(changed, "time").splitlines()}
    assert "PyFunc" in rows
    inner = rows["jitter()"]
    assert inner.index("jitter()") == rows["PyFunc"].index("PyFunc") + 2
    assert next(word for word in inner.split() if re.fullmatch(r"[\d.]+", word)) == "15.0"


def test_ops_that_are_not_named_are_other_ops(recorded: Recorded) -> None:
    ops = {"RFFT": 42.0, "ComplexAbs": 18.0, "MklMatMul": 8.0, "Pad": 6.0, "Mul": 4.0, "GatherV2": 4.0}
    changed = with_stage(
        recorded("input-bound"),
        time_ms_per_batch=100.0,
        cpu_ms_per_batch=100.0,
        blocked_ms_per_batch=0.0,
        ops=[OpCost(op=op, ms_per_batch=ms) for op, ms in ops.items()],
        python=[],
        calling_ms_per_batch=5.0,
        calls_per_batch=1.0,
    )
    inside = "RFFT 42 % · other ops, copies and waiting 27 % · ComplexAbs 18 % · MklMatMul 8 % · calling it 5 %"
    assert f"decode: {inside}" in " ".join(report(changed).split())


def test_what_only_calls_python_has_no_other_ops() -> None:
    stage = Stage(id="source", origin="written", op="from_generator", cpu_ms_per_batch=100.0)
    stage.ops = [OpCost(op="PyFunc", ms_per_batch=30.0)]
    assert "other ops" not in describe_inside(stage)


def test_a_function_seen_twice_is_named_once_and_what_is_in_no_function_is_explained(recorded: Recorded) -> None:
    seen = [("read", 21, 12.0), ("scale", 30, 4.0), ("read", 22, 3.0)]
    changed = with_stage(
        recorded("input-bound"),
        time_ms_per_batch=100.0,
        cpu_ms_per_batch=100.0,
        blocked_ms_per_batch=0.0,
        ops=[OpCost(op="PyFunc", ms_per_batch=90.0)],
        python=[PythonCost(function=name, line=line, ms_per_batch=ms, share=ms / 19) for name, line, ms in seen],
        calling_ms_per_batch=None,
    )
    inside = "PyFunc 90 % (read() 15 %, scale() 4 %, calling Python and waiting for the GIL 71 %) · other ops"
    assert f"decode: {inside}" in " ".join(report(changed).split())


def many(profile: Profile, count: int = 12) -> Profile:
    """The profile with many stages, of which two cost something."""
    known = {"origin": "written", "op": "map", "tf_op": "MapDataset", "timed_by": "model"}
    stages = [
        Stage.model_validate({"id": f"stages.{number}", "time_ms_per_batch": 0.1, "share": 0.001, **known})
        for number in range(count)
    ]
    stages[3].time_ms_per_batch, stages[3].share, stages[3].name = 80.0, 0.8, "decode"
    stages[7].buffered_bytes, stages[7].op = 300_000_000, "shuffle"
    return profile.model_copy(update={"stages": stages, "findings": [], "verdict": Verdict(sentence="A sentence.")})


def test_many_cheap_stages_share_a_row(recorded: Recorded) -> None:
    profile = many(recorded("input-bound"))
    table = report(profile, width=100).partition("\nPipeline")[2].partition("\nMemory")[0]
    rows = [" ".join(line.split()) for line in table.splitlines()]
    assert [row.split()[0] for row in rows[2:4]] == ["3", "7"]
    assert rows[4] == "10 other stages 1.0 1 %"
    assert full(profile, "pipeline").count(" map") == 10
    few = many(recorded("input-bound"), 8)
    assert "other stages" not in report(few)
    assert profile.verdict is not None
    profile.verdict.stage = "stages.9"
    assert "9 other stages" in " ".join(report(profile, width=100).split())


def test_a_long_report_leaves_out_what_the_complete_one_has(recorded: Recorded) -> None:
    profile = recorded("script-fit")
    whole = paint(build_report(profile, None, Selection(sections=("findings",))), Style(width=100))
    text = report(profile, "script-fit", width=100)
    assert "pipeprof explain" in whole
    assert "start-up" in text
    assert text.count("\n") <= MOST_LINES
    profile.findings = 2 * (profile.findings or [])
    text = report(profile, "script-fit", width=100)
    assert "pipeprof explain" not in text
    assert "start-up" in text


WORDS = "store the pictures at the size that is used, or do the work of the stage once, before the run; "


def long_finding(number: int, status: str, lines: int) -> Finding:
    """A change that only its lines make, with all that may stand below its title."""
    code = "\n".join(f"made_{number} = call_{line}()" for line in range(lines))
    edit = {"kind": "HandWritten", "stages": ["stages.1"], "yaml": "", "python": code}
    measured = {"speedup": 3.0, "low": 2.9, "high": 3.1, "pairs": [3.0] * 12, "conclusion": WORDS * 2}
    return Finding.model_validate(
        {
            "rule": "py-function-gil", "title": f"Finding {number}", "family": "speed", "semantics": "same",
            "status": status, "stage": "stages.1", "edit": edit, "python": code, "change": WORDS * 4,
            "sentence": WORDS * 4, "reason": WORDS * 2, "measured": measured if status != "unverified" else None,
        }
    )  # fmt: skip


@settings(max_examples=8, phases=[Phase.generate])
@given(
    kept=st.integers(0, 3),
    bounds=st.integers(0, 3),
    about_data=st.integers(0, 2),
    open_ones=st.integers(0, 12),
    lines=st.integers(1, 8),
    stages=st.integers(2, 30),
    warnings=st.integers(0, 2),
    printed=st.integers(0, 40),
)
def test_a_report_of_any_length_fits_and_keeps_what_matters(
    kept: int, bounds: int, about_data: int, open_ones: int, lines: int, stages: int, warnings: int, printed: int
) -> None:
    profile = load_profile(RECORDED / "script-fit.json")
    profile.target.kind = "function"
    statuses = ["kept"] * kept + ["ceiling"] * bounds + ["unverified"] * (about_data + open_ones)
    profile.findings = [long_finding(number, status, lines) for number, status in enumerate(statuses, 1)]
    wrong = range(kept + bounds, kept + bounds + about_data)
    for place in wrong:
        changed = {"family": "correctness", "change": f"Mend {place}.", "sentence": f"Seen {place}."}
        profile.findings[place] = profile.findings[place].model_copy(update=changed)
    profile.stages = [
        Stage.model_validate({"id": f"stages.{place}", "origin": "written", "op": "map", "name": f"f{place}",
                              "time_ms_per_batch": 1.0, "share": 1 / stages, "inputs_each": 2.0})
        for place in range(stages)
    ]  # fmt: skip
    profile.verdict = Verdict(
        headline="Input-bound: the device waits.",
        sentence="Input-bound.",
        details=[
            VerdictDetail(label=label, text=WORDS * 2)
            for label in ("bottleneck", "cores", "thrown away", "step", "restarts", "at best", "start-up", "memory")
        ],
    )
    profile.verification = Verification(
        seconds=1.0, budget_seconds=60.0, mode="pairs", tried=3, block_seconds=0.3, without_gain=["a"],
        bounds=[f"unknown upper bound of decode: {WORDS}\n{WORDS * 3}"] * 2,
        not_tried=[NotTried(reason="the budget has no time for it", changes=[WORDS, WORDS], out_of_budget=True)],
        needs_seconds=90,
    )  # fmt: skip
    profile.warnings = [Message(code="errors-ignored", message=f"Loses data {number}.") for number in range(warnings)]
    profile.output = "\n".join(f"line {number}" for number in range(printed))
    text = report(profile, width=100)
    headline, measured, rest = (paint(part, Style(width=100)).count("\n") for part in build_parts(profile, "x"))
    assert headline + measured <= MOST_MEASURED + 1
    assert rest <= MOST_LINES
    assert text.startswith("Input-bound: the device waits.\n  bottleneck ")
    assert all(f"Finding {number} " in text for number in range(1, kept + bounds + about_data + 1))
    assert all(f"Mend {place}." in text and f"Seen {place}." in text for place in wrong)
    assert all(f"Loses data {number}." in text for number in range(warnings))
    assert "\nNext " in text
    assert statuses == [] or "made_1 = call_0()" in text
    if not all(f"made_{number} = call_0()" in text for number in range(1, kept + bounds + 1)):
        # What is worth less has gone before.
        assert "\nReliable" not in text


@pytest.mark.parametrize("label", ["restarts", "step"])
def test_restarts_of_the_dataset_stand_once_on_a_screen(label: str, recorded: Recorded) -> None:
    profile = recorded("step-bound")
    assert profile.steps is not None
    assert profile.verdict is not None
    profile.steps.epochs, profile.steps.restart_share = 3, 0.2
    profile.verdict.details = [VerdictDetail(label=label, text="3 restarts of 20.0 ms")]
    # Those that cost little stand in the complete report alone.
    assert "ended and restarted" not in report(profile)
    assert "ended and restarted 3 times" in full(profile)


@pytest.mark.parametrize("brief", [False, True])
@pytest.mark.parametrize("grows", [False, True])
def test_lines_on_memory_keep_their_heading_on_a_full_screen(grows: bool, brief: bool, recorded: Recorded) -> None:
    profile = recorded("input-bound")
    profile.host.memory_limit_bytes = 1024**3
    if grows:
        profile.memory.growth_bytes_per_second, profile.memory.seconds_to_limit = 50.0 * 1024**2, 30.0
    blocks = list(build_memory(profile, brief=brief))
    for spare in range(1, 11):
        blocks = without(blocks, spare)
    text = paint(blocks, Style(width=100))
    assert text.startswith("Memory  peak ") == grows
    assert ("memory grew" in text) == grows


def test_a_headline_is_bold_up_to_the_colon_that_ends_words(recorded: Callable[[str], Profile]) -> None:
    profile = recorded("raised")
    assert profile.verdict is not None
    profile.verdict.headline = "Failed at map (train.py:19) in phase warmup: it raised"
    (head,) = [block for block in build_verdict(profile) if isinstance(block, Prose)]
    assert [span.text for span in head.text if isinstance(span, TextSpan)] == [
        "Failed at map (train.py:19) in phase warmup:",
        " it raised",
    ]


def test_a_profile_whose_steps_took_no_time_is_shown(recorded: Callable[[str], Profile]) -> None:
    profile = recorded("input-bound")
    assert profile.steps is not None
    profile.steps.interval_ms.mean = 0.0
    assert report(profile, width=100)
