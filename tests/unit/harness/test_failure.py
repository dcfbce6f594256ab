"""How a sample ended, in one paragraph: every reason with every kind of evidence."""

from __future__ import annotations

import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from unit.view.views import pipeline, stage
from unit.worker.fakes import (
    DONE,
    GIB,
    GREW,
    MIB,
    FakeSampler,
    FakeSeconds,
    beat,
    drained,
    error,
    measured,
    model_node,
    observed,
    phase,
    phase_end,
    plan,
    sample,
    stage_at,
)

from pipeprof.pipelines.target.target import ParsedTarget
from pipeprof.profiles.document.shared import ErrorFrame
from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.harness import failure as failure_module
from pipeprof.profiles.harness.event_loop import Ended
from pipeprof.profiles.harness.failure import Circumstances, Failure, diagnose
from pipeprof.profiles.harness.received import Observed
from pipeprof.profiles.host import limits
from pipeprof.profiles.host.limits import MemoryLimit, OomReport
from pipeprof.profiles.protocol.channel import CHANNEL_LOST
from pipeprof.profiles.protocol.messages import STOPPED, Answer, Raised, ServiceRead
from pipeprof.profiles.view.view import PipelineView

STAGES = {
    "source": stage_at("source", "list_files", line=3),
    "stages.0": stage_at("stages.0", "map", name="decode", line=7),
    "stages.1": stage_at("stages.1", "shuffle", line=11),
}
FRAME = ErrorFrame("/home/me/decode.py", 33, "parse")
STACKS = 'Current thread 0x1 (most recent call first):\n  File "/home/me/decode.py", line 33 in parse\n'
MEASURING = (phase("import"), phase("measure"), beat(1234))


def view_of(stages: Mapping[str, Stage]) -> PipelineView:
    return pipeline(*(stage(one.id, one.op, name=one.name) for one in stages.values()))


def around(*, script=False, timeout=120.0, max_time=None, growth=None, peaks=None, **changes):
    target = ParsedTarget("script" if script else "spec", Path("spec.yaml"))
    values: dict[str, Any] = {
        "limit": None,
        "oom": OomReport(None),
        "stages": STAGES,
        "view": view_of(changes.get("stages", STAGES)),
    }
    sampler: Any = FakeSampler(growth=growth, peaks=peaks)
    asked = plan(target=target, timeout=timeout, max_time=max_time)
    return Circumstances(asked, sampler, **{**values, **changes})


def failed(ended, seen, *, address_space=None, lacks_proc=False, **changes):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "address_space", lambda: address_space)
        patch.setattr(failure_module, "is_missing", lambda: lacks_proc)
        failure = diagnose(ended, seen, around(**changes))
    assert failure is not None
    assert "\n" not in failure.problem.message
    assert ".." not in failure.problem.message
    assert "  " not in failure.problem.message
    return failure


def place(failure: Failure) -> tuple[str | None, int | None, int | None, str | None]:
    problem = failure.problem
    return problem.file, problem.line, problem.column, problem.stage


def complete(*more: Any) -> Observed:
    return observed(phase("measure"), measured(drained()), *more)


# Ends and their sentences

EXITS = {"interrupted": 130, "terminated": 143, "hung-up": 129, "no-tensorflow": 1, "not-started": 1}
"""Exit codes other than 5."""
IMPORTING, BUILDING, WARMING = (phase("import"),), (phase("build"),), (phase("warmup"),)
DRAINED = (phase("measure"), measured(drained()))
BAD = error(message="bad")
CRASHES = {
    signal.SIGSEGV: "a segmentation fault (SIGSEGV)",
    signal.SIGABRT: "an abort (SIGABRT)",
    signal.SIGBUS: "a bus error (SIGBUS)",
    signal.SIGFPE: "an arithmetic fault (SIGFPE)",
    signal.SIGILL: "an illegal instruction (SIGILL)",
}
AT = " at /home/me/decode.py:33"
TEN = "phase measure after 10 steps"
AFTER = "in phase measure after 1,234 steps"
UNSAMPLED = "Out of memory in phase import, 12.3 s after the start: the worker was stopped. Its memory was not sampled."
CLOSED = f"Your code closed descriptors that are not its own {AFTER}: look for os.close() and os.closerange()."
REPLACED = f"Your code replaced the worker by another program {AFTER}, `python train.py`: look for os.exec…()."
EXITED = f"{AFTER} without an exception: look for os._exit(), or exit() in a library that your code calls."
KILLED = "Another process killed the worker (SIGKILL) in phase build."
NO_NUMPY = "ModuleNotFoundError: No module named 'numpy'"
HANGING = "The pipeline hangs: no progress for 120 s (--timeout) in phase build."
GROWING = "it was still building after 15 s (5 × --timeout), with growing memory."
NO_PROC = " /proc is not mounted, and TensorFlow cannot be loaded without it."
LIBRARY = f'Thread 0x1:\n  File "{sys.prefix}/lib/site-packages/x.py", line 1 in f\n'
HERE = f" Your code was{AT}"
SEGV = CRASHES[signal.SIGSEGV]
ABORTED = "The worker crashed with an abort (SIGABRT) in phase"
SENT = f"{AFTER}: another process sent it, or your code did."
STOPPED_FROM_OUTSIDE = (
    "The process was stopped (SIGSTOP, or a debugger) and not continued: no progress for 3 s (--timeout)"
)


def growing(seconds: float) -> Observed:
    """A build whose memory last grew so many seconds after its begin."""
    clock = FakeSeconds()
    seen = observed(phase("import"), phase("build"), clock=clock)
    clock.now += seconds
    seen.take(GREW)
    return seen


def end(code: str, message: str, ended: Ended, *seen: Any, **more: Any) -> Any:
    return pytest.param(code, message, ended, seen, more, id=f"{code}: {message[:60]}")


def died(code: str, status: int, message: str, *seen: Any, **more: Any) -> Any:
    return end(code, message, Ended("exit", status), *seen, **more)


def hung(message: str, *seen: Any, suspended: bool = False, **more: Any) -> Any:
    return end("hung", message, Ended("hung", -9, suspended=suspended), *seen, **more)


@pytest.mark.parametrize(
    ("code", "message", "ended", "seen", "more"),
    [
        end("interrupted", f"Interrupted {AFTER}.", Ended("interrupted", -9), *MEASURING),
        end("terminated", f"Ended by SIGTERM {AFTER}.", Ended("terminated", -9), *MEASURING),
        end("hung-up", f"Ended by SIGHUP (the terminal was closed) {AFTER}.", Ended("hung-up", -9), *MEASURING),
        end("interrupted", "Interrupted in phase import.", Ended("interrupted", -9)),
        # Whatever was measured, and by the steps of the statistics.
        end("interrupted", f"Interrupted in {TEN}.", Ended("interrupted", 0), *DRAINED, DONE),
        end("terminated", f"Ended by SIGTERM in {TEN}.", Ended("terminated", 0), *DRAINED, DONE),
        died("exited", 0, f"Your code called exit, {TEN}: bad", *DRAINED, beat(7), error("exited", message="bad")),
        # Steps are only named in phases that have them.
        end("interrupted", "Interrupted in phase trace.", Ended("interrupted", 0), *WARMING, beat(5), phase("trace")),
        end("max-time", f"Stopped after 30 s (--max-time) {AFTER}.", Ended("max-time", -9), *MEASURING, max_time=30.0),
        died("no-tensorflow", 0, "There is none", error("no-tensorflow", kind="installation", message="There is none")),
        died("not-started", 1, f"The worker process could not start (exit status 1): {NO_NUMPY}", printed=NO_NUMPY),
        end("channel-closed", CLOSED, Ended("silent", -9), *MEASURING),
        died("channel-closed", CHANNEL_LOST, CLOSED, *MEASURING),
        *(
            end("exited", REPLACED, Ended(*how, successor="python train.py"), *MEASURING)
            for how in (("silent", -9), ("exit", 0), ("exit", CHANNEL_LOST))
        ),
        *(died("exited", code, f"The worker exited with status {code} {EXITED}", *MEASURING) for code in (0, 1, 77)),
        *(
            died("crashed", -number, f"The worker crashed with {words} in phase warmup.", *WARMING, oom=oom)
            for number, words in CRASHES.items()
            for oom in (OomReport(None), OomReport(False), OomReport(True, by="machine"))
        ),
        died("crashed", -11, f"The worker crashed with {SEGV} in phase warmup.{HERE}.", *WARMING, stacks=STACKS),
        died("crashed", -6, f"{ABORTED} import.{NO_PROC}", *IMPORTING, lacks_proc=True),
        died("crashed", -6, f"{ABORTED} build.", *BUILDING, lacks_proc=True),
        died("crashed", -6, f"{ABORTED} import.", *IMPORTING),
        *(
            died("killed", -number, f"The worker ended by {name} {SENT}", *MEASURING)
            for number, name in ((15, "SIGTERM"), (1, "SIGHUP"), (40, "signal 40"), (99, "signal 99"))
        ),
        died("crashed", -11, f"The worker crashed with {SEGV} in phase import.", *IMPORTING, address_space=2 << 30),
        died("killed", -9, f"{KILLED} The kernel reported no lack of memory.", *BUILDING, oom=OomReport(False)),
        died("killed", -9, f"{KILLED} It may have run out of memory.", *BUILDING),
        died("empty", 0, "Nothing to measure: it is empty.", *BUILDING, error("empty", message="it is empty")),
        *(
            died(code, 0, f"{did}{AT}, phase build: bad", *BUILDING, error(code, message="bad", frame=FRAME))
            for code, did in (("exited", "Your code called exit"), ("step-raised", "The step raised an exception"))
        ),
        # Also where the trace was given up, and where the worker was done.
        end("raised", f"The pipeline raised an exception, {TEN}: bad", Ended("long-trace", -9), *DRAINED, BAD),
        died("raised", 0, "The pipeline raised an exception, phase build: bad", *BUILDING, BAD, DONE),
        end(
            "out-of-memory",
            f"Out of memory {AFTER}, 12.3 s after the start: Python could not allocate more memory (bad); it used "
            "3.00 GiB. Peak by phase: measure 3.00 GiB.",
            Ended("exit", 0, last=sample(3 * GIB)),
            *MEASURING,
            error("out-of-memory", message="bad"),
            peaks={"measure": 3 * GIB},
        ),
        end("out-of-memory", UNSAMPLED, Ended("memory-limit", -9)),
        hung(f"{STOPPED_FROM_OUTSIDE} {AFTER}.", *MEASURING, suspended=True, timeout=3.0),
        hung("Starting takes too long: no progress for 60 s in phase import.", *IMPORTING, timeout=3.0),
        *(hung(HANGING, *BUILDING, stacks=stacks) for stacks in ("", LIBRARY)),
        hung(f"{HANGING}{HERE}, in parse.", *BUILDING, stacks=STACKS),
        *(
            hung(f"The pipeline hangs: {words}", timeout=3.0, grew=grew)
            for grew, words in ((15, GROWING), (13, GROWING), (11, "no progress for 3 s (--timeout) in phase build."))
        ),
    ],
)
def test_an_end_has_its_code_and_its_sentence(code, message, ended, seen, more):
    known = growing(more.pop("grew")) if "grew" in more else observed(*seen)
    failure = failed(ended, known, **more)
    assert (failure.problem.code, failure.exit_code) == (code, EXITS.get(code, 5))
    assert failure.problem.message == message


# Complete


@pytest.mark.parametrize("reason", ["exit", "memory-limit", "hung", "max-time"])
@pytest.mark.parametrize("returncode", [0, 3, -signal.SIGKILL, -signal.SIGSEGV])
def test_a_complete_measurement_did_not_fail_however_the_worker_ended(reason, returncode):
    seen = complete(phase("trace"))
    assert diagnose(Ended(reason, returncode), seen, around(oom=OomReport(True, by="machine"))) is None


@pytest.mark.parametrize(
    ("number", "words"), [(signal.SIGTERM, "by SIGTERM in phase trace"), (signal.SIGKILL, "(SIGKILL) in phase trace")]
)
def test_a_worker_that_somebody_ended_after_the_measurement_was_killed(number, words):
    failure = failed(Ended("exit", -number), complete(phase("trace")), script=True)
    assert (failure.problem.code, failure.exit_code) == ("killed", 5)
    assert words in failure.problem.message
    assert failure.problem.message.endswith(" What was to be measured is complete.")
    assert diagnose(Ended("exit", -number), complete(phase("trace"), DONE), around()) is None


# The surroundings


REFUSALS = ["MemoryError", "terminate called after throwing an instance of 'std::bad_alloc'", "can't start new thread"]


@pytest.mark.parametrize("said", REFUSALS)
@pytest.mark.parametrize("how", ["printed", "raised"])
def test_what_was_refused_under_a_limit_of_addresses_is_out_of_memory(said, how):
    seen = observed(phase("import"), *([error(message=said)] if how == "raised" else []))
    printed = said if how == "printed" else ""
    ended = Ended("exit", 0 if how == "raised" else -signal.SIGABRT)
    failure = failed(ended, seen, printed=printed, address_space=2 << 30)
    assert (failure.exit_code, failure.problem.code) == (5, "out-of-memory")
    assert "the system refused memory at the limit of 2.00 GiB for addresses (ulimit -v)" in failure.problem.message


# Raised


OF_FRAME = ("/home/me/decode.py", 33, None)


@pytest.mark.parametrize(
    ("fields", "words", "where"),
    [
        ({}, "", (None, None, None, None)),
        ({"address": "stages.0"}, " in decode (map, spec.yaml:7)", ("spec.yaml", 7, 5, "stages.0")),
        ({"address": "source", "frame": FRAME}, f" in list_files (spec.yaml:3){AT}", ("spec.yaml", 3, 5, "source")),
        ({"frame": FRAME}, AT, (*OF_FRAME, None)),
        ({"address": "mine", "frame": FRAME, "words": "mine (map)"}, f" in mine (map){AT}", (*OF_FRAME, "mine")),
        ({"address": "mine", "frame": FRAME}, f" in stage mine{AT}", (*OF_FRAME, "mine")),
    ],
)
def test_what_the_pipeline_raised_is_pinned_to_what_is_known(fields, words, where):
    failure = failed(Ended("exit", 0), observed(*MEASURING, error(**fields)))
    assert (failure.problem.code, failure.exit_code) == ("raised", 5)
    assert failure.problem.message == (
        f"The pipeline raised an exception{words}, phase measure after 1,234 steps: ValueError: bad"
    )
    assert place(failure) == where


# Died


@pytest.mark.parametrize(
    ("oom", "whose"),
    [
        (OomReport(True, by="cgroup", limit_bytes=512 * MIB), "the memory limit of 512 MiB of its control group"),
        (OomReport(True, by="cgroup"), "the memory limit of its control group"),
        (OomReport(True, by="machine"), "the machine's memory"),
    ],
)
def test_a_kill_for_want_of_memory_says_whose_it_was(oom, whose):
    failure = failed(
        Ended("exit", -signal.SIGKILL, last=sample(505 * MIB)),
        observed(phase("import"), phase("first_element"), answer(("Shuffle", 400 * MIB))),
        oom=oom,
        growth=250.0 * MIB,
        peaks={"import": 300 * MIB, "first_element": 505 * MIB},
        limit=MemoryLimit(480 * MIB, "cgroup"),
    )
    assert (failure.problem.code, failure.exit_code) == ("out-of-memory", 5)
    assert failure.problem.message == (
        f"Out of memory in phase first element, 12.3 s after the start: the kernel killed the worker at {whose}; it "
        "used 505 MiB, growing by 250 MiB per second. Peak by phase: import 300 MiB, first element 505 MiB. "
        "Last seen: shuffle (spec.yaml:11) buffered 400 MiB."
    )
    assert place(failure) == ("spec.yaml", 11, 5, "stages.1")


# Stopped at the limit


def answer(*nodes: tuple[str, int], frames: Sequence[ErrorFrame] = ()) -> Answer:
    model: Any = {"nodes": [model_node(name, size) for name, size in nodes]}
    return Answer(frames=list(frames), model=model)


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        (MemoryLimit(2 * GIB, "option"), "stopped the worker at the limit of 2.00 GiB (--memory-limit)"),
        (MemoryLimit(900 * MIB, "cgroup"), "at the limit of 900 MiB (the control group's limit minus a reserve)"),
        (MemoryLimit(3 * GIB, "machine"), "at the limit of 3.00 GiB (the machine's free memory minus a reserve)"),
        (None, "the worker was stopped"),
    ],
)
def test_a_worker_stopped_at_the_limit_names_the_limit(limit, words):
    ended = Ended("memory-limit", -9, last=sample(2 * GIB))
    failure = failed(ended, observed(*MEASURING), limit=limit, growth=-5.0 * MIB)
    assert (failure.problem.code, failure.exit_code) == ("out-of-memory", 5)
    assert words in failure.problem.message
    assert "growing" not in failure.problem.message


@pytest.mark.parametrize(
    ("nodes", "words", "stage"),
    [
        ([("Prefetch", 60_000_000), ("Shuffle", 900 * MIB)], "shuffle (spec.yaml:11) buffered 900 MiB", "stages.1"),
        ([("ParallelMapV2", 80 * MIB)], "decode (map, spec.yaml:7) buffered 80.0 MiB", "stages.0"),
        ([("Prefetch", 80 * MIB)], "prefetch buffered 80.0 MiB", None),
        ([("SomethingNewV3", 80 * MIB)], None, None),
        ([("Shuffle", 40_000_000)], None, None),
        ([("Shuffle", 383 * GIB)], None, None),  # more than the process has
        ([], None, None),
    ],
)
def test_the_largest_buffer_is_named_and_where_only_one_stage_fits_that_stage(nodes, words, stage):
    failure = failed(Ended("memory-limit", -9, last=sample(GIB)), observed(*MEASURING, answer(*nodes)))
    assert failure.problem.stage == stage
    if words:
        assert failure.problem.message.endswith(f" Last seen: {words}.")
    else:
        assert "Last seen:" not in failure.problem.message


def test_of_two_stages_that_fit_none_is_blamed():
    stages = {**STAGES, "stages.2": stage_at("stages.2", "shuffle", line=12)}
    failure = failed(Ended("memory-limit", -9), observed(answer(("ShuffleV2", GIB))), stages=stages)
    assert place(failure) == (None, None, None, None)
    assert failure.problem.message.endswith("Last seen: shuffle buffered 1.00 GiB.")


def test_memory_that_was_refused_inside_a_stage_names_it():
    refused = error("out-of-memory", message="Unable to allocate 7 GiB", address="stages.0", frame=FRAME)
    failure = failed(Ended("exit", 0), observed(*MEASURING, refused))
    assert "It was refused in decode (map, spec.yaml:7) at /home/me/decode.py:33." in failure.problem.message
    assert place(failure) == ("spec.yaml", 7, 5, "stages.0")


# Hung, and out of time


def test_a_hang_names_the_users_line_from_the_answer():
    seen = observed(*MEASURING, answer(frames=[FRAME, replace(FRAME, line=99)]))
    failure = failed(Ended("hung", -9), seen, timeout=3.0, stacks=STACKS.replace("33", "44"))
    assert (failure.problem.code, failure.exit_code) == ("hung", 5)
    assert failure.problem.message == (
        "The pipeline hangs: no progress for 3 s (--timeout) in phase measure after 1,234 steps. "
        "Your code was at /home/me/decode.py:33, in parse."
    )
    assert place(failure) == ("/home/me/decode.py", 33, None, None)


def test_a_measurement_that_the_time_cut_is_not_complete():
    cut = observed(phase("measure"), measured(drained()), phase_end("measure", note=STOPPED), DONE)
    failure = failed(Ended("max-time", 0), cut, max_time=30.0)
    assert (failure.problem.code, failure.exit_code) == ("max-time", 5)
    steps = cut.measured.steps
    assert failure.problem.message == (
        f"Stopped after 30 s (--max-time): {steps.seconds:.1f} s and {steps.count} steps were measured of 10 s; "
        "the gain of a free pipeline and the ops inside stages are n/a."
    )


@pytest.mark.parametrize("note", ["10 s", None])
def test_a_time_that_was_up_after_the_measurement_cut_nothing(note):
    whole = observed(phase("measure"), measured(drained()), phase_end("measure", note=note), phase("trace"), DONE)
    assert diagnose(Ended("max-time", 0), whole, around(max_time=30.0)) is None


def test_files_are_named_as_the_user_types_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    here = replace(FRAME, file=str(tmp_path / "data" / "decode.py"))
    hung = failed(Ended("hung", -9), observed(*MEASURING, answer(frames=[here])))
    assert place(hung)[:2] == ("data/decode.py", 33)
    assert "Your code was at data/decode.py:33" in hung.problem.message
    raised = failed(Ended("exit", 1), observed(*MEASURING, error("raised", message="ValueError: no", frame=here)))
    assert place(raised)[:2] == ("data/decode.py", 33)
    stacks = STACKS.replace("/home/me", str(tmp_path))
    crashed = failed(Ended("exit", -11), observed(*MEASURING), stacks=stacks)
    assert "Your code was at decode.py:33." in crashed.problem.message


def test_the_users_frames_are_in_the_problem_with_their_lines_and_the_whole_traceback(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    mine = ErrorFrame(str(tmp_path / "train.py"), 12, "make", "return helper.scale(3, 0)")
    theirs = ErrorFrame("/home/me/helper.py", 3, "scale", 'raise ValueError("bad")')
    seen = observed(phase("build"), error("raised", frames=[mine, theirs], traceback="Traceback …"))
    problem = failed(Ended("exit", 0), seen).problem
    assert problem.frames == [replace(mine, file="train.py"), theirs]
    assert problem.traceback == "Traceback …"


def test_the_cause_of_a_hang_is_the_service_that_it_waits_for() -> None:
    stages = {**STAGES, "stages.2": stage_at("stages.2", "distribute", line=13)}
    cause = "nothing listens at h1:5000"
    problem = failed(Ended("hung", -9), observed(*MEASURING), stages=stages, silent_services=[cause]).problem
    assert (problem.code, problem.stage, problem.line) == ("service", "stages.2", 13)
    assert problem.message.endswith(" Nothing listens at h1:5000.")


def test_a_build_that_waits_for_a_service_that_is_not_there_is_not_waited_for() -> None:
    seen = observed(phase("build"), Answer([FRAME]))
    ended = Ended("hung", -9, waited=3.2)
    failure = failed(ended, seen, silent_services=["nothing listens at h1:5000"])
    assert "no progress for 3 s in phase build" in failure.problem.message
    assert "Nothing listens at h1:5000" in failure.problem.message
    assert (failure.exit_code, failure.problem.line) == (5, 33)


def test_an_error_of_a_service_has_its_cause_behind_it() -> None:
    services = {"services": [ServiceRead("h1:5000", python=[ErrorFrame("in.py", 7, "parse")])]}
    raised = Raised("raised", "InvalidArgumentError: Could not find callback with key=pyfunc_0")
    problem = failed(Ended("exit", 0), observed(phase("first_element"), services, raised)).problem
    assert problem.code == "service"
    assert "Python runs in parse (in.py:7)" in problem.message


def test_memory_that_a_worker_of_a_service_lacks_is_not_that_of_this_process() -> None:
    said = "ResourceExhaustedError: Failed to get element: OOM when allocating tensor with shape[8000000000]"
    seen = observed(phase("first_element"), Raised("out-of-memory", said))
    problem = failed(Ended("exit", 0), seen, address_space=GIB).problem
    assert problem.code == "service"
    assert "a worker of the tf.data service has no memory left" in problem.message.lower()
