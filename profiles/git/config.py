"""The configuration that git runs with: a fixed one, and values that name no command and no place.

A repository's own configuration comes with a checkout: in an archive, or through ``include.path`` from a tracked file.
Of filters, those of the user's own configuration count, which no checkout can change. git would run them in the work
tree, where a word of theirs may name a file of the checkout: so it gets none, and `pipeprof.profiles.git.filters` runs
them elsewhere.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

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
"""Settings taken from the repository: spelling of names and contents, and the upstream of branches."""
_USER_KEYS: Final = frozenset({"core.autocrlf", "core.eol"})
_ATTRIBUTES: Final = "core.attributesfile"
_FILTER_KEY: Final = re.compile(r"filter\.(.+)\.(clean|smudge|process|required)", re.DOTALL)
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
    """Parse the output of ``git config --null --list``."""
    return [_entry(text) for text in _texts(output)]


def parse_list_with_origins(output: bytes) -> list[ConfigEntry]:
    """Parse the output of ``git config --null --list --show-origin``."""
    texts = list(_texts(output))
    pairs = zip(texts[::2], texts[1::2], strict=False)
    return [_entry(text, origin.removeprefix("file:")) for origin, text in pairs]


def _texts(output: bytes) -> Iterator[str]:
    return filter(None, output.decode(errors="surrogateescape").split("\0"))


def _entry(text: str, origin: str | None = None) -> ConfigEntry:
    key, newline, value = text.partition("\n")
    return ConfigEntry(key, value if newline else None, origin)


@dataclass(frozen=True)
class UserFilter:
    """A filter of the user's own configuration, as shell commands."""

    clean: str | None = None
    smudge: str | None = None
    process: str | None = None
    refused: str | None = None


def fixed_config(repository: Iterable[ConfigEntry], user: Iterable[ConfigEntry], checkouts: Iterable[Path] = ()) -> str:
    """The text of the configuration; the user's file of attributes is not one in `checkouts`, folders of strangers."""
    user, folders = list(user), list(checkouts)
    # The last of two values counts: the repository's.
    taken = [entry for entry in user if entry.key in _USER_KEYS and _is_plain(entry)]
    for value in [_expanded(entry.value or "") for entry in user if entry.key == _ATTRIBUTES]:
        if value.startswith("/") and not _is_in(value, folders):
            taken.append(ConfigEntry(_ATTRIBUTES, value))
    taken += [entry for entry in repository if _is_plain(entry)]
    extended = any(entry.key in _FORMATS for entry in taken)
    lines = [ConfigEntry("core.repositoryformatversion", "1" if extended else "0")]
    lines += [ConfigEntry(key, value) for key, value in _FIXED.items()]
    return "".join(_written(entry) for entry in [*taken, *lines])


def known_filters(
    repository: Iterable[ConfigEntry], user: Iterable[ConfigEntry], checkouts: Iterable[Path]
) -> dict[str, UserFilter]:
    """The filters by name; those that a checkout has a part in are refused.

    Args:
        checkouts: Folders of strangers: what is included from them is refused, and so is what names a path in them.
    """
    folders = list(checkouts)
    own = [entry for entry in user if not _is_in(entry.origin, folders)]
    # One that only cleans makes nothing of what the history has.
    found = {name: UserFilter(refused="is not one of your own configuration") for name in _making(repository)}
    found |= {name: UserFilter(refused="comes from a checkout") for name in _making(user)}
    for name, values in _filters_in(own).items():
        named = any(str(folder) in value for value in values.values() for folder in folders)
        found[name] = UserFilter(
            values.get("clean") or None,
            values.get("smudge") or None,
            values.get("process") or None,
            "names a path of a checkout" if named else None,
        )
    return found


def _making(entries: Iterable[ConfigEntry]) -> list[str]:
    """The names of filters that make contents of the work tree."""
    return [name for name, values in _filters_in(entries).items() if values.get("smudge") or values.get("process")]


def _filters_in(entries: Iterable[ConfigEntry]) -> dict[str, dict[str, str]]:
    """The values of filters, by name."""
    found: dict[str, dict[str, str]] = {}
    for entry in entries:
        match = _FILTER_KEY.fullmatch(entry.key)
        if match is not None:
            found.setdefault(match[1], {})[match[2]] = entry.value or ""
    return found


def safe_directories(user: Iterable[ConfigEntry]) -> set[str]:
    """Folders whose owner the user trusts, as git reads ``safe.directory``: an empty value forgets those before it."""
    found: set[str] = set()
    for entry in user:
        if entry.key == "safe.directory":
            value = _expanded(entry.value or "")
            found = {*found, value} if value else set()
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


def _expanded(path: str) -> str:
    return os.path.expanduser(path) if path.startswith("~/") else path  # noqa: PTH111 - without a home, it stays


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


def _written(entry: ConfigEntry) -> str:
    section, _, rest = entry.key.partition(".")
    name, _, last = rest.rpartition(".")
    head = f'[{section} "{_escaped(name)}"]' if name else f"[{section}]"
    value = "" if entry.value is None else f' = "{_escaped(entry.value)}"'
    return f"{head}\n\t{last}{value}\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
