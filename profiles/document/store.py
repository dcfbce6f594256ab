"""Saved profiles: writing them so that a reader never sees half of one, and reading them back."""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import re
import stat
import tempfile
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pipeprof.pipelines.errors import PipeprofError, ProfileError
from pipeprof.pipelines.host_files import check_private, temporary_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pipeprof.profiles.document.base import Model
    from pipeprof.profiles.document.profile import Profile

_Document = TypeVar("_Document", bound="Model")
FOLDER = "pipeprof-out"
"""Where a profile goes, below the current folder, unless the user says otherwise."""

MAX_BYTES = 256 * 1024**2
"""A larger file is no profile: a run of a million steps saves a few megabytes."""

_SLUG = re.compile(r"[^A-Za-z0-9_.-]+")


class ProfileNotSavedError(PipeprofError):
    """The profile could be written nowhere (exit code 1)."""


@dataclass(frozen=True)
class ProfileFile:
    """A file a profile may be written to.

    Attributes:
        makes_folder: The folder is pipeprof's own: it is made, and ignored in git.
        private: The folder lies where everybody may write: it must belong to this user alone.
        at_end: Only a complete document may be here; see :meth:`ProfileWriter.deliver`.
    """

    path: Path
    makes_folder: bool = False
    private: bool = False
    at_end: bool = False


def slug(name: str) -> str:
    """A user's name as a part of a file name: ASCII letters, digits, ``-``, ``_`` and ``.``, at most 60."""
    return _SLUG.sub("-", name)[:60].strip("-.") or "profile"


def places(name: str, stamp: str = "", out: Path | None = None, *, cwd: Path | None = None) -> list[ProfileFile]:
    """Folders for a run's profile, best first: `out`, ``pipeprof-out/``, and one of the user in the temporary folder.

    Args:
        stamp: UTC time of the run for the file's name, e.g. ``20260731T101112Z``; empty for now.
    """
    file = f"{slug(name)}-{stamp or datetime.now(timezone.utc).strftime('%Y%m%dT%H%M%SZ')}.json"
    user = str(os.getuid()) if hasattr(os, "getuid") else "user"
    found = [ProfileFile(out, at_end=holds_something(out))] if out else []
    found.append(ProfileFile((cwd or Path()) / FOLDER / file, makes_folder=True))
    if (temporary := temporary_folder()) is not None:
        found.append(ProfileFile(temporary / f"pipeprof-{user}" / file, makes_folder=True, private=True))
    return found


class ProfileWriter:
    """Writes one document again and again to the first place that takes it.

    A place that fails (read-only, full, gone) is given up for the next one. Each write is a new file moved over the old
    one, so a reader finds the whole earlier or later profile. A first place that is `at_end` is not among them:
    :meth:`deliver` replaces it, once.

    Attributes:
        path: Where the profile is; ``None`` as long as no write succeeded.
        kept: The file that :meth:`deliver` is to replace and has not; ``None`` without one.
        warnings: One sentence for each place that was given up.

    Args:
        transform: Applied to the document before each write, e.g. a redaction.
    """

    def __init__(self, candidates: Iterable[Path | ProfileFile], transform: Callable[[Any], Any] | None = None) -> None:
        self.path: Path | None = None
        self.warnings: list[str] = []
        self._places = [place if isinstance(place, ProfileFile) else ProfileFile(place) for place in candidates]
        # A link that somebody puts in the file's place while the run goes on is replaced, never followed.
        self._linked = {place.path: place.path.resolve() for place in self._places if _is_link(place.path)}
        self.kept = self._places.pop(0).path if self._places and self._places[0].at_end else None
        self._transform = transform

    def write(self, document: Model, *, final: bool = False) -> Path | None:
        """Save the document; where it is now, or ``None`` if it could be written nowhere: the report can be printed.

        Args:
            final: Wait until the disk has it; do so once, at the end.
        """
        data = encode(self._transform(document) if self._transform else document)
        while self._places:
            place = self._places[0]
            try:
                if self.path is None:
                    place = self._claim(place)
                write_atomically(self._linked.get(place.path, place.path), data, sync=final, follow=False)
            except OSError as error:
                self._give_up(place, error)
                continue
            self.path = place.path
            return self.path
        return None

    def deliver(self, document: Model) -> None:
        """Replace the file that only a complete document may replace, and remove what was written elsewhere.

        If the file cannot be written, both stay as they were, and :attr:`warnings` says so.
        """
        if self.kept is None:
            return
        data = encode(self._transform(document) if self._transform else document)
        try:
            write_atomically(self._linked.get(self.kept, self.kept), data, sync=True, follow=False)
        except OSError as error:
            there = f"; what was measured is in {self.path}" if self.path is not None else ""
            self.warnings.append(f"cannot write {self.kept} ({reason(error)}), which stays as it was{there}")
            return
        if self.path is not None:
            with contextlib.suppress(OSError):
                self.path.unlink()
        self._places = [ProfileFile(self.kept)]
        self.path, self.kept = self.kept, None

    def require_saved(self) -> Path:
        """The path of the saved profile; raises ProfileNotSavedError where it could be written nowhere."""
        if self.path is None:
            tried = "; ".join(self.warnings) or "no place was tried"
            msg = f"the profile could be written nowhere: {tried}; give --out a file in another place"
            raise ProfileNotSavedError(msg)
        return self.path

    def _claim(self, place: ProfileFile) -> ProfileFile:
        """Make pipeprof's own folder and take a file name in it that no other run has."""
        if not place.makes_folder:
            return place
        _make_folder(place.path.parent, private=place.private)
        for number in range(1, 1000):
            path = place.path if number == 1 else place.path.with_stem(f"{place.path.stem}-{number}")
            try:
                os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))
            except FileExistsError:
                continue
            self._places[0] = ProfileFile(path, place.makes_folder, place.private)
            return self._places[0]
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(place.path))

    def _give_up(self, place: ProfileFile, error: OSError) -> None:
        earlier = self.path
        self.path = None
        self._places.pop(0)
        kept = ", an earlier state of the profile stays there" if os.path.isfile(place.path) else ", which is gone"  # noqa: PTH113 - a Path's raises
        left = kept if earlier is not None else ""
        self.warnings.append(f"cannot write {place.path} ({reason(error)}){left}")
        if earlier is None and place.makes_folder:
            _remove_if_empty(place.path)


def _is_link(path: Path) -> bool:
    """Whether a path is a link; false where that may not be looked at."""
    return os.path.islink(path)  # noqa: PTH114 - a Path's raises


def reason(error: OSError) -> str:
    """The operating system's message in lower case."""
    return (error.strerror or type(error).__name__).lower() + (": see ulimit -f" if error.errno == errno.EFBIG else "")


def encode(document: Model) -> bytes:
    """The document as the bytes of its file: indented JSON in UTF-8 with a newline at the end."""
    try:
        text = document.model_dump_json(indent=2)
    except ValueError:
        # File names that are not UTF-8 reach us as lone surrogates, which JSON cannot carry.
        text = json.dumps(document.model_dump(), indent=2, ensure_ascii=False)
        text = re.sub("[\ud800-\udfff]", lambda found: rf"\\u{ord(found[0]):04x}", text)
    return f"{text}\n".encode()


def write_atomically(path: Path, data: bytes, *, sync: bool = False, follow: bool = True) -> None:
    """Replace a file by one with these bytes, all or nothing; its folder must exist.

    Args:
        sync: Wait until the disk has it.
        follow: Replace the file that a link names, not the link.

    Raises:
        OSError: It could not be written; what was there before is untouched.
    """
    path = Path(os.path.realpath(path)) if follow and _is_link(path) else path
    if path.exists() and not path.is_file():
        # A file in its place would take away what other programs open by that name.
        raise OSError(errno.EINVAL, "a device, a pipe or a folder, not a file", str(path))
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name[:80]}.", suffix=".tmp", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            if sync:
                os.fsync(file.fileno())
        temporary.chmod(_mode_of(path))
        os.replace(temporary, path)  # noqa: PTH105 - what tests make fail
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _mode_of(path: Path) -> int:
    """Permissions of the file that is replaced, else those a new file gets."""
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except OSError:
        mask = os.umask(0)
        os.umask(mask)
        return 0o666 & ~mask


def _make_folder(folder: Path, *, private: bool) -> None:
    """Make pipeprof's own folder, ignored in git; links in it may have come with a checkout, and are not followed."""
    if folder.is_symlink():
        raise OSError(errno.ELOOP, "a link, which is not followed; --out names another place", str(folder))
    folder.mkdir(mode=0o700 if private else 0o777, exist_ok=True)
    if private:
        check_private(folder)
    with contextlib.suppress(FileExistsError):
        descriptor = os.open(folder / ".gitignore", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
        with os.fdopen(descriptor, "wb") as file:
            file.write(b"*\n")


def _remove_if_empty(path: Path) -> None:
    try:
        if path.stat().st_size == 0:
            path.unlink()
    except OSError:
        return


def load_profile(path: Path) -> Profile:
    """Read a saved profile; see `load_document`."""
    from pipeprof.profiles.document.profile import SCHEMA_VERSION, Profile

    return load_document(path, Profile, SCHEMA_VERSION)


def load_document(path: Path, model: type[_Document], newest: int) -> _Document:
    """Read a saved document, as strict as its schema; fields that another version of the schema has are left out.

    Raises:
        ProfileError: The file is missing, is no profile, breaks the schema, or has the schema of a newer pipeprof.
    """
    from pydantic import ValidationError

    raw = _read(path)
    try:
        document = parse_json(raw)
    except (ValueError, RecursionError) as error:
        why = str(error) if isinstance(error, NumberError) else "not JSON, or truncated"
        raise ProfileError(f"{path} is not a saved profile: {why}") from None
    if not _is_profile(document):
        raise ProfileError(f"{path} is not a saved profile: another program wrote this JSON")
    version, kind = document.get("schema_version"), model.__name__.lower()
    if type(version) is not int:
        # The field has a default, and in Python `True` is the number 1.
        raise ProfileError(f"{path} is not a valid {kind}: schema_version: input should be {newest}")
    if version > newest:
        raise ProfileError(
            f"{path} has schema version {version}, but this pipeprof reads versions up to {newest}: "
            "upgrade pipeprof to read it"
        )
    try:
        # In JSON a list may be a tuple; in a Python object strict rules forbid it.
        return model.model_validate_json(raw, strict=True)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(str(part) for part in fault["loc"]) or "the document"
    raise ProfileError(f"{path} is not a valid {kind}: {place}: {fault['msg'][:1].lower()}{fault['msg'][1:]}")


def _read(path: Path) -> bytes:
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode) and not stat.S_ISDIR(found.st_mode):
            raise ProfileError(f"{path} is a device or a pipe: name a file that `pipeprof run` saved")
        if found.st_size > MAX_BYTES:
            raise ProfileError(f"{path} is not a saved profile: it is larger than {MAX_BYTES // 1024**2} MiB")
        return path.read_bytes()
    except FileNotFoundError:
        msg = f"{path}: no such file; `pipeprof run` saves profiles in {FOLDER}/"
    except IsADirectoryError:
        msg = f"{path} is a folder: name a profile in it"
    except OSError as error:
        msg = f"{path} cannot be read: {reason(error)}"
    raise ProfileError(msg) from None


def holds_something(path: Path) -> bool:
    """Whether a file has what a partial document must not replace: anything but a partial document of pipeprof."""
    try:
        if not path.is_file() or not path.stat().st_size:
            return False
        document: Any = json.loads(path.read_bytes()) if path.stat().st_size <= MAX_BYTES else {}
    except (OSError, ValueError, RecursionError):
        return True
    return not (_is_profile(document) and document.get("complete") is False)


def is_own_file(path: Path) -> bool:
    """Whether the file is a profile that pipeprof may write over, or is empty."""
    try:
        raw = path.read_bytes() if path.is_file() and path.stat().st_size <= MAX_BYTES else b"?"
        return not raw or _is_profile(json.loads(raw))
    except (OSError, ValueError, RecursionError):
        return False


def _is_profile(document: object) -> bool:
    if not isinstance(document, dict) or "schema_version" not in document:
        return False
    tool = document.get("tool")
    return isinstance(tool, dict) and tool.get("name") == "pipeprof"


class NumberError(ValueError):
    """A number that JSON does not have, or that is larger than any float."""


def parse_json(raw: bytes) -> Any:
    """Parse JSON whose numbers can all be computed with: Python's reader takes NaN, and integers of any length.

    Raises:
        ValueError: It is not JSON, or (`NumberError`) a number is not finite, or larger than any float.
        RecursionError: It is nested too deeply.
    """
    return json.loads(raw, parse_constant=_refuse, parse_float=_finite, parse_int=_whole)


def _refuse(name: str) -> float:
    raise NumberError(f"JSON has no number {name}")


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise NumberError(f"the number {text[:40]} is too large")
    return value


def _whole(text: str) -> int:
    # One that is larger than any float is an error where it meets a float.
    _finite(text)
    return int(text)
