"""Faults of the environment and of the processes: the cause in a sentence, nothing lost, nobody left.

Most tests put other code in place of what the worker measures, so that they need no TensorFlow: harness, worker
process, channel and diagnosis are the real ones.
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import textwrap
import threading
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from integration import forked
from integration.left_over import MARK, left

from pipeprof.profiles.document.profile import Profile

PATIENCE = 300
SHORT = ("--no-verify", "--seconds", "0.3")
TRAPS = ("brotli", "dill", "numpy", "pydantic", "signal", "tblib", "tensorflow_datasets", "typer", "typing", "yaml")

WORKER = """
import ctypes, os, signal, subprocess, sys, time
from pipeprof.profiles.worker.sample import JobRun

def run(self):
    with self._phases.enter("import"):
        pass
    with self._phases.enter("build"):
        misbehave(self)

{body}

JobRun.run = run
"""
PROGRAM = "\nfrom pipeprof.profiles.worker.main import main\nmain()\n"
COMMAND = """
import os, sys
from pipeprof.profiles.harness import process
process.child_command = lambda module, *arguments: [sys.executable, "-u", "-c", {worker!r}, *arguments]
from pipeprof.cli.main import main
main()
"""


def worker(body: str) -> str:
    """Code after which a worker runs `body` in place of a pipeline."""
    return WORKER.format(body=f"def misbehave(self):\n{textwrap.indent(textwrap.dedent(body), '    ')}")


def misbehaving(body: str) -> str:
    """The command line's program, with such a worker."""
    return COMMAND.format(worker=worker(body) + PROGRAM)


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str
    profile: Profile | None


def target(folder: Path) -> str:
    (folder / "input.py").write_text("def make():\n    pass\n")
    return f"{folder / 'input.py'}:make"


def run(folder: Path, program: list[str], *arguments: str, **options: object) -> Ended:
    """Run a command line of `pipeprof run` to its end; nobody is left."""
    environment = {**os.environ, MARK: str(folder), **options.pop("env", {})}
    done = subprocess.run(
        [*program, "run", *arguments, *SHORT],
        **{"cwd": folder, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options},
        env=environment,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert left(str(folder)) == []
    return outcome(folder, done)


def outcome(folder: Path, done: subprocess.CompletedProcess[str]) -> Ended:
    assert "internal error" not in done.stderr
    assert "Traceback" not in done.stderr
    saved = folder / "profile.json"
    profile = Profile.model_validate_json(saved.read_text()) if saved.exists() else None
    return Ended(done.returncode, done.stdout, done.stderr, profile)


def run_copied(folder: Path, code: str, *arguments: str, cwd: Path | None = None, **environment: str) -> Ended:
    """Run a command and its worker as copies, after code."""
    done = forked.run(["run", *arguments, *SHORT], cwd or folder, code + forked.COMMAND, **environment)
    return outcome(folder, done)


def run_misbehaving(folder: Path, body: str, *arguments: str, **options: object) -> Ended:
    """Run a command with such a worker; with options of a process both are started, without they are copies."""
    words = [target(folder), "--out", str(folder / "profile.json"), *arguments]
    if options:
        return run(folder, [sys.executable, "-c", misbehaving(body)], *words, **options)
    return run_copied(folder, worker(body), *words)


def begun(folder: Path, body: str, **options: Any) -> subprocess.Popen[str]:
    """A command with such a worker, which has come to the pipeline."""
    words = [sys.executable, "-c", misbehaving(body), "run", target(folder), "--no-verify"]
    environment = {**os.environ, MARK: str(folder)}
    options = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True, **options}
    process = subprocess.Popen(words, cwd=folder, env=environment, **options)
    next(line for line in process.stderr if "building" in line)
    return process


@dataclass(frozen=True)
class Case:
    """What the worker does, and what must be said of it."""

    body: str
    code: int
    problem: str
    words: str
    arguments: tuple[str, ...] = ()
    options: dict[str, object] = field(default_factory=dict)


def little_memory() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))


UNSPEAKABLE = """
class Bad(Exception):
    def __str__(self):
        raise ValueError
raise Bad
"""
CASES = {
    "an exception whose text raises": Case(
        UNSPEAKABLE, 5, "raised", "exception, phase build: Bad: (its __str__ raised ValueError)"
    ),
    "os._exit": Case("os._exit(3)", 5, "exited", "exited with status 3 in phase build without an exception"),
    "all descriptors closed, then waits": Case(
        "os.closerange(3, 4096)\ntime.sleep(3600)", 5, "channel-closed", "closed descriptors that are not its own"
    ),
    "another program in the worker's place": Case(
        "os.execv('/bin/sleep', ['sleep', '3600'])", 5, "exited", "replaced the worker by another program"
    ),
    "TensorFlow not installed": Case(
        "from pipeprof.profiles.worker.pipeline import import_tensorflow\n"
        "sys.modules['tensorflow'] = None\nimport_tensorflow()",
        1,
        "no-tensorflow",
        "TensorFlow",
    ),
    "memory refused to a library": Case(
        "os.write(2, b\"terminate called after throwing an instance of 'std::bad_alloc'\\n\")\nos.abort()",
        5,
        "out-of-memory",
        "the system refused memory at the limit of 2.00 GiB for addresses (ulimit -v)",
        options={"preexec_fn": little_memory},
    ),
    "stopped, and found hanging": Case(
        "os.kill(os.getpid(), signal.SIGSTOP)",
        5,
        "hung",
        "The process was stopped (SIGSTOP, or a debugger) and not continued: no progress for 6 s (--timeout)",
        ("--timeout", "6"),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_cause_is_named(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    ended = run_misbehaving(tmp_path, case.body, *case.arguments, **case.options)
    assert ended.code == case.code, ended.err
    assert ended.profile is not None
    (problem,) = ended.profile.errors
    assert (ended.profile.exit_code, problem.code) == (case.code, case.problem)
    assert case.words in problem.message
    assert ended.profile.phases[-1].name == "build"


def test_a_worker_that_closed_its_own_streams_is_measured(tmp_path: Path) -> None:
    ended = run_misbehaving(tmp_path, "for n in (0, 1, 2): os.close(n)\nself.warn('reached', 'the end')")
    assert "reached" in [warning.code for warning in ended.profile.warnings]


def test_of_two_workers_on_one_channel_the_copy_is_ended_and_that_is_said(tmp_path: Path) -> None:
    body = "os.fork()\nself.warn('went-on', f'{os.getpid()}')\nself.warn('again', 'x')"
    ended = run_misbehaving(tmp_path, body)
    codes = [warning.code for warning in ended.profile.warnings]
    assert codes.count("went-on") == 1
    assert [phase.name for phase in ended.profile.phases] == ["import", "build"]


def test_children_in_sessions_of_their_own_do_not_outlive_the_run(tmp_path: Path) -> None:
    sleeping = "[sys.executable, '-c', 'import signal; signal.pause()']"
    body = f"""
    subprocess.Popen({sleeping}, start_new_session=True)
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            signal.pause()
        os._exit(0)
    os.wait()
    """
    # Whom a copy forks is not known by its environment.
    run(tmp_path, [sys.executable, "-c", misbehaving(body)], target(tmp_path))


def test_a_signal_when_all_was_measured_costs_no_report(tmp_path: Path) -> None:
    late = (
        "import os, signal\nfrom pipeprof.profiles.harness import harness\nfind = harness.findings_for\n"
        "def signalled(*given, **options):\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    return find(*given, **options)\n"
        "harness.findings_for = signalled\n"
    )
    code = late + worker("os._exit(3)")
    ended = run_copied(tmp_path, code, target(tmp_path), "--out", str(tmp_path / "profile.json"))
    assert ended.code == 5
    assert "exited with status 3" in ended.out
    assert ended.profile.exit_code == 5


def wait_for(path: Path) -> None:
    """Until the file is there; the folder's events are not to be had everywhere."""
    pause = threading.Event()
    for _ in range(PATIENCE * 100):
        if path.exists():
            return
        pause.wait(0.01)
    pytest.fail(f"{path} was not made")


def test_a_closed_terminal_keeps_the_profile_and_has_a_code_of_its_own(tmp_path: Path) -> None:
    # Tests that were started under nohup ignore it, and so would this.
    listening = partial(signal.signal, signal.SIGHUP, signal.SIG_DFL)
    process = begun(tmp_path, "print('ready')\ntime.sleep(3600)", stdout=subprocess.PIPE, preexec_fn=listening)
    # Nobody reads what it still has to say.
    process.stdout.close()
    process.stderr.close()
    process.send_signal(signal.SIGHUP)
    assert process.wait(PATIENCE) == 129
    (saved,) = (tmp_path / "pipeprof-out").glob("*.json")
    profile = Profile.model_validate_json(saved.read_text())
    assert (profile.exit_code, profile.errors[0].code, profile.complete) == (129, "hung-up", False)
    assert left(str(tmp_path)) == []


@pytest.mark.parametrize(("closed", "code"), [((1,), 1), ((0, 2), 5)])
def test_closed_streams_cost_only_what_went_to_them(closed: tuple[int, ...], code: int, tmp_path: Path) -> None:
    def close() -> None:
        for number in closed:
            os.close(number)

    ended = run_misbehaving(tmp_path, "print('made by the user')\nos._exit(3)", preexec_fn=close)
    assert ended.code == code
    assert ended.profile.exit_code == 5
    assert ended.profile.output == "made by the user"
    assert bool(ended.out) == (1 not in closed)
    if closed == (1,):
        assert "could not be written to stdout (it is closed)" in ended.err


def test_few_open_files_are_named(tmp_path: Path) -> None:
    ended = run_misbehaving(tmp_path, "pass", preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (10, 10)))
    assert ended.code == 1
    assert "a process may have 10 (ulimit -n)" in ended.err


def test_a_folder_that_is_deleted_during_the_run_costs_nothing(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    code = worker(f"os.rmdir({str(gone)!r})\nos._exit(3)")
    ended = run_copied(tmp_path, code, target(tmp_path), "--out", str(tmp_path / "profile.json"), cwd=gone)
    assert (ended.code, ended.profile.errors[0].code) == (5, "exited")
    assert "exited with status 3" in ended.out


def without_temporary_folder(folder: Path) -> dict[str, str]:
    """An environment in which Python finds no folder for temporary files, and there is no home."""
    site = folder / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text("import tempfile\ntempfile._candidate_tempdir_list = lambda: ['/proc/no']\n")
    return {"PYTHONPATH": str(site), "HOME": "/proc/no", "XDG_RUNTIME_DIR": "", "XDG_CACHE_HOME": "/proc/no"}


def test_with_nothing_writable_the_report_is_on_stdout(tmp_path: Path) -> None:
    program = [sys.executable, "-c", misbehaving("os._exit(3)")]
    ended = run(tmp_path, program, target(tmp_path), cwd="/proc", env=without_temporary_folder(tmp_path))
    assert (ended.code, ended.profile) == (1, None)
    assert "exited with status 3" in ended.out
    assert "the profile could be written nowhere" in ended.err


def test_a_folder_that_cannot_be_written_to_sends_the_profile_elsewhere(tmp_path: Path) -> None:
    program = [sys.executable, "-c", misbehaving("print('made by the user')\nos._exit(3)")]
    place = {"PATH": os.environ["PATH"], "HOME": "/proc/no", "TMPDIR": str(tmp_path)}
    ended = run(tmp_path, program, target(tmp_path), "--json", cwd="/proc", env=place)
    assert ended.code == 5, ended.err
    profile = Profile.model_validate_json(ended.out)
    assert [warning.code for warning in profile.warnings if "cannot write" in warning.message] == ["not-saved-there"]
    assert len(list(tmp_path.glob("pipeprof-*/*.json"))) == 1
    assert profile.output == "made by the user"


SPEC = """\
version: 1
data:
  table: {csv: {rows: 50}}
source: {TextLineDataset: {filenames: "data:table/data.csv"}}
stages:
  - batch: {batch_size: 2}
  - repeat: {}
"""
# Steps of one length: the warm-up is soon over, and the cores are free for other tests.
STEADY = ("--step", "simulate:10ms")


def test_with_nothing_writable_but_its_output_a_run_is_complete(tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text("version: 1\nsource: {range: {stop: 9}}\nstages: [{repeat: {}}]\n")
    out = str(tmp_path / "profile.json")
    arguments = (str(tmp_path / "spec.yaml"), *STEADY, "--out", out)
    # How a process is started there is for the tests above.
    nowhere = "import tempfile\ntempfile._candidate_tempdir_list = lambda: ['/proc/no']\ntempfile.tempdir = None\n"
    ended = run_copied(tmp_path, nowhere, *arguments, cwd=Path("/proc"), **without_temporary_folder(tmp_path))
    assert ended.code == 0, ended.err
    assert ended.profile.complete
    assert ended.profile.verdict is not None
    assert " ".join(ended.out.split()).startswith(ended.profile.verdict.headline)
    assert "no-trace" not in [warning.code for warning in ended.profile.warnings]


def trapped(folder: Path, names: tuple[str, ...] = TRAPS) -> Path:
    """Files with the names of modules; each leaves a mark when it is run."""
    sprung = folder / "sprung"
    for name in names:
        (folder / f"{name}.py").write_text(f"open({str(sprung)!r}, 'a').write('{name}\\n')\n")
    return sprung


# An empty part of PYTHONPATH stands for the current folder.
@pytest.mark.parametrize(("arguments", "search"), [(["check", "spec.yaml"], None), (["data", "list"], ":/nowhere")])
def test_no_command_runs_files_of_the_current_folder(arguments: list[str], search: str | None, tmp_path: Path) -> None:
    # Python itself reads its own modules from PYTHONPATH.
    sprung = trapped(tmp_path, tuple(name for name in TRAPS if name not in sys.stdlib_module_names or not search))
    (tmp_path / "spec.yaml").write_text(SPEC)
    done = subprocess.run(
        [sys.executable, "-m", "pipeprof", *arguments],
        cwd=tmp_path,
        env={**os.environ, **({"PYTHONPATH": search} if search else {})},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert not sprung.exists(), sprung.read_text()
