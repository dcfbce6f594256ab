"""Traces from files and folders: which files are meant, and which format they have."""

from __future__ import annotations

import codecs
import gzip
import mmap
import os
import re
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

from pipeprof.profiles.gaps.chrome import read_chrome
from pipeprof.profiles.gaps.sentences import reason
from pipeprof.profiles.gaps.trace import DeviceTrace, TraceError
from pipeprof.profiles.gaps.xplane import read_xplane

MOST_FILES: Final = 64
"""Files of one folder that are read: one for each host of the latest run."""
MOST_UNPACKED: Final = 1 << 31
"""Bytes: Protocol Buffers' own limit of a message. JSON is read a part at a time, however long it is."""
_PACKED = 1 << 18
_HEAD = 16
_GZIP = b"\x1f\x8b"
_DAMAGES = (EOFError, zlib.error, gzip.BadGzipFile)
_ENDINGS = (".xplane.pb", ".pt.trace.json", ".pt.trace.json.gz")
"""Names that TensorFlow, JAX and PyTorch choose: other files of a folder are much else."""
_RUN = re.compile(r"\d{4}(_\d\d){5}")
"""A run's folder as TensorFlow and JAX name it, by its time."""
_OF_WORKER = re.compile(r"(.+)\.(\d+)\.pt\.trace\.json(?:\.gz)?")
"""A worker's file as PyTorch names it, with a time at its end."""
_NSIGHT = (".sqlite", ".nsys-rep")
_RESULT = (
    ".input_pipeline.pb",
    ".overview_page.pb",
    ".tensorflow_stats.pb",
    ".kernel_stats.pb",
    ".memory_profile.json.gz",
)


class FoundTraces(NamedTuple):
    """The files of a trace, and sentences on the rest of its folder."""

    files: list[Path]
    notes: list[str]


def find_traces(path: Path) -> FoundTraces:
    """Find the files of a trace: itself, or those of the latest run in a TensorBoard log folder.

    Raises:
        TraceError: There is none.
    """
    if not path.exists():
        raise TraceError(f"{path}: no such file or folder")
    if not path.is_dir():
        return FoundTraces([path], [])
    runs = _runs(path)
    if not runs:
        raise TraceError(f"{path}: the folder has no *.xplane.pb and no *.pt.trace.json; give a trace of another name")
    notes = []
    if len(runs) > 1:
        notes.append(reason("several-runs", len(runs)).text)
    files = runs[max(runs, key=lambda run: _time_of(run, runs[run]))]
    latest = _latest_of_workers(files)
    if len(latest) < len(files):
        notes.append(reason("several-traces", len(files)).text)
    if len(latest) > MOST_FILES:
        notes.append(reason("files-left", MOST_FILES, len(latest)).text)
    return FoundTraces(latest[:MOST_FILES], notes)


def _runs(path: Path) -> dict[str, list[Path]]:
    """Return the files by run: a folder, or, of several hosts' folders, the time that names it."""
    found: dict[str, list[Path]] = {}
    for folder, folders, names in os.walk(path):
        folders.sort()
        files = [Path(folder, name) for name in sorted(names) if name.endswith(_ENDINGS)]
        if files:
            name = Path(folder).name
            found.setdefault(name if _RUN.fullmatch(name) else folder, []).extend(files)
    return found


def _time_of(run: str, files: Sequence[Path]) -> tuple[bool, str | int, str]:
    """What orders runs by time: their names where these are times, else when their files were written."""
    if _RUN.fullmatch(run):
        return False, run, run
    written = [file.stat().st_mtime_ns for file in files if file.exists()]
    return True, max(written, default=0), run


def _latest_of_workers(files: Sequence[Path]) -> list[Path]:
    found: dict[str, tuple[int, Path]] = {}
    for file in files:
        named = _OF_WORKER.fullmatch(file.name)
        worker, time = (str(file.with_name(named[1])), int(named[2])) if named is not None else (str(file), 0)
        if worker not in found or time > found[worker][0]:
            found[worker] = (time, file)
    return sorted(file for _, file in found.values())


def read_trace(path: Path) -> DeviceTrace:
    """Read a file of any format.

    Raises:
        TraceError: It is no trace, or an empty one.
    """
    try:
        return _read(path)
    except TraceError as error:
        raise TraceError(f"{path}: {error}") from None
    except OSError as error:
        raise TraceError(f"{path}: cannot be read ({error.strerror or error})") from None


def _read(path: Path) -> DeviceTrace:
    if not path.is_file():
        # What comes through a pipe cannot be read twice.
        raise TraceError("not a file; write the trace to one")
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if not head:
        raise TraceError("the file is empty")
    if path.name.endswith(_RESULT):
        raise TraceError("this is a result of another tool, not a trace; give its *.xplane.pb")
    if path.name.endswith(_NSIGHT):
        raise TraceError("reports of Nsight Systems are not read; trace with TensorFlow's, JAX's or PyTorch's profiler")
    if head.startswith(_GZIP):
        found = _read_packed(path)
    elif _is_json(head):
        with path.open("rb") as file:
            found = read_chrome(file)
    else:
        with _mapped(path) as data:
            found = read_xplane(data)
    if not len(found.work.begin) and not len(found.host.begin):
        why = f" ({found.damage[0].text})" if found.damage else ""
        raise TraceError(f"not a trace that pipeprof can read, or one without events{why}")
    return found


def _is_json(head: bytes) -> bool:
    return head.lstrip()[:1] in (b"{", b"[") or head.startswith(codecs.BOM_UTF8)


def _read_packed(path: Path) -> DeviceTrace:
    with gzip.open(path) as file:
        try:
            head = file.peek(_HEAD)[:_HEAD]
        except _DAMAGES:
            raise TraceError("the file is damaged: it cannot be unpacked") from None
        if _is_json(head):
            return read_chrome(file)
        whole, ended = bytearray(), None
        try:
            # All that there is before a damage, which `read` would drop.
            while part := file.read1(_PACKED):
                whole += part
                if len(whole) > MOST_UNPACKED:
                    raise TraceError("it unpacks to more than 2 GiB, which no XPlane file has")
        except _DAMAGES as error:
            ended = reason("file-damaged", error)
        found = read_xplane(whole)  # type: ignore[arg-type]
        # Its end may be at the end of a plane: others may be missing.
        return found if ended is None else replace(found, damage=[*found.damage, ended], partial_host=True)


@contextmanager
def _mapped(path: Path) -> Iterator[bytes]:
    """A file's bytes without a copy of them in memory."""
    with path.open("rb") as file:
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        try:
            yield data  # type: ignore[misc]
        finally:
            # An exception, such as Ctrl-C, holds arrays that look into it.
            with suppress(BufferError):
                data.close()
