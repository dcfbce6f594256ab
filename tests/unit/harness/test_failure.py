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
from pipeprof.profiles.document.base import Location
from pipeprof.profiles.document.messages import Problem
from pipeprof.profiles.document.shared import ErrorFrame, PhaseName
from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.harness import failure as failure_module
from pipeprof.profiles.harness.event_loop import Ended
from pipeprof.profiles.harness.failure import Circumstances, Failure, diagnose
from pipeprof.profiles.harness.received import Observed
from pipeprof.profiles.host import limits
from pipeprof.profiles.host.cgroup import Cgroup, CgroupWatch, OomReport
from pipeprof.profiles.host.limits import MemoryLimit
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


def around(
    *,
    script: bool = False,
    timeout: float = 120.0,
    max_time: float | None = None,
    growth: float | None = None,
    peaks: dict[PhaseName, int] | None = None,
    **changes: Any,
) -> Circumstances:
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


def failed(
    ended: Ended, seen: Observed, *, address_space: int | None = None, lacks_proc: bool = False, **changes: Any
) -> Failure:
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


# Asked to end


@pytest.mark.parametrize(
    ("reason", "code", "words"),
    [
        ("interrupted", 130, "Interrupted"),
        ("terminated", 143, "Ended by SIGTERM"),
        ("hung-up", 129, "Ended by SIGHUP (the terminal was closed)"),
    ],
)
def test_the_user_ended_it(reason, code, words):
    failure = failed(Ended(reason, -9), observed(*MEASURING))
    assert failure.exit_code == code
    assert failure.problem.code == reason
    assert failure.problem.message == f"{words} in phase measure after 1,234 steps."


@pytest.mark.parametrize("reason", ["interrupted", "terminated"])
def test_what_the_user_ended_is_not_complete_whatever_was_measured(reason):
    assert diagnose(Ended(reason, 0), complete(DONE), around()) is not None


def test_before_the_first_phase_it_was_importing():
    assert failed(Ended("interrupted", -9), observed()).problem.message == "Interrupted in phase import."


def test_an_end_counts_the_steps_of_the_statistics():
    whole = complete()
    assert whole.measured is not None
    whole.steps = 7
    whole.error = Raised(code="exited", message="sys.exit(3)")
    failure = diagnose(Ended("exit", 0), whole, around(script=True))
    assert failure is not None
    assert f"phase measure after {whole.measured.steps.count:,} steps" in failure.problem.message


def test_steps_are_only_named_in_phases_that_have_them():
    seen = observed(phase("warmup"), beat(5), phase("trace"))
    assert failed(Ended("interrupted", 0), seen).problem.message == "Interrupted in phase trace."


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


def test_what_was_measured_before_an_error_is_not_complete():
    assert failed(Ended("exit", 0), complete(error())).exit_code == 5


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


@pytest.mark.parametrize("said", REFUSALS)
def test_without_a_limit_of_addresses_such_words_name_none(said):
    failure = failed(Ended("exit", -signal.SIGABRT), observed(phase("import")), printed=said)
    assert failure.problem.code == "crashed"


def test_other_deaths_under_a_limit_of_addresses_are_what_they_are():
    failure = failed(Ended("exit", -signal.SIGSEGV), observed(phase("import")), address_space=2 << 30)
    assert failure.problem.code == "crashed"


@pytest.mark.parametrize(
    ("lacks_proc", "seen", "named"), [(True, "import", True), (True, "build", False), (False, "import", False)]
)
def test_a_crash_without_proc_names_it(lacks_proc, seen, named):
    failure = failed(Ended("exit", -signal.SIGABRT), observed(phase(seen)), lacks_proc=lacks_proc)
    assert (failure.exit_code, failure.problem.code) == (5, "crashed")
    assert ("/proc is not mounted" in failure.problem.message) == named


def test_a_missing_tensorflow_is_not_the_pipelines_fault():
    seen = observed(
        phase("import"), error(kind="installation", code="no-tensorflow", message="TensorFlow is not there")
    )
    failure = failed(Ended("exit", 0), seen)
    assert (failure.exit_code, failure.problem.code) == (1, "no-tensorflow")
    assert failure.problem.message == "TensorFlow is not there"


def test_a_worker_that_did_not_get_to_its_first_phase_is_not_the_pipelines_fault():
    printed = "Traceback (most recent call last):\nModuleNotFoundError: No module named 'numpy'\n"
    failure = failed(Ended("exit", 1), observed(), printed=printed)
    assert (failure.exit_code, failure.problem.code) == (1, "not-started")
    assert failure.problem.message == (
        "The worker process could not start (exit status 1): ModuleNotFoundError: No module named 'numpy'"
    )


@pytest.mark.parametrize("ended", [Ended("silent", -9), Ended("exit", CHANNEL_LOST)])
def test_a_worker_whose_pipe_was_closed_says_so(ended):
    failure = failed(ended, observed(*MEASURING))
    assert (failure.exit_code, failure.problem.code) == (5, "channel-closed")
    assert "closed descriptors that are not its own in phase measure after 1,234 steps" in failure.problem.message


@pytest.mark.parametrize("ended", [Ended("silent", -9), Ended("exit", 0), Ended("exit", CHANNEL_LOST)])
def test_a_worker_that_another_program_has_replaced_says_so(ended):
    ended.successor = "python train.py"
    failure = failed(ended, observed(*MEASURING))
    assert (failure.exit_code, failure.problem.code) == (5, "exited")
    assert "after 1,234 steps, `python train.py`: look for os.exec…()." in failure.problem.message


# Raised


@pytest.mark.parametrize(
    ("fields", "words", "where"),
    [
        ({}, "The pipeline raised an exception, phase", (None, None, None, None)),
        (
            {"address": "stages.0"},
            "The pipeline raised an exception in decode (map, spec.yaml:7), phase",
            ("spec.yaml", 7, 5, "stages.0"),
        ),
        (
            {"address": "source", "frame": FRAME},
            "The pipeline raised an exception in list_files (spec.yaml:3) at /home/me/decode.py:33, phase",
            ("spec.yaml", 3, 5, "source"),
        ),
        (
            {"frame": FRAME},
            "The pipeline raised an exception at /home/me/decode.py:33, phase",
            ("/home/me/decode.py", 33, None, None),
        ),
        (
            {"address": "my_map", "frame": FRAME, "words": "my_map (map, train.py:9)"},
            "The pipeline raised an exception in my_map (map, train.py:9) at /home/me/decode.py:33, phase",
            ("/home/me/decode.py", 33, None, "my_map"),
        ),
        (
            {"address": "my_map", "frame": FRAME},
            "The pipeline raised an exception in stage my_map at /home/me/decode.py:33, phase",
            ("/home/me/decode.py", 33, None, "my_map"),
        ),
    ],
)
def test_what_the_pipeline_raised_is_pinned_to_what_is_known(fields, words, where):
    failure = failed(Ended("exit", 0), observed(*MEASURING, error(**fields)))
    assert failure.exit_code == 5
    assert failure.problem.code == "raised"
    assert failure.problem.message == f"{words} measure after 1,234 steps: ValueError: bad"
    assert place(failure) == where


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("exited", "Your code called exit at /home/me/decode.py:33, phase build: sys.exit(2)"),
        ("step-raised", "The step raised an exception at /home/me/decode.py:33, phase build: sys.exit(2)"),
    ],
)
def test_who_it_was_that_raised_is_said(code, words):
    seen = observed(phase("build"), error(code, message="sys.exit(2)", frame=FRAME))
    failure = failed(Ended("exit", 0), seen)
    assert (failure.problem.code, failure.problem.message, failure.exit_code) == (code, words, 5)


def test_a_stage_without_a_line_leaves_the_place_open():
    failure = failed(
        Ended("exit", 0), observed(error(address="stages.0")), stages={"stages.0": stage_at("stages.0", "map")}
    )
    assert "raised an exception in map, phase import" in failure.problem.message
    assert place(failure) == (None, None, None, "stages.0")


def test_a_stage_that_tensorflow_refuses_is_a_failure_at_its_line():
    seen = observed(
        phase("build"), error("build", kind="spec", message="got 3 channels, expected 1", address="stages.1")
    )
    failure = failed(Ended("exit", 0), seen)
    assert failure.exit_code == 5
    assert failure.problem.message == "got 3 channels, expected 1"
    assert place(failure) == ("spec.yaml", 11, 5, "stages.1")


def test_the_users_code_that_raised_while_building_is_the_pipelines_fault():
    seen = observed(phase("build"), error("build", message="ValueError: no", address="stages.0", frame=FRAME))
    failure = failed(Ended("exit", 0), seen)
    assert failure.exit_code == 5
    assert failure.problem.code == "build"
    assert "phase build: ValueError: no" in failure.problem.message


def test_an_empty_dataset_leaves_nothing_to_measure():
    failure = failed(Ended("exit", 0), observed(phase("first_element"), error("empty", message="it is empty")))
    assert failure.exit_code == 5
    assert failure.problem.code == "empty"
    assert failure.problem.message == "Nothing to measure: it is empty."


def test_python_without_memory_is_out_of_memory():
    seen = observed(*MEASURING, error("out-of-memory", message="Unable to allocate 7 GiB"))
    failure = failed(Ended("exit", 0, last=sample(3 * GIB)), seen, peaks={"measure": 3 * GIB})
    assert failure.exit_code == 5
    assert failure.problem.code == "out-of-memory"
    assert failure.problem.message == (
        "Out of memory in phase measure after 1,234 steps, 12.3 s after the start: Python could not allocate more "
        "memory (Unable to allocate 7 GiB); it used 3.00 GiB. Peak by phase: measure 3.00 GiB."
    )


# Died


@pytest.mark.parametrize("status", [0, 1, 77])
def test_ending_by_itself_is_blamed_on_the_pipelines_own_code(status):
    failure = failed(Ended("exit", status), observed(*MEASURING))
    assert failure.problem.code == "exited"
    assert failure.exit_code == 5
    assert f"status {status} in phase measure after 1,234 steps" in failure.problem.message
    assert "os._exit()" in failure.problem.message


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (signal.SIGSEGV, "a segmentation fault (SIGSEGV)"),
        (signal.SIGABRT, "an abort (SIGABRT)"),
        (signal.SIGBUS, "a bus error (SIGBUS)"),
        (signal.SIGFPE, "an arithmetic fault (SIGFPE)"),
        (signal.SIGILL, "an illegal instruction (SIGILL)"),
    ],
)
@pytest.mark.parametrize("oom", [OomReport(None), OomReport(False), OomReport(True, by="machine")])
def test_crashes_are_named(number, words, oom):
    failure = failed(Ended("exit", -number), observed(phase("warmup")), oom=oom)
    assert failure.problem.code == "crashed"
    assert failure.exit_code == 5
    assert failure.problem.message == f"The worker crashed with {words} in phase warmup."


def test_a_crash_names_the_users_line():
    failure = failed(Ended("exit", -signal.SIGSEGV), observed(phase("warmup")), stacks=STACKS)
    assert failure.problem.message.endswith(" Your code was at /home/me/decode.py:33.")


@pytest.mark.parametrize(
    ("number", "name"), [(signal.SIGTERM, "SIGTERM"), (signal.SIGHUP, "SIGHUP"), (40, "signal 40"), (99, "signal 99")]
)
def test_other_signals_came_from_outside_or_from_the_code(number, name):
    failure = failed(Ended("exit", -number), observed(*MEASURING))
    assert failure.problem.code == "killed"
    assert failure.problem.message == (
        f"The worker ended by {name} in phase measure after 1,234 steps: another process sent it, or your code did."
    )


@pytest.mark.parametrize(
    ("oom", "words"),
    [(OomReport(False), "The kernel reported no lack of memory."), (OomReport(None), "It may have run out of memory.")],
)
def test_a_kill_is_only_called_out_of_memory_where_the_kernel_says_so(oom, words):
    failure = failed(Ended("exit", -signal.SIGKILL), observed(phase("build")), oom=oom)
    assert failure.problem.code == "killed"
    assert failure.problem.message == f"Another process killed the worker (SIGKILL) in phase build. {words}"


@pytest.mark.parametrize(
    ("oom", "words"),
    [
        (
            OomReport(True, by="cgroup", limit_bytes=512 * MIB),
            "the kernel killed the worker at the memory limit of 512 MiB of its control group",
        ),
        (OomReport(True, by="cgroup"), "the kernel killed the worker at the memory limit of its control"),
        (OomReport(True, by="machine"), "the kernel killed the worker at the machine's memory"),
    ],
)
def test_a_kill_for_want_of_memory_says_whose_it_was(oom, words):
    failure = failed(
        Ended("exit", -signal.SIGKILL, last=sample(500 * MIB)),
        observed(phase("measure"), beat(3)),
        oom=oom,
        growth=100.0 * MIB,
        peaks={"import": 300 * MIB, "measure": 500 * MIB},
        limit=MemoryLimit(480 * MIB, "cgroup"),
    )
    assert failure.problem.code == "out-of-memory"
    assert failure.exit_code == 5
    assert words in failure.problem.message
    assert "; it used 500 MiB, growing by 100 MiB per second. " in failure.problem.message
    assert "Peak by phase: import 300 MiB, measure 500 MiB." in failure.problem.message


def write(folder: Any, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        folder.joinpath(name.replace("__", ".")).write_text(text)


@pytest.mark.parametrize(
    ("kills", "code", "words"),
    [
        (1, "out-of-memory", "the kernel killed the worker at the memory limit of 512 MiB of its control group"),
        (0, "killed", "The kernel reported no lack of memory."),
    ],
)
def test_a_kill_by_the_control_group_is_read_off_its_folder(tmp_path, kills, code, words):
    proc, root = tmp_path / "proc", tmp_path / "cgroup"
    write(proc / "self", cgroup="0::/pod\n")
    write(root, cgroup__controllers="cpu memory\n")
    write(root / "pod", memory__max=f"{512 * MIB}\n", memory__events="max 4\noom 2\noom_kill 2\n")
    watch = CgroupWatch(Cgroup(proc=proc, root=root), proc)
    write(root / "pod", memory__events=f"max 9\noom {2 + kills}\noom_kill {2 + kills}\n")

    seen = observed(phase("import"), phase("first_element"), answer(("Shuffle", 400 * MIB)))
    failure = failed(
        Ended("exit", -signal.SIGKILL, last=sample(505 * MIB)),
        seen,
        oom=watch.report(),
        growth=250.0 * MIB,
        peaks={"import": 300 * MIB, "first_element": 505 * MIB},
    )
    assert failure.exit_code == 5
    assert failure.problem.code == code
    assert words in failure.problem.message
    if kills:
        assert failure.problem.message == (
            "Out of memory in phase first element, 12.3 s after the start: the kernel killed the worker at the memory "
            "limit of 512 MiB of its control group; it used 505 MiB, growing by 250 MiB per second. "
            "Peak by phase: import 300 MiB, first element 505 MiB. "
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
    failure = failed(Ended("memory-limit", -9, last=sample(2 * GIB)), observed(*MEASURING), limit=limit)
    assert failure.problem.code == "out-of-memory"
    assert failure.exit_code == 5
    assert words in failure.problem.message


@pytest.mark.parametrize("growth", [None, 0.0, -5.0 * MIB])
def test_memory_that_did_not_grow_is_not_said_to(growth):
    failure = failed(Ended("memory-limit", -9, last=sample(GIB)), observed(*MEASURING), growth=growth)
    assert "growing" not in failure.problem.message


def test_without_a_sample_nothing_is_said_about_the_memory():
    failure = failed(Ended("memory-limit", -9), observed())
    assert failure.problem.message == (
        "Out of memory in phase import, 12.3 s after the start: the worker was stopped. Its memory was not sampled."
    )


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (999 * MIB, "999 MiB"),
        (int(999.7 * MIB), "1,000 MiB"),
        (1023 * MIB, "1,020 MiB"),
        (1536 * MIB, "1.50 GiB"),
        (700, "700 B"),
        (2560, "2.50 KiB"),
        (12.3 * MIB, "12.3 MiB"),
    ],
)
def test_sizes_are_plain_numbers(size, words):
    failure = failed(Ended("memory-limit", -9, last=sample(int(size))), observed())
    assert f"; it used {words}. " in failure.problem.message


@pytest.mark.parametrize(
    ("nodes", "words", "stage"),
    [
        ([("Prefetch", 60_000_000), ("Shuffle", 900 * MIB)], "shuffle (spec.yaml:11) buffered 900 MiB", "stages.1"),
        ([("ParallelMapV2", 80 * MIB)], "decode (map, spec.yaml:7) buffered 80.0 MiB", "stages.0"),
        ([("Prefetch", 80 * MIB)], "prefetch buffered 80.0 MiB", None),
        ([("SomethingNewV3", 80 * MIB)], None, None),
        ([("Shuffle", 40_000_000)], None, None),
        ([], None, None),
    ],
)
def test_the_largest_buffer_is_named_and_where_only_one_stage_fits_that_stage(nodes, words, stage):
    failure = failed(Ended("memory-limit", -9), observed(*MEASURING, answer(*nodes)))
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


def test_the_stage_of_a_function_has_its_name_and_line_and_not_tensorflows_class():
    kept = stage("stages.1", "cache", location=Location(file="/home/me/input.py", line=12))
    view = pipeline(stage("source", "from_generator"), stage("stages.0", "map"), kept)
    seen = observed(*MEASURING, answer(("MemoryCacheImpl", GIB)))
    failure = failed(Ended("memory-limit", -9), seen, stages={}, view=view)
    assert failure.problem.message.endswith(" Last seen: cache (input.py:12) buffered 1.00 GiB.")
    assert place(failure) == ("/home/me/input.py", 12, None, "stages.1")


def test_a_buffer_larger_than_the_process_is_no_reading():
    seen = observed(*MEASURING, answer(("Shuffle", 383 * GIB)))
    failure = failed(Ended("memory-limit", -9, last=sample(574 * MIB)), seen)
    assert "Last seen" not in failure.problem.message


def test_memory_that_was_refused_inside_a_stage_names_it():
    refused = error("out-of-memory", message="Unable to allocate 7 GiB", address="stages.0", frame=FRAME)
    failure = failed(Ended("exit", 0), observed(*MEASURING, refused))
    assert "It was refused in decode (map, spec.yaml:7) at /home/me/decode.py:33." in failure.problem.message
    assert place(failure) == ("spec.yaml", 7, 5, "stages.0")


def out_of_memory() -> Problem:
    return failed(Ended("memory-limit", -9), observed(*MEASURING)).problem


def test_a_look_without_a_model_blames_nobody():
    failure = failed(Ended("memory-limit", -9), observed(Answer()))
    assert failure.problem.stage is None


# Hung, and out of time


def test_a_hang_names_the_users_line_from_the_answer():
    seen = observed(*MEASURING, answer(frames=[FRAME, replace(FRAME, line=99)]))
    failure = failed(Ended("hung", -9), seen, timeout=3.0, stacks=STACKS.replace("33", "44"))
    assert failure.problem.code == "hung"
    assert failure.exit_code == 5
    assert failure.problem.message == (
        "The pipeline hangs: no progress for 3 s (--timeout) in phase measure after 1,234 steps. "
        "Your code was at /home/me/decode.py:33, in parse."
    )
    assert place(failure) == ("/home/me/decode.py", 33, None, None)


def test_a_stopped_process_is_not_the_pipelines_hang():
    failure = failed(Ended("hung", -9, suspended=True), observed(*MEASURING), timeout=3.0)
    assert failure.problem.message == (
        "The process was stopped (SIGSTOP, or a debugger) and not continued: no progress for 3 s (--timeout) in phase "
        "measure after 1,234 steps."
    )


def test_a_start_that_hangs_is_not_the_pipelines():
    failure = failed(Ended("hung", -9), observed(phase("import")), timeout=3.0)
    assert failure.problem.message == "Starting takes too long: no progress for 60 s in phase import."


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (15, "it was still building after 15 s (5 × --timeout), with growing memory."),
        (13, "it was still building after 15 s (5 × --timeout), with growing memory."),
        (11, "no progress for 3 s (--timeout) in phase build."),
    ],
)
def test_a_build_that_grew_until_its_time_was_over(seconds, words):
    clock = FakeSeconds()
    seen = observed(phase("import"), phase("build"), clock=clock)
    clock.now += seconds
    seen.take(GREW)
    failure = failed(Ended("hung", -9), seen, timeout=3.0)
    assert failure.problem.message == f"The pipeline hangs: {words}"


def test_a_hang_without_an_answer_is_found_in_the_stacks():
    failure = failed(Ended("hung", -9), observed(phase("build")), stacks=STACKS)
    assert place(failure) == ("/home/me/decode.py", 33, None, None)
    assert failure.problem.message.endswith("Your code was at /home/me/decode.py:33, in parse.")


@pytest.mark.parametrize("stacks", ["", f'Thread 0x1:\n  File "{sys.prefix}/lib/site-packages/x.py", line 1 in f\n'])
def test_a_hang_outside_of_the_users_code_has_no_place(stacks):
    failure = failed(Ended("hung", -9), observed(phase("build"), answer()), stacks=stacks)
    assert failure.problem.message == "The pipeline hangs: no progress for 120 s (--timeout) in phase build."
    assert place(failure) == (None, None, None, None)


def test_the_time_was_up():
    failure = failed(Ended("max-time", -9), observed(*MEASURING), max_time=30.0)
    assert failure.problem.code == "max-time"
    assert failure.exit_code == 5
    assert failure.problem.message == "Stopped after 30 s (--max-time) in phase measure after 1,234 steps."


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


def test_an_error_counts_where_the_trace_was_given_up():
    assert failed(Ended("long-trace", -9), complete(error())).problem.code == "raised"


def test_an_error_that_came_while_the_time_ran_out_is_not_hidden_by_done():
    seen = observed(*MEASURING, error(), DONE)
    assert failed(Ended("exit", 0), seen).problem.code == "raised"


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
    frames = [
        ErrorFrame(str(tmp_path / "train.py"), 12, "make", "return helper.scale(3, 0)"),
        ErrorFrame("/home/me/helper.py", 3, "scale", 'raise ValueError("bad")'),
    ]
    seen = observed(phase("build"), error("raised", frames=frames, traceback="Traceback …"))
    problem = failed(Ended("exit", 0), seen).problem
    assert problem.frames == [
        ErrorFrame(file="train.py", line=12, function="make", source="return helper.scale(3, 0)"),
        ErrorFrame(file="/home/me/helper.py", line=3, function="scale", source='raise ValueError("bad")'),
    ]
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


def test_a_worker_of_its_own_service_that_ended_is_named() -> None:
    ended = "worker 1 of 2 of the local tf.data service was killed"
    failure = failed(Ended("exit", 0), observed(*MEASURING, Raised("service", ended)))
    assert (failure.exit_code, failure.problem.code) == (5, "service")
    assert ended in failure.problem.message


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
