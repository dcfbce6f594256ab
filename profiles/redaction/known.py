"""Hiding in texts what tells about a person, a machine or a secret. Pure functions.

Hidden are: values of variables, secrets that are known by their name or form, addresses, absolute paths (those in the
repository become relative, of others only the last part stays), and names of the host and of its user. What is hidden
once stays as it is when it is hidden again.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path
from urllib.parse import quote

from pipeprof.profiles.redaction.forms import HIDDEN, LEAST, hide_addresses, hide_secrets, is_secret_variable

_PASSES = 20
_ANY_HOME = re.compile(
    r"(?<![\w.~-])(?:/home|/Users|/mnt/[a-z]/Users)/[^/\s:'\"]+|(?<![\w.~-])/root(?![\w.-])"
    r"|(?<![A-Za-z0-9])[A-Za-z]:\\{1,2}Users\\{1,2}[^\\\s'\"<>|:]{1,60}"
)
_PART = r"[^\s/'\"<>|:,;()\[\]{}`=\u2026]+"
_START = r"(?:(?<![\w.~/:\u2026-])/+|(?<=:)/(?!/)|(?<=file:)/{2,})"
_PATH = re.compile(rf"{_START}(?:{_PART}/+)+(?:{_PART})?")
_BELOW_HOME = re.compile(rf"~(?:/+{_PART}){{2,}}/*")
_SYSTEM = ("/proc/", "/sys/", "/dev/")
"""Folders of the kernel, the same everywhere."""
_PACKAGES = re.compile(r".*/(?:site|dist)-packages/+(?=.)")
_KEPT = 4096
"""Texts whose result is kept: ids, names of stages and units come again and again."""
_SHORT = 64
_CUT = 12
_ELLIPSIS = re.compile(r"…|\.{3}")
_LONGEST_CUT = 200
_PASSWORD = re.compile(r"://[^\s:/@]{0,200}:(?P<password>[^\s/@]{1,500})@")


@dataclass(frozen=True)
class Private:
    """Private names, places and values, to be hidden.

    Attributes:
        root: The repository, else the current folder: paths in it are relative to `folder`; None if it says too much.
        home: Home folder, in addition to those under ``/home``, ``/Users`` and ``/root``.
        values: Of variables, by name: those that a spec took from the environment, and those named as secrets are.
    """

    root: str | None = None
    folder: str | None = None
    home: str | None = None
    names: tuple[str, ...] = ()
    values: Mapping[str, str] = field(default_factory=dict)


class Hider:
    """Hides in texts what must not be seen."""

    def __init__(self, private: Private) -> None:
        words = _words_of(private.values)
        self._values = re.compile("|".join(map(_as_pattern, words))) if words else None
        self._long = tuple(word for word in words if len(word) > _CUT)
        self._names = _pattern_of(private.names)
        self._root = _folder(private.root)
        self._home = _folder(private.home)
        self._to = private.folder or private.root or "/"
        inside = rf"(?<![\w.~-]){re.escape(self._root)}(?:/{_PART})*/*(?![\w.-])" if self._root else None
        self._inside = re.compile(inside) if inside else None
        self._at_home = re.compile(rf"{re.escape(self._home)}(?![\w.-])") if self._home else None
        self._kept = lru_cache(_KEPT)(self._text)

    def text(self, text: str, *, names: bool = True, addresses: bool = True) -> str:
        """Hide in a text of any kind; in a fixed vocabulary, `names` of users and hosts are usual words."""
        hide = self._kept if len(text) <= _SHORT else self._text
        return hide(text, names=names, addresses=addresses)

    def path(self, text: str) -> str:
        """Hide in a text that is one path: a relative one stays as it is."""
        if not text.startswith("/"):
            return self.text(text, names=text.startswith(("~", "…")))
        if self._root and (text == self._root or text.startswith(f"{self._root}/")):
            return self.text(posixpath.relpath(text, self._to), names=False)
        return self.text(_shortened(text)) if not text.startswith(_SYSTEM) else text

    def _text(self, text: str, *, names: bool, addresses: bool) -> str:
        for _ in range(_PASSES):
            hidden = self._once(text, names=names, addresses=addresses)
            if hidden == text:
                break
            text = hidden
        return text

    def _once(self, text: str, *, names: bool, addresses: bool) -> str:
        if self._values:
            text = self._values.sub(HIDDEN, text)
        if self._long:
            text = _without_cut_off(text, self._long)
        text = hide_secrets(text)
        if self._inside:
            text = self._inside.sub(lambda found: posixpath.relpath(found[0], self._to), text)
        if self._at_home:
            text = self._at_home.sub("~", text)
        text = _BELOW_HOME.sub(lambda found: f"~/{_shortened(found[0])}", _ANY_HOME.sub("~", text))
        text = _PATH.sub(lambda found: found[0] if found[0].startswith(_SYSTEM) else _shortened(found[0]), text)
        if addresses:
            text = hide_addresses(text)
        return self._names.sub(HIDDEN, text) if names and self._names else text


def secrets_of(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables whose values are secrets: by their names, and the passwords in URLs of any other."""
    found = {name: value for name, value in environment.items() if is_secret_variable(name)}
    for name, value in environment.items():
        password = _PASSWORD.search(value)
        if password is not None:
            found[f"{name}_PASSWORD"] = password["password"]
    return found


def _words_of(values: Mapping[str, str]) -> list[str]:
    """The values of variables as texts have them, but for ordinary ones; longer ones first."""
    found: set[str] = set()
    for name, value in values.items():
        secret = is_secret_variable(name)
        lines = {value.strip(), value.strip().rstrip("/"), *(line.strip() for line in value.splitlines())}
        for line in lines:
            if len(line) >= LEAST and line not in HIDDEN and not is_ordinary(line, secret=secret):
                found.update(_spellings(line))
    return sorted(found, key=lambda word: (-len(word), word))


def _without_cut_off(text: str, words: Iterable[str]) -> str:
    """The text without beginnings of values that an ellipsis follows: messages cut long ones."""
    parts: list[str] = []
    position = 0
    for dots in _ELLIPSIS.finditer(text):
        before = text[max(position, dots.start() - _LONGEST_CUT) : dots.start()]
        for word in words:
            start = before.rfind(word[:LEAST])
            if start >= 0 and word.startswith(before[start:]):
                parts += [text[position : dots.start() - len(before) + start], HIDDEN]
                position = dots.start()
                break
    return "".join(parts) + text[position:]


def _spellings(value: str) -> Iterator[str]:
    """A value as it is, and as Python, JSON and URLs write it."""
    yield value
    yield repr(value)[1:-1]
    yield json.dumps(value)[1:-1]
    yield json.dumps(value, ensure_ascii=False)[1:-1]
    yield quote(value, safe="", errors="replace")
    yield quote(value, errors="replace")


def _as_pattern(value: str) -> str:
    """A value anywhere; a word is no part of a longer word."""
    word = value.isascii() and value.isalpha()
    return rf"(?<![A-Za-z]){value}(?![A-Za-z])" if word else re.escape(value)


def _shortened(path: str) -> str:
    # Anchored: a search would begin anew at each character of a long text without spaces.
    packages = _PACKAGES.match(path)
    return f"…/{path[packages.end() :] if packages else posixpath.basename(path.rstrip('/'))}"


def _folder(path: str | None) -> str | None:
    """A folder without its last slash; None for the root of the file system, which is in every path."""
    stripped = (path or "").rstrip("/")
    return stripped if stripped.count("/") >= 1 else None


_PUBLIC = frozenset({
    "root", "user", "runner", "nobody", "localhost", "ubuntu", "debian", "admin", "docker", "vagrant", "jovyan",
    "vscode", "codespace", "ec2-user",
})  # fmt: skip
"""Names of no person: images and services give them to all."""
_SHORTEST = 3
"""Letters of a name that is hidden wherever it stands."""
_PLACES = (
    r"(?<![\w.-]){name}(?=@[\w.-])|(?<=[\w.-]@){name}(?![\w-])|(?<=//){name}(?=[:/@])"
    r"|(?:(?<=host=)|(?<=user=)|(?<=name=)|(?<=name: )){name}(?![\w-])"
)
"""Places where only the name of a user or a host can stand."""


def _pattern_of(names: Iterable[str]) -> re.Pattern[str] | None:
    """The pattern of names in texts; None for none that says anything.

    Names are found in any case and as parts of longer words (``ada_ds``, ``ada-bucket``); short ones, and words that
    reports are full of, only where nothing but the name of a user or a host can stand (``ada@h``, ``host=h``).
    """
    told = {name for name in names if name and name.lower() not in _PUBLIC and name.lower() != HIDDEN.strip("()")}
    listed = [
        rf"(?<![A-Za-z0-9]){re.escape(name)}(?![A-Za-z0-9])"
        if len(name) >= _SHORTEST and name.lower() not in COMMON
        else _PLACES.format(name=re.escape(name))
        for name in sorted(told, key=lambda name: (-len(name), name))
    ]
    return re.compile("|".join(listed), re.IGNORECASE) if listed else None


COMMON = frozenset(Path(__file__).with_name("words.txt").read_text(encoding="utf-8").split())
"""Words that people name users, hosts, folders and variables' values with, and that reports are full of."""
_PARTS = 3
_NUMBER = re.compile(
    r"[+-]?(?:0[xXoObB][0-9a-fA-F_]{1,16}|(?:\d[\d_,x]*\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?\s?(?:[A-Za-z]{1,3}|%|ms/step)?)"
    r"|[vV]?\d{1,4}(?:[.:/-]\d{1,5}){1,5}(?:[ T]\d{1,2}:\d\d(?::\d\d(?:\.\d{1,6})?)?)?Z?"
)
"""A number with a unit, a size, a date, a time or a version."""
_LETTERS = re.compile(r"[A-Za-z]+")
_DIGITS = re.compile(r"\d{4,}")


def is_ordinary(value: str, *, secret: bool) -> bool:
    """Whether a value may stand in a report: a number, or words of the language.

    Args:
        secret: The variable is named as secrets are: then only one word is ordinary, and no digits follow it.

    Example:
        >>> is_ordinary("spec.yaml", secret=False), is_ordinary("projectx-9931", secret=False)
        (True, False)
    """
    if _NUMBER.fullmatch(value):
        return True
    parts = _LETTERS.findall(value)
    if secret:
        return parts == [value] and _is_word(value)
    # Letters that are no word, next to digits and signs, are what secrets are made of.
    long = [part for part in parts if len(part) > 2]
    few = 0 < len(parts) <= _PARTS and 0 < len(long) >= len(parts) - 1
    return few and value.isascii() and not _DIGITS.search(value) and all(map(_is_word, long))


def _is_word(word: str) -> bool:
    return word.lower() in COMMON or word.lower() in _language()


@cache
def _language() -> frozenset[str]:
    """The words of the schemas of specs and profiles; made only for a value that is nothing but words."""
    from pipeprof.pipelines.spec.schema import spec_schema
    from pipeprof.profiles.document.profile import Profile

    texts = (json.dumps(schema) for schema in (spec_schema(), Profile.model_json_schema()))
    return frozenset(word for text in texts for word in _LETTERS.findall(text.lower()) if len(word) > 2)
