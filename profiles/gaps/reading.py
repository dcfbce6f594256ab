"""Traces from files and folders: which files are meant, and which format they have."""

from __future__ import annotations

import mmap
import os
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final

from pipeprof.profiles.gaps.chrome import read_chrome
from pipeprof.profiles.gaps.nsight import read_nsight
from pipeprof.profiles.gaps.trace import DeviceTrace, TraceError
from pipeprof.profiles.gaps.xplane import read_xplane

MOST_FILES: Final = 64
"""Files of one folder: one for each host of the latest run."""
_PACKED = 1 << 18
_OF_GZIP = 31
"""How zlib is to expect the header of gzip."""
_GZIP, _SQLITE = b"\x1f\x8b", b"SQLite format 3\x00"
_ENDINGS = (".xplane.pb", ".pt.trace.json", ".pt.trace.json.gz")
_RESULT = (
    ".input_pipeline.pb",
    ".overview_page.pb",
    ".tensorflow_stats.pb",
    ".kernel_stats.pb",
    ".memory_profile.json.gz",
)


def find_traces(path: Path) -> list[Path]:
    """Return the files of a trace: itself, or those of the latest run in a TensorBoard log folder.

    Raises:
        TraceError: There is none.
    """
    if not path.exists():
        raise TraceError(f"{path}: no such file or folder")
    if not path.is_dir():
        return [path]
    found: dict[Path, list[Path]] = {}
    for folder, folders, files in os.walk(path):
        folders.sort()
        named = sorted(name for name in files if name.endswith(_ENDINGS))
        if named:
            found[Path(folder)] = [Path(folder, name) for name in named]
    if not found:
        raise TraceError(f"{path}: the folder has no *.xplane.pb and no *.pt.trace.json")
    # Runs are folders named by their time.
    latest = max(found, key=lambda folder: (folder.name, str(folder)))
    return found[latest][:MOST_FILES]


def read_trace(path: Path) -> DeviceTrace:
    """Read a file of any format.

    Raises:
        TraceError: It is no trace, or an empty one.
    """
    try:
        with path.open("rb") as file:
            head = file.read(16)
        if not head:
            raise TraceError(f"{path}: the file is empty")
        if path.name.endswith(_RESULT):
            raise TraceError(f"{path}: this is a result of another tool, not a trace; give its *.xplane.pb")
        if head == _SQLITE:
            found = _named(path, lambda: read_nsight(path))
        elif head.startswith(_GZIP):
            found = _named(path, lambda: _read_packed(path))
        elif head.lstrip()[:1] in (b"{", b"[") or head.startswith(b"\xef\xbb\xbf"):
            with path.open("rb") as file:
                found = _named(path, lambda: read_chrome(file))
        else:
            with _mapped(path) as data:
                found = _named(path, lambda: read_xplane(data))
    except OSError as error:
        raise TraceError(f"{path}: cannot be read ({error.strerror or error})") from None
    if not len(found.work.begin) and not len(found.host.begin):
        why = f" ({found.damage[0]})" if found.damage else ""
        raise TraceError(f"{path}: not a trace that pipeprof can read, or one without events{why}")
    return found


def _named(path: Path, read: Callable[[], DeviceTrace]) -> DeviceTrace:
    """Read, and put the file's name before what is wrong with it."""
    try:
        return read()
    except TraceError as error:
        text = str(error)
        raise TraceError(text if text.startswith(str(path)) else f"{path}: {text}") from None


class Unpacked:
    """A gzip file that gives all it has before a damage: `gzip` drops what it has read since its last whole part."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._inner = zlib.decompressobj(_OF_GZIP)
        self._rest = b""

    def read(self, size: int) -> bytes:
        """Return about as many bytes; none at the end.

        Raises:
            EOFError: The file ends too early.
            zlib.error: It is damaged.
        """
        while True:
            data = self._rest or self._file.read(_PACKED)
            if not data:
                if not self._inner.eof:
                    raise EOFError("it ends too early")
                return b""
            if self._inner.eof:
                # Another part follows, or zeros that fill up a block of a tape.
                if not data.strip(b"\0"):
                    self._rest = b""
                    continue
                self._inner = zlib.decompressobj(_OF_GZIP)
            found = self._inner.decompress(data, size)
            self._rest = self._inner.unused_data if self._inner.eof else self._inner.unconsumed_tail
            if found:
                return found


def _read_packed(path: Path) -> DeviceTrace:
    with path.open("rb") as file:
        try:
            head = Unpacked(file).read(16)
        except (EOFError, zlib.error):
            raise TraceError("the file is damaged: it cannot be unpacked") from None
    with path.open("rb") as file:
        unpacked = Unpacked(file)
        if head.lstrip()[:1] in (b"{", b"[") or head.startswith(b"\xef\xbb\xbf"):
            return read_chrome(unpacked)
        parts = []
        with suppress(EOFError, zlib.error):
            while part := unpacked.read(_PACKED):
                parts.append(part)
        return read_xplane(b"".join(parts))


@contextmanager
def _mapped(path: Path) -> Iterator[bytes]:
    """A file's bytes without a copy of them in memory."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        yield data  # type: ignore[misc]
