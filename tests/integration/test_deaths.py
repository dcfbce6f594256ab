"""Every way a measured pipeline can end badly: one paragraph, the right exit code, a saved profile, nobody left."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from integration import forked
from integration.test_environment_faults import begun, misbehaving, target, wait_for

from pipeprof.profiles.document.profile import Profile

TARGETS = Path(__file__).parent / "pipelines_that_fail" / "targets.py"
PATIENCE = 300


@dataclass
class Ended:
    code: int
    profile: Profile
    report: str
    stderr: str

    @property
    def paragraph(self) -> str:
        return self.profile.errors[0].message


def command(target: str, *options: str) -> list[str]:
    return ["run", target, "--no-verify", *options]


def run(folder: Path, target: str, *options: str) -> Ended:
    """Run a command to its end; nobody is left."""
    out = folder / "profile.json"
    done = forked.run(command(target, "--seconds", "0.3", "--out", str(out), *options), folder)
    assert out.exists(), done.stderr
    profile = Profile.model_validate_json(out.read_text())
    assert profile.exit_code == done.returncode, done.stderr
    return Ended(done.returncode, profile, done.stdout, done.stderr)


def failed(ended: Ended, code: int = 5) -> Ended:
    assert ended.code == code, ended.stderr
    assert not ended.profile.complete
    assert len(ended.profile.errors) == 1
    assert "Traceback" not in ended.report
    return ended


@dataclass(frozen=True)
class Planted:
    """What is said of a pipeline that ends badly: words, the stage, and what stands in the line."""

    words: str
    problem: str | None = None
    stage: str | None = None
    line: str | None = None
    options: tuple[str, ...] = ()
    code: int = 5


PLANTED = {
    "hangs": Planted(
        "The pipeline hangs: no progress for 8 s (--timeout) in phase", "hung", line="time.sleep(3600)",
        options=("--timeout", "8"),
    ),
    "crashes": Planted("segmentation fault (SIGSEGV)", "crashed"),
    # Nobody knows that it was for want of memory.
    "killed": Planted("SIGKILL", "killed"),
    "raises": Planted("a bad record", stage="planted", line="raise ValueError(msg)"),
    "wrong_shape": Planted("number of elements does not match", stage="collect"),
    "empty": Planted("Nothing to measure: the dataset is empty: it ended without giving a single element."),
    "not_a_dataset": Planted("returned a list; expected a tf.data.Dataset", code=2),
}  # fmt: skip


@pytest.mark.parametrize("name", PLANTED)
def test_a_bad_end_is_told_from_others_and_pinned_to_its_stage_and_line(name: str, tmp_path: Path) -> None:
    planted = PLANTED[name]
    ended = failed(run(tmp_path, f"{TARGETS}:{name}", *planted.options), planted.code)
    problem = ended.profile.errors[0]
    assert planted.words in ended.paragraph
    assert planted.problem in (None, problem.code)
    assert planted.stage in (None, problem.stage)
    if planted.line is not None:
        assert planted.line in TARGETS.read_text().splitlines()[problem.line - 1]


def test_the_memory_limit_names_who_enforced_it_and_who_held_the_memory(tmp_path: Path) -> None:
    ended = failed(run(tmp_path, f"{TARGETS}:grows", "--memory-limit", "1GiB"))
    assert ended.profile.errors[0].code == "out-of-memory"
    line = line_of("np.full([500_000]") + 2
    place = f"shuffle (targets.py:{line}) buffered"
    for words in ("limit of 1.00 GiB (--memory-limit)", "growing by", "Peak by phase: import", place):
        assert words in ended.paragraph
    assert (ended.profile.errors[0].stage, ended.profile.errors[0].line) == ("stages.1", line)
    assert ended.profile.memory.growth_bytes_per_second > 0
    assert ended.profile.memory.peak_bytes > 2**30
    assert [phase.name for phase in ended.profile.phases][-1] == "first_element"


def test_a_cache_without_end_of_memory_is_a_finding_of_the_run_that_died(tmp_path: Path) -> None:
    """How many elements there are is known, how large they are was measured."""
    # The cache reaches the limit long before the end of the minute, on a slow machine too.
    ended = failed(run(tmp_path, f"{TARGETS}:keeps", "--memory-limit", "1GiB", "--seconds", "60"))
    line = line_of("return images.cache()")
    assert f"cache (targets.py:{line}) buffered" in ended.paragraph
    assert "MemoryCache" not in ended.paragraph
    (finding,) = [one for one in ended.profile.findings or () if one.rule == "cache-over-budget"]
    assert finding.evidence["elements"] == 2000
    assert 1.9e6 < finding.evidence["bytes_per_element"] < 2.4e6
    assert finding.location.line == line
    assert "cache-over-budget" in ended.report


def line_of(text: str) -> int:
    lines = TARGETS.read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if text in line)


SPEC = """\
version: 1
source: {source}
stages:
  - {first}
  - {last}
"""
SPECS: dict[str, tuple[dict[str, str], str, str, str, tuple[str, int], str]] = {
    "a corrupt record": (
        {"bad.tfrecord": "this is no record" * 100},
        "{TFRecordDataset: {filenames: bad.tfrecord}}", "batch: {batch_size: 2}", "repeat: {}",
        ("source", 2), "corrupted record",
    ),
    "a file that vanishes": (
        {
            "0.txt": "text", "1.txt": "text",
            "away.py": "import tensorflow as tf\ndef gone(path):\n    return tf.strings.join([path, '.gone'])\n",
        },
        '{list_files: {file_pattern: "*.txt"}}', "map: {python: away.py:gone}",
        "map: {name: read, ops: [tf.io.read_file]}",
        ("stages.1", 5), "No such file or directory",
    ),
    "what only TensorFlow can tell": (
        {"own.py": "def same(number):\n    return number\n"},
        "{range: {stop: 10}}", "map: {python: 'own.py:same'}",
        "map: {name: shrink, ops: [tf.image.resize: {size: [2, 2]}]}",
        ("stages.1", 5), "",
    ),
}  # fmt: skip
"""Files, the source and two stages; the stage and the line that are named, and words."""


@pytest.mark.parametrize("name", SPECS)
def test_what_fails_in_a_spec_names_the_stage_and_its_line(name: str, tmp_path: Path) -> None:
    files, source, first, last, place, words = SPECS[name]
    for file, text in files.items():
        (tmp_path / file).write_text(text)
    (tmp_path / "spec.yaml").write_text(SPEC.format(source=source, first=first, last=last))
    ended = failed(run(tmp_path, str(tmp_path / "spec.yaml")))
    problem = ended.profile.errors[0]
    assert (problem.stage, problem.line) == place
    assert words in problem.message
    assert f"spec.yaml:{place[1]}" in ended.report


def interrupted(folder: Path, number: signal.Signals, name: str, reached: Callable[[Profile], bool]) -> Ended:
    """Send `number` as soon as the profile that is saved while the run goes on shows that a state is reached."""
    out = folder / "profile.json"
    words = command(f"{TARGETS}:{name}", "--seconds", "600", "--step", "simulate:5ms", "--out", str(out))
    process = forked.start(words, folder)
    pause = threading.Event()
    for _ in range(PATIENCE * 10):
        if out.exists() and reached(Profile.model_validate_json(out.read_text())):
            break
        pause.wait(0.1)
    process.send_signal(number)
    stdout, stderr = process.communicate()
    assert process.returncode is not None
    return Ended(process.returncode, Profile.model_validate_json(out.read_text()), stdout, stderr)


@pytest.mark.parametrize(
    ("number", "code", "word"), [(signal.SIGINT, 130, "Interrupted"), (signal.SIGTERM, 143, "Terminated")]
)
def test_an_interruption_keeps_what_was_measured(tmp_path: Path, number: signal.Signals, code: int, word: str) -> None:
    known: list[int] = []

    def measured(profile: Profile) -> bool:
        known.append(profile.steps.count if profile.steps else 0)
        return known[-1] > 0

    ended = failed(interrupted(tmp_path, number, "steady", measured), code)
    assert ended.profile.steps.count >= known[-1] > 0
    assert ended.profile.exit_code == code
    verdict = ended.profile.verdict
    assert verdict.headline.startswith(word)
    assert verdict.bound is not None
    assert verdict.details[0].label == "until then"


def test_an_interruption_before_the_first_batch_claims_nothing_of_the_pipeline(tmp_path: Path) -> None:
    def building(profile: Profile) -> bool:
        return [phase.name for phase in profile.phases][-1:] == ["build"]

    ended = failed(interrupted(tmp_path, signal.SIGTERM, "builds_slowly", building), 143)
    assert ended.profile.verdict.headline == "Terminated in phase build, before the first batch."
    (known,) = ended.profile.verdict.details
    assert known.text.endswith("build had not ended; rate, waiting and memory of the pipeline are unknown")
    assert ended.profile.memory.ledger is None
    assert "your pipeline" not in ended.report


def test_a_measurement_that_the_time_limit_cut_is_not_complete(tmp_path: Path) -> None:
    for limit in ("4", "12", "90"):
        options = ("--seconds", "600", "--max-time", limit, "--step", "simulate:5ms")
        ended = failed(run(tmp_path, f"{TARGETS}:steady", *options))
        assert ended.profile.errors[0].code == "max-time"
        steps = ended.profile.steps
        if steps is not None and steps.count and ended.profile.stages:
            break  # else nothing was measured yet: on a busy machine, loading TensorFlow takes as long
    assert re.match(rf"Stopped after {limit} s \(--max-time\): .* were measured of 600 s; ", ended.paragraph)
    assert steps is not None
    assert steps.count > 0
    assert ended.profile.stages
    assert ended.paragraph.split(":")[0] in ended.report


def test_without_a_trace_the_rest_of_the_report_is_complete(tmp_path: Path) -> None:
    ended = run(tmp_path, f"{TARGETS}:profiled", "--step", "simulate:10ms")
    assert ended.code == 0, ended.stderr
    profile = ended.profile
    assert profile.complete
    assert any(one.code == "no-trace" and "are n/a" in one.message for one in profile.warnings)
    assert {stage.op for stage in profile.stages or ()} >= {"range", "map", "batch"}
    # Fused stages share one time.
    assert any(stage.time_ms_per_batch for stage in profile.stages or () if stage.op in ("map", "batch"))
    assert profile.headspace is not None
    assert profile.memory.ledger
    assert profile.verdict.bound is not None


# Its own parent ends first, so that it has none of the run's, in a session and with an environment of its own.
STRANGER = """
import os, signal, sys
os.fork() and os._exit(0)
os.setsid()
with open(sys.argv[1] + ".part", "w") as file:
    file.write(str(os.getpid()))
os.rename(sys.argv[1] + ".part", sys.argv[1])
signal.pause()
"""
LEAVING = """
pids = {pids!r}
subprocess.Popen([sys.executable, "-c", {stranger!r}, pids + ".stranger"], env={{}}, start_new_session=True).wait()
while not os.path.exists(pids + ".stranger"):
    time.sleep(0.01)
waiting = [sys.executable, "-c", "import signal; signal.pause()"]
children = [subprocess.Popen(waiting, start_new_session=own).pid for own in (False, True)]
with open(pids + ".part", "w") as file:
    print(open(pids + ".stranger").read(), os.getpid(), *children, file=file)
os.rename(pids + ".part", pids)
"""
"""A stranger, the worker and two children of it, and a file with their numbers."""
STUBBORN = "signal.signal(signal.SIGHUP, signal.SIG_IGN)\nctypes.PyDLL(None).sleep(3600)"
"""A hang-up is ignored and Python's lock held."""


@dataclass
class Running:
    """A command with the processes that it has started."""

    process: subprocess.Popen[str]
    family: list[psutil.Process]

    def assert_all_end(self) -> None:
        _, alive = psutil.wait_procs(self.family, timeout=PATIENCE)
        assert [p for p in alive if p.is_running() and p.status() != psutil.STATUS_ZOMBIE] == []


def leaving(folder: Path, end: str) -> str:
    """What a worker does that leaves processes, and ends so or not at all."""
    return LEAVING.format(pids=str(folder / "pids"), stranger=STRANGER) + end


def started(folder: Path, end: str) -> Running:
    process = begun(folder, leaving(folder, end))
    wait_for(folder / "pids")
    return Running(process, [psutil.Process(int(pid)) for pid in (folder / "pids").read_text().split()])


def test_nothing_outlives_a_killed_parent_however_stubborn_neither_a_grandchild_nor_a_stranger(tmp_path: Path) -> None:
    running = started(tmp_path, STUBBORN)
    running.process.kill()
    running.process.communicate()
    assert len(running.family) == 4
    running.assert_all_end()
    (saved,) = (tmp_path / "pipeprof-out").glob("*.json")
    assert json.loads(saved.read_text())["complete"] is False


def test_such_a_process_ends_with_a_run_that_was_stopped_with_all_its_processes_and_killed(tmp_path: Path) -> None:
    running = started(tmp_path, "time.sleep(3600)")
    running.family += psutil.Process(running.process.pid).children(recursive=True)
    for process in running.family:
        process.suspend()
    running.process.kill()
    running.process.communicate()
    running.assert_all_end()


def test_such_a_process_ends_with_a_run_that_ends_by_itself(tmp_path: Path) -> None:
    """The command has ended it: there is nothing to wait for."""
    program = [sys.executable, "-c", misbehaving(leaving(tmp_path, "os._exit(3)")), *command(target(tmp_path))]
    done = subprocess.run(program, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 5, done.stderr
    for pid in map(int, (tmp_path / "pids").read_text().split()):
        assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
