"""The parent's side of generating an entry: child process, progress, errors."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import IO, Any

from pipeprof.pipelines.data.errors import DataError, DiskSpaceError
from pipeprof.pipelines.data.folders import making_folder, write_marker
from pipeprof.pipelines.data.processes import end_group
from pipeprof.pipelines.data.recipes.models import DataEntry
from pipeprof.pipelines.data.temporary import nameless_file
from pipeprof.pipelines.target.import_path import child_command

_SPACE_ERRORS = (errno.ENOSPC, errno.EDQUOT)
_MAKER = "pipeprof.pipelines.data.makers.make"


def make_entry(name: str, entry: DataEntry, final: Path, report: Callable[[int, int], None]) -> None:
    """Make the files of an entry and give them their place in one step; the entry's lock is held.

    Whatever ends this early (an error, Ctrl-C, SIGTERM) ends the child and leaves nothing behind.
    """
    temporary = None
    with _sigterm_raises():
        try:
            with file_errors(name, final.parent):
                temporary = making_folder(final.parent, final.name)
            _run_child(name, entry, temporary, report)
            with file_errors(name, final.parent):
                write_marker(temporary, entry)
                temporary.chmod(0o777 & ~_umask())
                temporary.rename(final)
        finally:
            # After the renaming there is nothing left under this name.
            if temporary is not None:
                shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def file_errors(name: str, root: Path) -> Iterator[None]:
    """Tell failures of the file system as what they mean for the entry ``name`` in the cache folder ``root``."""
    try:
        yield
    except OSError as error:
        if error.errno in _SPACE_ERRORS:
            raise _disk_full(name, root) from error
        msg = f"cannot generate {name} in {root} ({error.strerror}); set PIPEPROF_CACHE_DIR to another folder"
        raise DataError(msg) from error


def _run_child(name: str, entry: DataEntry, folder: Path, report: Callable[[int, int], None]) -> None:
    job = {"entry": entry.model_dump(mode="json", exclude_none=True), "folder": str(folder), "parent": os.getpid()}
    failure: dict[str, Any] | None = None
    with nameless_file() as noise:
        try:
            child = subprocess.Popen(
                child_command(_MAKER),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=noise,
                start_new_session=True,
                text=True,
                encoding="utf-8",
            )
        except (PermissionError, FileNotFoundError) as error:
            msg = f"the process that generates {name} could not be started: {error.filename}: {error.strerror}"
            raise DataError(msg) from error
        try:
            if child.stdin is not None:
                # A child that is already dead has its say through its exit code.
                with suppress(BrokenPipeError), child.stdin:
                    child.stdin.write(json.dumps(job))
            for message in _messages(child):
                if "error" in message:
                    failure = message
                else:
                    report(message["done"], message["total"])
            child.wait()
        finally:
            if child.poll() is None:
                end_group(child.pid)
            # Waits for the process after closing its pipes.
            child.__exit__(None, None, None)
        if child.returncode != 0:
            raise _failed(name, folder.parent, failure, child.returncode, noise)


def _messages(child: subprocess.Popen[str]) -> Iterator[dict[str, Any]]:
    if child.stdout is not None:
        for line in child.stdout:
            yield json.loads(line)


def _failed(name: str, root: Path, failure: dict[str, Any] | None, code: int, noise: IO[bytes]) -> DataError:
    if failure is not None and failure["errno"] in _SPACE_ERRORS:
        return _disk_full(name, root)
    if failure is not None:
        return DataError(f"generating {name} in {root} failed: {failure['error']}")
    if code < 0:
        how = f"was killed by {signal.Signals(-code).name}"
        hint = "; it may have run out of memory" if -code == signal.SIGKILL else ""
        return DataError(f"the process generating {name} in {root} {how}{hint}")
    noise.seek(0)
    lines = noise.read().decode(errors="replace").strip().splitlines() or [f"exit code {code}"]
    return DataError(f"the process generating {name} in {root} failed: {lines[-1]}")


def _disk_full(name: str, root: Path) -> DiskSpaceError:
    return DiskSpaceError(name, root, needed=None, free=shutil.disk_usage(root).free)


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


@contextmanager
def _sigterm_raises() -> Iterator[None]:
    """Let SIGTERM unwind the stack like Ctrl-C does, where the program has not seen to that itself."""
    here = threading.current_thread() is threading.main_thread()
    if not here or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return

    def leave(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
