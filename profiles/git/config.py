"""The configuration that git runs with: a fixed one, and what it may take over from the repository and the user.

A repository's own configuration comes with a checkout: in an archive, or through ``include.path`` from a tracked file.
So of it only values that name no command and no place are taken. The user's own configuration, which no checkout can
change, may also name filters, as LFS is one.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

LFS: Final = "lfs"
_FIXED: Final = {
    "core.bare": "false",
    "core.hookspath": "/dev/null",
    "core.fsmonitor": "false",
    "core.untrackedcache": "false",
    "core.logallrefupdates": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "protocol.allow": "never",
    "submodule.recurse": "false",
    "status.submodulesummary": "false",
}
_REPOSITORY_KEYS: Final = re.compile(
    r"core\.(?:filemode|ignorecase|precomposeunicode|symlinks|autocrlf|eol)|extensions\.(?:objectformat|refstorage)"
    r"|branch\..+\.(?:remote|merge)|remote\..+\.fetch",
    re.DOTALL,
)
"""Of the repository: how names and contents are written, and which remote branch a branch follows."""
_USER_KEYS: Final = re.compile(r"core\.(?:autocrlf|eol)|filter\..+\.(?:clean|smudge|process|required)", re.DOTALL)
_WORDS: Final = frozenset({"true", "false", "yes", "no", "on", "off", "1", "0", "", "input", "lf", "crlf", "native"})
"""Values of ``core``: of other ones, none is taken."""
_FORMATS: Final = {"extensions.objectformat": {"sha1", "sha256"}, "extensions.refstorage": {"files", "reftable"}}


@dataclass(frozen=True)
class ConfigEntry:
    """A line of a configuration.

    Attributes:
        key: In full: ``filter.lfs.smudge``.
        value: Its text; None for a key without one, which is true.
        origin: The file that it stands in; None where that does not matter.
    """

    key: str
    value: str | None
    origin: str | None = None


def parse_list(output: bytes) -> list[ConfigEntry]:
    """What ``git config --null --list`` prints."""
    return [_entry(text) for text in _texts(output)]


def parse_list_with_origins(output: bytes) -> list[ConfigEntry]:
    """What ``git config --null --list --show-origin`` prints."""
    texts = list(_texts(output))
    pairs = zip(texts[::2], texts[1::2], strict=False)
    return [_entry(text, origin.removeprefix("file:")) for origin, text in pairs]


def _texts(output: bytes) -> Iterator[str]:
    return filter(None, output.decode(errors="surrogateescape").split("\0"))


def _entry(text: str, origin: str | None = None) -> ConfigEntry:
    key, newline, value = text.partition("\n")
    return ConfigEntry(key, value if newline else None, origin)


def fixed_config(
    repository: Iterable[ConfigEntry], user: Iterable[ConfigEntry], checkouts: Iterable[Path], *, lfs: bool
) -> str:
    """The text of the configuration.

    Args:
        repository: Of the repository's own file.
        user: Of the user's and the system's.
        checkouts: Folders whose files count as a stranger's: a filter must not name a command in them.
        lfs: Whether the filter of LFS, which may download, is taken over.
    """
    folders = list(checkouts)
    own = [entry for entry in user if not _is_in(entry.origin, folders)]
    # The last of two values counts: the repository's.
    taken = [entry for entry in own if _USER_KEYS.fullmatch(entry.key) and not _is_filter(entry) and _is_plain(entry)]
    taken += [entry for entry in repository if _is_plain(entry)]
    filters = [entry for entry in own if _is_filter(entry) and (lfs or _name(entry) != LFS)]
    refused = {_name(entry) for entry in filters if not is_own_command(entry, folders)}
    taken += [entry for entry in filters if _name(entry) not in refused]
    extended = any(entry.key in _FORMATS for entry in taken)
    lines = [ConfigEntry("core.repositoryformatversion", "1" if extended else "0")]
    lines += [ConfigEntry(key, value) for key, value in _FIXED.items()]
    return "".join(_written(entry) for entry in [*taken, *lines])


def safe_directories(user: Iterable[ConfigEntry]) -> set[str]:
    """Folders whose owner the user trusts, as git reads ``safe.directory``: an empty value forgets those before it."""
    found: set[str] = set()
    for entry in user:
        if entry.key == "safe.directory":
            found = {*found, entry.value} if entry.value else set()
    return found


def remotes_of(repository: Iterable[ConfigEntry]) -> list[str]:
    """Names of the remotes, in the order of the file."""
    names = [entry.key.split(".", 1)[1].rpartition(".")[0] for entry in repository if entry.key.startswith("remote.")]
    return list(dict.fromkeys(names))


def is_partial(repository: Iterable[ConfigEntry]) -> bool:
    """Whether the clone leaves out contents that it would fetch when they are needed."""
    return any(
        entry.key == "extensions.partialclone"
        or (entry.key.startswith("remote.") and entry.key.endswith((".promisor", ".partialclonefilter")))
        for entry in repository
    )


def is_own_command(entry: ConfigEntry, checkouts: Iterable[Path]) -> bool:
    """Whether a filter's command is none of a checkout: git runs it in the work tree.

    Each word must be an option, a plain word that names no file of the checkouts, or a path outside of them. With
    ``-m`` and ``-c``, interpreters look for modules in the work tree.
    """
    if entry.value is None or _last(entry) == "required":
        return True
    try:
        lexer = shlex.shlex(entry.value, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        words = list(lexer)
    except ValueError:
        return False
    folders = list(checkouts)
    return bool(words) and not any(word in ("-m", "-c") or _is_in_checkout(word, folders) for word in words)


def _is_in_checkout(word: str, checkouts: Iterable[Path]) -> bool:
    path = word.rpartition("=")[2] if word.startswith("-") else word
    if not path or path == "%f":
        return False
    if "$" in path or "`" in path:
        return True
    if path.startswith("~/"):
        path = str(Path(path).expanduser())
    if not path.startswith("/"):
        return "/" in path or any((folder / path).exists() for folder in checkouts)
    return _is_in(path, checkouts)


def _is_in(path: str | None, checkouts: Iterable[Path]) -> bool:
    if path is None:
        return False
    places = {Path(path).absolute(), Path(path).resolve()}
    return any(place.is_relative_to(folder) for place in places for folder in checkouts)


def _is_plain(entry: ConfigEntry) -> bool:
    if not _REPOSITORY_KEYS.fullmatch(entry.key) or "\n" in entry.key:
        return False
    value = entry.value or ""
    if entry.key.startswith("core."):
        return value.lower() in _WORDS
    return value in _FORMATS[entry.key] if entry.key in _FORMATS else True


def _is_filter(entry: ConfigEntry) -> bool:
    return entry.key.startswith("filter.") and entry.key.count(".") > 1 and _USER_KEYS.fullmatch(entry.key) is not None


def _name(entry: ConfigEntry) -> str:
    """The part of a key between its section and its last word."""
    return entry.key.partition(".")[2].rpartition(".")[0]


def _last(entry: ConfigEntry) -> str:
    return entry.key.rpartition(".")[2]


def _written(entry: ConfigEntry) -> str:
    section, name, last = entry.key.partition(".")[0], _name(entry), _last(entry)
    head = f'[{section} "{_escaped(name)}"]' if name else f"[{section}]"
    value = "" if entry.value is None else f' = "{_escaped(entry.value)}"'
    return f"{head}\n\t{last}{value}\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
