"""Run the tests in several processes, as `make` does; what a process prints is shown when it has ended.

``python tests/shares.py unit``, ``integration`` or ``all``, followed by options of pytest. `all` checks the types too.
Unit tests wait for little: two processes, each with folders of its own. Integration tests wait for processes that they
start: five, each of which takes the next module when it has run one. They are copies of one process that has imported
TensorFlow (``shares.py copies``). Beside them, unit tests and types get what is left of the cores.
"""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import IO

HERE = Path(__file__).parent
HALF = [str(HERE / "unit" / name) for name in ("advise", "changes", "cli", "script", "tries")]
"""Folders whose tests take as long as all the others."""
PROCESSES = 5
# None of the unit tests waits: no thread watches for one that does.
UNIT = ("-o", "faulthandler_timeout=0")
TYPES = [sys.executable, "-m", "mypy", "-p", "pipeprof"]
# Modules that take longest come first, so that all processes end at about the same time.
LONGEST = (
    "test_gate",
    "test_training_findings",
    "test_training_script",
    "test_environment_faults",
    "test_watch",
    "test_service",
    "test_fix",
    "test_script_diffs",
    "test_gate_action",
    "test_targets",
    "test_targets_at_refs",
    "test_deaths",
    "test_elements",
    "test_verification",
    "test_data",
    "test_git_refs",
    "test_refusals",
    "test_fuzz",
    "test_guarded",
    "test_constructs",
    "test_gallery",
    "test_ops_tensorflow",
    "test_layers",
    "test_targets_as_written",
    "test_stages",
    "test_edits_of_calls",
    "test_profile_here",
    "test_libraries",
    "test_windows",
    "test_ci_recipes",
    "test_install_line",
    "test_fork_server",
)


def _pytest(*words: str) -> list[str]:
    return [sys.executable, "-m", "pytest", "-q", *words]


def _unit() -> list[list[str]]:
    return [_pytest(*UNIT, *HALF), _pytest(*UNIT, str(HERE / "unit"), *(f"--ignore={folder}" for folder in HALF))]


@contextmanager
def _integration() -> Iterator[tuple[list[list[str]], int]]:
    """Commands of processes that share one pipe of modules, and its descriptor; all that they share ends with them."""
    sys.path.insert(0, str(HERE))
    from integration import example_data, forked

    places = {name: place for place, name in enumerate(LONGEST)}
    modules = sorted((HERE / "integration").glob("test_*.py"), key=lambda one: places.get(one.stem, len(places)))
    descriptor, written = os.pipe()
    os.write(written, bytes(range(len(modules))))
    os.close(written)
    words = [f"--taken-from={descriptor}", *map(str, modules)]
    with tempfile.TemporaryDirectory(prefix="pipeprof-examples-") as folder:
        os.environ[example_data.SHARED] = folder
        if forked.LINUX:
            yield [[sys.executable, __file__, "copies", *words]], descriptor
        else:
            yield [_pytest(*words)] * PROCESSES, descriptor


def _has_failed(command: list[str], *descriptors: int) -> bool:
    with tempfile.TemporaryFile() as said:
        code = subprocess.run(command, stdout=said, stderr=subprocess.STDOUT, pass_fds=descriptors).returncode
        _show(said)
    return code != 0


def _show(said: IO[bytes]) -> None:
    said.seek(0)
    sys.stdout.buffer.write(said.read())
    sys.stdout.flush()


@contextmanager
def _without_logs_of_tensorflow() -> Iterator[None]:
    """What its libraries say of the machine when they are loaded; an exception of Python is seen."""
    kept = os.dup(2)
    with Path(os.devnull).open("wb") as nothing:
        os.dup2(nothing.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def copies(options: list[str]) -> int:
    """Run pytest in `PROCESSES` copies of this process; return 1 if one has failed or was killed, else 0.

    The process that copies itself for the tests' commands is a copy of this one as well.
    """
    # As in `python -m pytest`.
    sys.path[:1] = [str(HERE), str(Path.cwd())]
    sys.argv = ["pytest", *options]
    from integration import forked

    with _without_logs_of_tensorflow():
        forked.import_all()
    forked.listen_in_a_copy()
    import pytest

    gc.freeze()
    running: dict[int, IO[bytes]] = {}
    for _ in range(PROCESSES):
        said = tempfile.TemporaryFile()  # noqa: SIM115 - until its copy has ended
        pid = os.fork()
        if not pid:
            for stream in (1, 2):
                os.dup2(said.fileno(), stream)
            return int(pytest.main(["-q", *options]))
        running[pid] = said
    failed = False
    while running:
        pid, status = os.wait()
        if said := running.pop(pid, None):
            failed |= status != 0
            _show(said)
            said.close()
    return int(failed)


def main(which: str, options: list[str]) -> int:
    """Return 1 if a process has failed or was killed, else 0."""
    if which == "copies":
        return copies(options)
    unit = [[*command, *options] for command in _unit()]
    with ThreadPoolExecutor(PROCESSES + len(unit) + 1) as threads:
        if which == "unit":
            return int(max(threads.map(_has_failed, unit)))
        with _integration() as (commands, descriptor):
            ends = [threads.submit(_has_failed, [*command, *options], descriptor) for command in commands]
            for command in [TYPES, *unit] if which == "all" else ():
                ends.append(threads.submit(_has_failed, ["nice", "-n", "19", *command]))
            return int(max(end.result() for end in ends))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
