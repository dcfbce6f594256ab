"""Taking out of a document what tells about a person, a machine or a secret. Pure functions.

Redacted are: absolute paths (those in the repository become relative, of others only the last part stays), names of the
host and of its user, values of environment variables, credentials in URLs, and values whose names or forms are those of
secrets. What is hidden once stays as it is when it is redacted again.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from pipeprof.profiles.document.base import Model

_Document = TypeVar("_Document", bound="Model")

HIDDEN = "(redacted)"
_FREE_TEXT = frozenset(
    {
        "changes",
        "command",
        "data",
        "details",
        "diff",
        "edit",
        "evidence",
        "executed",
        "file",
        "formula",
        "headline",
        "message",
        "note",
        "output",
        "overlays",
        "overrides",
        "patch",
        "profile",
        "python",
        "reason",
        "recommendation",
        "sentence",
        "source",
        "step",
        "text",
        "title",
        "traceback",
        "verdict",
        "versions",
    }
)
"""Fields that hold text of any kind; all others hold a fixed vocabulary or a user's own name for a stage."""
_PATHS = frozenset({"file", "profile"})
"""Fields that are one path, which may have spaces."""

_PUBLIC_USERS = frozenset({"root", "user", "runner", "nobody", "localhost"})
_LEAST = 4
"""Characters of a value that is searched for in all texts: shorter ones would take parts of numbers and words."""
_PASSES = 20

_ANY_HOME = re.compile(r"(?<![\w.~-])(?:/home|/Users)/[^/\s:'\"]+|(?<![\w.~-])/root(?![\w.-])")
_PART = r"[^\s/'\"<>|:,;()\[\]{}`=\u2026]+"
_START = r"(?:(?<![\w.~/:\u2026-])/+|(?<=:)/(?!/)|(?<=file:)/{2,})"
_PATH = re.compile(rf"{_START}(?:{_PART}/+)+(?:{_PART})?")
_BELOW_HOME = re.compile(rf"~(?:/+{_PART}){{2,}}/*")
_SYSTEM = ("/proc/", "/sys/", "/dev/")
"""Folders of the kernel, the same everywhere."""
_PACKAGES = re.compile(r".*/(?:site|dist)-packages/+(?=.)")

_NAMED = (
    r"(?:access|auth|api|private|secret|signing|encryption)[_-]?key(?:[_-]?id)?|passwo?r?d|passphrase|secret|"
    r"credentials?|token|signature|sig|authorization"
)
_SECRET_NAME = re.compile(rf"(?:.*[_.\-])?(?:{_NAMED})", re.IGNORECASE)
_SECRET_FLAG = re.compile(rf"--?(?:[\w.-]*[_.\-])?(?:{_NAMED})", re.IGNORECASE)
_ASSIGNED = re.compile(
    rf"(?<![A-Za-z0-9])((?:{_NAMED})[\"']?(?:\s*=\s*|(?<=[\"'])\s*:\s*))(?:\(redacted\)|\"[^\"\n]*\"|'[^'\n]*'|[^\s,;&'\"]+)",
    re.IGNORECASE,
)
_CREDENTIALS = re.compile(r"(?<=://)[^\s/@'\"]+(?:/[^\s/@'\"]*)??(?=@)")
_FORMS = re.compile(
    r"\b(?:gh[pousr]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{15,}|hf_[A-Za-z0-9]{20,}|sk-[\w-]{20,}|xox[abprs]-[\w-]{10,}"
    r"|A[KS]IA[0-9A-Z]{16}|AIza[\w-]{35}|eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*)|(?<=[Bb]earer )[\w.~+/=-]{8,}"
)
"""Tokens that are known by how they begin."""


@dataclass(frozen=True)
class Private:
    """What must not be seen.

    Attributes:
        root: The repository, else the current folder: paths in it are relative; None where it says too much.
        folder: The current folder, to which they are relative.
        home: Home folder, in addition to those under ``/home``, ``/Users`` and ``/root``.
        names: Of the user and the host.
        values: Secrets by the name of their variable.
    """

    root: str | None = None
    folder: str | None = None
    home: str | None = None
    names: tuple[str, ...] = ()
    values: Mapping[str, str] = field(default_factory=dict)


def is_secret_name(name: str) -> bool:
    """Whether the value of an option or variable with this name is a secret.

    Example:
        >>> is_secret_name("HF_TOKEN"), is_secret_name("api-key"), is_secret_name("max_tokens")
        (True, True, False)
    """
    return _SECRET_NAME.fullmatch(name) is not None


def redact(document: _Document, private: Private | None = None) -> _Document:
    """A copy without what must not be seen; host names and variables of the document itself count, too.

    Args:
        document: A profile or a result; it is not changed.
        private: What is hidden, too.
    """
    data = document.model_dump()
    known = private or Private()
    hosts = [name for host in _hosts(data) for name in (host, host.split(".")[0])]
    hider = Hider(
        replace(known, names=(*known.names, *hosts), values={**known.values, **dict(_variables(data))}),
    )
    return type(document).model_validate(_walk(data, hider, free=False))


class Hider:
    """Hides in texts what must not be seen.

    Args:
        private: What that is.
    """

    def __init__(self, private: Private) -> None:
        words = {value.strip() for value in private.values.values()}
        self._values = _any_of({word for word in words if len(word) >= _LEAST and not word.isdecimal()})
        names = {name for name in private.names if name not in _PUBLIC_USERS and len(name) > 2}
        self._names = _any_of(names)
        self._root = _folder(private.root)
        self._home = _folder(private.home)
        self._to = private.folder or private.root or "/"
        inside = rf"(?<![\w.~-]){re.escape(self._root)}(?:/{_PART})*/*(?![\w.-])" if self._root else None
        self._inside = re.compile(inside) if inside else None
        self._at_home = re.compile(rf"{re.escape(self._home)}(?![\w.-])") if self._home else None

    def text(self, text: str, *, names: bool = True) -> str:
        """Hide in a text of any kind.

        Args:
            text: Of any origin.
            names: Hide names of users and hosts, too; they are usual words in a fixed vocabulary.
        """
        for _ in range(_PASSES):
            hidden = self._once(text, names=names)
            if hidden == text:
                break
            text = hidden
        return text

    def path(self, text: str) -> str:
        """Hide in a text that is one path: a relative one stays as it is."""
        if not text.startswith("/"):
            return self.text(text, names=text.startswith(("~", "…")))
        if self._root and (text == self._root or text.startswith(f"{self._root}/")):
            return posixpath.relpath(text, self._to)
        return _shortened(text) if not text.startswith(_SYSTEM) else text

    def _once(self, text: str, *, names: bool) -> str:
        text = _CREDENTIALS.sub(HIDDEN, text)
        text = _ASSIGNED.sub(rf"\g<1>{HIDDEN}", text)
        text = _FORMS.sub(HIDDEN, text)
        if self._values:
            text = self._values.sub(HIDDEN, text)
        if self._inside:
            text = self._inside.sub(lambda found: posixpath.relpath(found[0], self._to), text)
        if self._at_home:
            text = self._at_home.sub("~", text)
        text = _BELOW_HOME.sub(lambda found: f"~/{_shortened(found[0])}", _ANY_HOME.sub("~", text))
        text = _PATH.sub(_outside, text)
        return self._names.sub(HIDDEN, text) if names and self._names else text


def _outside(found: re.Match[str]) -> str:
    """An absolute path of no repository: its last part, of an installed package the path in it."""
    return found[0] if found[0].startswith(_SYSTEM) else _shortened(found[0])


def _shortened(path: str) -> str:
    # Anchored: a search would begin anew at each character of a long text without spaces.
    packages = _PACKAGES.match(path)
    return f"…/{path[packages.end() :] if packages else posixpath.basename(path.rstrip('/'))}"


def _folder(path: str | None) -> str | None:
    """A folder without its last slash; None for the root of the file system, which is in every path."""
    stripped = (path or "").rstrip("/")
    return stripped if stripped.count("/") >= 1 else None


def _any_of(words: set[str]) -> re.Pattern[str] | None:
    """A pattern for any of the words where it is no part of a longer one."""
    listed = "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True) if word not in HIDDEN)
    return re.compile(rf"(?<![\w.-])(?:{listed})(?![\w-])") if listed else None


def _hosts(data: Any) -> Iterator[str]:
    """Names of hosts anywhere in a document."""
    for key, value in _entries(data):
        if key == "host":
            name = value.get("name") if isinstance(value, dict) else value
            if isinstance(name, str):
                yield name


def _variables(data: Any) -> Iterator[tuple[str, str]]:
    """Variables of the environment anywhere in a document."""
    for key, value in _entries(data):
        if key == "variables" and isinstance(value, dict):
            yield from ((name, text) for name, text in value.items() if isinstance(text, str))


def _entries(value: Any) -> Iterator[tuple[str, Any]]:
    """All entries of all mappings in a document."""
    todo = [value]
    while todo:
        one = todo.pop()
        if isinstance(one, dict):
            yield from ((str(key), item) for key, item in one.items())
            todo += one.values()
        elif isinstance(one, (list, tuple)):
            todo += one


def _walk(value: Any, hider: Hider, *, free: bool) -> Any:
    if isinstance(value, str):
        return hider.text(value, names=free)
    if isinstance(value, dict):
        return {key: _entry(str(key), item, hider, free=free) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return list(_items(value, hider, free=free))
    return value


def _entry(key: str, value: Any, hider: Hider, *, free: bool) -> Any:
    if key == "host":
        return {**_walk(value, hider, free=free), "name": None} if isinstance(value, dict) else None
    if key == "variables" and isinstance(value, dict):
        return dict.fromkeys(value)
    if isinstance(value, str):
        if is_secret_name(key):
            return HIDDEN
        if key in _PATHS:
            return hider.path(value)
    return _walk(value, hider, free=free or key in _FREE_TEXT)


def _items(values: list[Any] | tuple[Any, ...], hider: Hider, *, free: bool) -> Iterator[Any]:
    """The items of a list; in a command, what follows a flag for a secret is one."""
    flag = False
    for value in values:
        yield HIDDEN if flag else _walk(value, hider, free=free)
        flag = free and isinstance(value, str) and _SECRET_FLAG.fullmatch(value) is not None
