"""Run the tests in several processes, as `make` does; what a process prints is shown when it has ended.

``python tests/shares.py unit``, ``integration`` or ``all``, followed by options of pytest. `all` checks the types too.
Unit tests wait for little: two processes, each with folders of its own. Integration tests wait for processes that they
start: five, each of which takes the next module when it has run one; they are copies of this process, which imports
TensorFlow for all. Beside them, unit tests and types get what is left of the cores.
"""

from __future__ import annotations

import gc
import importlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO

HERE = Path(__file__).parent
HALF = [str(HERE / "unit" / name) for name in ("advise", "cli", "spec", "verify")]
"""Folders whose tests take as long as all the others."""
PROCESSES = 5
# None of the unit tests waits: no thread watches for one that does.
UNIT = ("-o", "faulthandler_timeout=0")
# pytest would rewrite the assertions of pipeprof, which has a plugin for it; a copy has imported some of it already.
QUIET = ("-W", "ignore::pytest.PytestAssertRewriteWarning")
TYPES = [sys.executable, "-m", "mypy", "-p", "pipeprof"]
# Modules that take longest come first, so that all processes end at about the same time.
LONGEST = (
    "test_training_findings",
    "test_training_script",
    "test_gate",
    "test_init_function",
    "test_ci_recipes",
    "test_environment_faults",
    "test_service",
    "test_service_example",
    "test_scale",
    "test_fix",
    "test_watch",
    "test_why",
    "test_gate_action",
    "test_targets",
    "test_live",
    "test_python_rendering",
    "test_git_refs",
    "test_history",
    "test_refusals",
    "test_gallery",
    "test_ragged_batches",
    "test_fuzz",
    "test_init_public_shapes",
    "test_deaths",
    "test_elements",
    "test_targets_as_written",
    "test_parsed_sequences",
    "test_guarded",
    "test_data",
    "test_profile_here",
    "test_targets_at_refs",
    "test_layers",
    "test_verification",
    "test_constructs",
    "test_ops_tensorflow",
    "test_libraries",
    "test_fork_server",
    "test_documented_commands",
    "test_other_python",
    "test_install_line",
)


@dataclass(frozen=True)
class _Running:
    """A process: what it has said, and its exit code when it has ended."""

    said: IO[bytes]
    wait: Callable[[], int]

    def has_failed(self) -> bool:
        """Show what it has said when it has ended."""
        with self.said:
            code = self.wait()
            self.said.seek(0)
            sys.stdout.buffer.write(self.said.read())
            sys.stdout.flush()
        return code != 0


def _started(command: list[str], *descriptors: int) -> _Running:
    said = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the process
    process = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT, pass_fds=descriptors)
    return _Running(said, process.wait)


def _copied(options: list[str]) -> _Running:
    """Start pytest in a copy of this process; nothing that this one does at its end is done at the copy's."""
    said = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the process
    if pid := os.fork():
        return _Running(said, lambda: os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    code = 1
    try:
        for stream in (1, 2):
            os.dup2(said.fileno(), stream)
        sys.path[0] = str(HERE.parent)
        code = int(importlib.import_module("pytest").main(options))
        sys.stdout.flush()
    finally:
        os._exit(code)


def _pytest(*words: str) -> list[str]:
    return [sys.executable, "-m", "pytest", "-q", *words]


def _unit() -> list[list[str]]:
    return [_pytest(*UNIT, *HALF), _pytest(*UNIT, str(HERE / "unit"), *(f"--ignore={folder}" for folder in HALF))]


def _integration(kept: ExitStack, options: list[str]) -> Iterator[_Running]:
    """Start processes that take modules from one pipe; what they share is deleted at the end."""
    sys.path.insert(0, str(HERE))
    from integration import example_data, forked

    forked.listen()
    places = {name: place for place, name in enumerate(LONGEST)}
    modules = sorted((HERE / "integration").glob("test_*.py"), key=lambda one: places.get(one.stem, len(places)))
    descriptor, written = os.pipe()
    os.write(written, bytes(range(len(modules))))
    os.close(written)
    folder = kept.enter_context(tempfile.TemporaryDirectory(prefix="pipeprof-tests-", ignore_cleanup_errors=True))
    os.environ[example_data.SHARED] = f"{folder}/examples"
    os.mkdir(os.environ[example_data.SHARED])  # noqa: PTH102 - a name
    if forked.LINUX:
        importlib.import_module("tensorflow")
        gc.freeze()
    for number in range(PROCESSES):
        # What a copy has there is not deleted by pytest itself, which would do that at the end of the process.
        words = [f"--taken-from={descriptor}", f"--basetemp={folder}/pytest-{number}", *options, *map(str, modules)]
        yield _copied(["-q", *QUIET, *words]) if forked.LINUX else _started(_pytest(*words), descriptor)


def main(which: str, options: list[str]) -> int:
    """Return 1 if a process has failed or was killed, else 0."""
    running = []
    with ExitStack() as kept:
        if which != "integration":
            beside = [] if which == "unit" else ["nice", "-n", "19"]
            running += [_started([*beside, *command, *options]) for command in _unit()]
        if which == "all":
            running.append(_started(["nice", "-n", "19", *TYPES]))
        if which != "unit":
            running += _integration(kept, options)
        # After the last copy is made: a process that has threads is not copied.
        with ThreadPoolExecutor(len(running)) as threads:
            return int(max(threads.map(_Running.has_failed, running)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
