"""The text report: goldens, and what holds for every profile, width and receiver."""

import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from pipeprof.cli.report.report import build_report
from pipeprof.cli.text.paint import paint
from pipeprof.cli.text.style import Style
from pipeprof.profiles.document.measured import Contention
from pipeprof.profiles.document.messages import Problem
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.document.subject import Host, Target, Tool
from pipeprof.profiles.document.time import Ceiling, CeilingTerm, CpuAccount
from pipeprof.profiles.time.verdict import conclude

NAMES = ("input-bound", "step-bound", "step-none", "out-of-memory", "interrupted", "no-model")
SAVED = "pipeprof-out/{}-20260731T101112Z.json"
COPIED = re.compile(r"(Next|Saved) ")

Recorded = Callable[[str], Profile]


def report(profile: Profile, name: str = "x", **style: object) -> str:
    return paint(build_report(profile, SAVED.format(name)), Style(**{"width": 80, **style}))


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("name", NAMES)
def test_golden(name: str, width: int, recorded: Recorded, golden: Callable[[str, str], None]) -> None:
    golden(f"report/{name}-{width}.txt", report(recorded(name), name, width=width))


def test_golden_ascii(recorded: Recorded, golden: Callable[[str, str], None]) -> None:
    text = report(recorded("step-bound"), "step-bound", width=120, unicode=False)
    assert text.isascii()
    golden("report/step-bound-120-ascii.txt", text)


@pytest.mark.parametrize("name", NAMES)
def test_recorded_verdicts_are_those_of_today(name: str, recorded: Recorded) -> None:
    assert recorded(name).verdict == conclude(recorded(name))


@pytest.mark.parametrize("width", [40, 57, 80, 97, 120])
@pytest.mark.parametrize("unicode", [True, False])
@pytest.mark.parametrize("name", NAMES)
def test_fits_except_for_what_is_copied(name: str, width: int, unicode: bool, recorded: Recorded) -> None:
    lines = report(recorded(name), name, width=width, unicode=unicode).splitlines()
    assert [line for line in lines if cell_len(line) > width and not COPIED.match(line)] == []


@pytest.mark.parametrize("name", NAMES)
def test_no_trailing_blanks_and_no_double_empty_lines(name: str, recorded: Recorded) -> None:
    text = report(recorded(name), name)
    assert not re.search(r"[ \t]$", text, re.MULTILINE)
    assert "\n\n\n" not in text


def test_colour_adds_nothing_but_escapes(recorded: Recorded) -> None:
    profile = recorded("input-bound")
    colored = report(profile, color=True)
    assert "\x1b[" in colored
    plain = re.sub(r"\x1b\[[0-9;]*m", "", colored)
    assert [line.rstrip() for line in plain.splitlines()] == report(profile).splitlines()


def test_narrow_drops_whole_columns_in_their_order(recorded: Recorded) -> None:
    def head(width: int) -> str:
        lines = report(recorded("input-bound"), width=width).splitlines()
        return next(line for line in lines if line.startswith("  at"))

    assert "MiB/element" in head(120)
    assert "MiB/element" not in head(85)
    assert "share" in head(80)
    assert "written" in head(50)
    assert "buf." not in head(50)


@pytest.mark.parametrize(
    "hostile", ["\x1b[31mred", "a\nb", "a\rb", "\u202eevil", "[bold]x[/bold]", "\x07", "a\tb", "\x9b1m"]
)
def test_names_cannot_do_anything(hostile: str, recorded: Recorded) -> None:
    profile = recorded("input-bound")
    calm = report(profile)
    assert profile.stages is not None
    profile.stages[1].name = hostile
    profile.target.name = hostile
    profile.verdict = conclude(profile)
    text = report(profile, width=120)
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
        text = report(profile, unicode=unicode)
        text.encode("utf-8" if unicode else "ascii")
        assert "\x1b" not in text


def test_without_a_saved_file_there_is_no_path(recorded: Recorded) -> None:
    text = paint(build_report(recorded("input-bound")), Style())
    assert "Saved" not in text


def test_what_runs_is_not_claimed_without_a_graph(recorded: Recorded) -> None:
    profile = recorded("out-of-memory")
    profile.stages = [stage.model_copy(update={"tf_op": None, "executed": None}) for stage in profile.stages or []]
    text = report(profile)
    assert "as written; TensorFlow's graph of it was not read" in text
    assert "as TensorFlow runs it" not in text
    assert "decode (map)" in text


def test_repeated_output_is_counted(recorded: Recorded) -> None:
    assert "(3 times)" in report(recorded("out-of-memory"), width=120)


def line_of(profile: Profile, key: str) -> str:
    return next(line for line in report(profile, width=120).splitlines() if line.startswith(key))


def test_what_a_look_costs_is_no_share_of_a_few_steps(recorded: Recorded) -> None:
    profile = recorded("input-bound")
    assert "0.1 % of the step loop" in line_of(profile, "Overhead")
    profile.steps.seconds, profile.overhead.loop_share = 0.004, 1.67
    assert line_of(profile, "Overhead").startswith("Overhead    of 4.00 ms of steps nobody can tell · ")


def test_memory_of_tracing_is_told_apart_where_it_is_much(recorded: Recorded) -> None:
    profile = recorded("step-bound")
    (trace,) = [phase for phase in profile.phases if phase.name == "trace"]
    told = "the trace's own memory is no part of the peak"
    trace.peak_rss_bytes = profile.memory.peak_bytes
    assert told not in report(profile, width=120)
    trace.peak_rss_bytes = 2 * (profile.memory.peak_bytes or 0)
    assert told in report(profile, width=120)


def test_threads_that_are_woken_on_free_cores_are_no_contention(recorded: Recorded) -> None:
    profile = recorded("step-bound")
    profile.cpu = CpuAccount(total_ms=1.0, stages_ms=1.0, runtime_ms=0.0, waiting_share=0.44)
    profile.contention = Contention(runnable_wait_share=0.44, worker_cores=0.04, others_cores=0.02)
    assert line_of(profile, "Contention").split(maxsplit=1)[1].startswith("none, cores were free")
    assert "waiting for a core" not in report(profile, width=120)
    profile.contention.others_cores = profile.host.cores
    assert "44 % of the threads' time waiting for a core" in line_of(profile, "Contention")
    assert "waiting for a core 44 % of the threads' time" in report(profile, width=120)


@pytest.mark.parametrize(("calls", "words"), [(31.97, "32 times"), (1.0006, "once")])
def test_calling_a_function_stands_among_its_ops(recorded: Recorded, calls: float, words: str) -> None:
    profile = recorded("input-bound")
    stages = [
        stage.model_copy(update={"calling_ms_per_batch": 15.0, "calls_per_batch": calls}) if stage.ops else stage
        for stage in profile.stages or []
    ]
    lines = report(profile.model_copy(update={"stages": stages}), width=120).splitlines()
    (at,) = [number for number, line in enumerate(lines) if line.startswith("  inside")]
    assert [line.split()[-2] for line in lines[at + 1 : at + 5]][1] == "PyFunc"
    assert " ".join(lines[at + 3].split()).startswith(f"(calling it {words}) 15.0")


def test_waiting_for_a_core_is_that_of_the_stages_where_they_were_looked_at(recorded: Recorded) -> None:
    profile = recorded("input-bound")
    assert profile.cpu is not None
    cpu = profile.cpu.model_copy(update={"waiting_ms": 3.0, "throttled_share": 0.012})
    text = " ".join(report(profile.model_copy(update={"cpu": cpu}), width=120).split())
    assert "6.60 ms besides; waiting for a core 3.00 ms besides; held back by the quota 1.2 % of the time" in text


def test_threads_for_functions_are_counted_in_the_ceiling(recorded: Recorded) -> None:
    profile = recorded("input-bound")
    term = CeilingTerm(resource="threads", batches_per_second=48.9, stage="stages.0", threads=2.0)
    ceiling = Ceiling(batches_per_second=48.9, resource="threads", stage="stages.0", terms=[term])
    text = report(profile.model_copy(update={"ceiling": ceiling}), width=120)
    assert "Ceiling 48.9 batches/s by 2 threads for functions (0 decode (map))" in text


def test_times_of_the_trace_beside_those_of_the_model_are_marked(recorded: Recorded) -> None:
    profile = recorded("step-bound")
    first = next(stage for stage in profile.stages or [] if stage.inside_ms)
    first.timed_by, first.time_ms_per_batch = "trace", 12.3
    others = [stage for stage in profile.stages or [] if stage.inside_ms and stage is not first]
    for stage in others:
        stage.timed_by = "model"
    text = report(profile, width=120)
    assert "~12.3" in text
    assert "~ as the trace shows" in text
    for stage in others:
        stage.timed_by = "trace"
    assert "~" not in report(profile, width=120).partition("Memory")[0]
