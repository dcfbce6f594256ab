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
from urllib.parse import quote

from pipeprof.profiles.redaction.assigned import hide_assigned
from pipeprof.profiles.redaction.forms import HIDDEN, hide_forms
from pipeprof.profiles.redaction.names import is_secret_variable
from pipeprof.profiles.redaction.owners import pattern_of
from pipeprof.profiles.redaction.words import LEAST, is_ordinary, words_of

_MAIL = re.compile(
    r"(?<![\w.+%-])(?!git@)[\w.+%-]{1,64}@(?!stages\.)(?:[A-Za-z0-9-]{1,63}\.){1,6}[A-Za-z]{2,24}(?![\w-]|\.\w)"
)
_IPV4 = re.compile(r"[0-9](?<![\w.].)[0-9]{0,2}\.(?:[0-9]{1,3}\.){2}[0-9]{1,3}(?![\w-]|\.\d)")
_IPV6 = re.compile(
    r"(?:[23][0-9a-fA-F]|[fF][c-fC-F])(?<![\w:.]..)[0-9a-fA-F]{2}(?::[0-9a-fA-F]{0,4}){2,7}(?:%\w{1,16})?(?![\w:])"
)
_MAC = re.compile(r"[0-9a-fA-F](?<![\w:-].)[0-9a-fA-F]:(?:[0-9a-fA-F]{2}:){4}[0-9a-fA-F]{2}(?![\w:-])")
_INSIDE = re.compile(
    r"(?<![\w.-])(?:[\w-]{1,63}\.){1,8}(?:compute\.internal|ec2\.internal|cluster\.local|svc|corp|lan|intranet|localdomain"
    r"|compute\.amazonaws\.com|rds\.amazonaws\.com|cache\.amazonaws\.com|cloudapp\.azure\.com|database\.windows\.net"
    r"|mongodb\.net|googleusercontent\.com)(?![\w-]|\.\w)"
    r"|(?<![\w.-])ip-\d{1,3}(?:-\d{1,3}){3}(?![\w-])",
    re.IGNORECASE,
)
_INSIDE_MARKS = words_of(
    """
    .internal .cluster.local .svc .corp .lan .intranet .localdomain .amazonaws.com .azure.com .windows.net
    .mongodb.net .googleusercontent.com ip-
    """
)
_VERSION = re.compile(
    r"(?:[=<>~^]=?|[-_]|\b[vV]|\bversions?:?|\brelease|[\w.]+-[\w.-]+|\b(?:lib|cu|cv|nv)\w*)\s?\Z", re.IGNORECASE
)
_BEFORE = 30
_PUBLIC = ("0.", "127.", "255.")
_INSIDE_V4 = re.compile(r"10\.|192\.168\.|172\.(?:1[6-9]|2\d|3[01])\.|169\.254\.")


def hide_addresses(text: str) -> str:
    """A text without addresses; the machine's own (``127.0.0.1``, ``::1``) and versions are none."""
    if "@" in text:
        text = _MAIL.sub(HIDDEN, text)
    if "." in text:
        text = _IPV4.sub(_ipv4, text)
    lower = text.lower()
    if any(mark in lower for mark in _INSIDE_MARKS):
        text = _INSIDE.sub(HIDDEN, text)
    if ":" in text:
        text = _MAC.sub(HIDDEN, _IPV6.sub(_ipv6, text))
    return text


def _ipv4(found: re.Match[str]) -> str:
    address = found[0]
    if any(int(part) > 255 or (len(part) > 1 and part[0] == "0") for part in address.split(".")):
        return address
    before = found.string[max(0, found.start() - _BEFORE) : found.start()]
    version = _VERSION.search(before)
    glued = version is not None and not version[0].endswith((" ", "\n")) and version[0][-1:] in "=<>~^-_vV"
    if address.startswith(_PUBLIC) or (version and (glued or not _INSIDE_V4.match(address))):
        return address
    return HIDDEN


def _ipv6(found: re.Match[str]) -> str:
    import ipaddress

    address = found[0].partition("%")[0]
    groups = [group for group in address.split(":") if group]
    try:
        ipaddress.IPv6Address(address)
    except ValueError:
        return found[0]
    letters = any(letter.isalpha() for letter in address)
    return HIDDEN if letters or len(groups) > 2 else found[0]


_PASSES = 20
_ANY_HOME = re.compile(r"(?<![\w.~-])(?:/home|/Users)/[^/\s:'\"]+|(?<![\w.~-])/root(?![\w.-])")
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
_MARK = re.compile(r"-----(?P<what>BEGIN|END) [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----", re.IGNORECASE)
_BETWEEN = r"(?:\\[nr]|[\s\"'|>,])"
_LINES = re.compile(
    rf"(?:{_BETWEEN}{{0,40}}[A-Za-z-]{{3,40}}: [^\n\\]{{1,200}}){{0,9}}{_BETWEEN}{{0,40}}[A-Za-z0-9+/=]+"
    rf"(?:{_BETWEEN}{{1,40}}[A-Za-z0-9+/=]{{24,}})*(?:{_BETWEEN}{{1,40}}[A-Za-z0-9+/]*=+)?"
)
"""Rest of a key whose end was cut off: headers, then lines of base64, with real or escaped line ends."""
_LINE = re.compile(r"[A-Za-z0-9+/=]+")


def hide_keys(text: str) -> str:
    r"""A text without private keys.

    Example:
        >>> hide_keys("a -----BEGIN PRIVATE KEY-----\\nMIIEvQ==\\n-----END PRIVATE KEY----- b")
        'a (redacted) b'
    """
    if "-----" not in text:
        return text
    parts: list[str] = []
    position = 0
    marks = list(_MARK.finditer(text))
    for number, mark in enumerate(marks):
        if mark.start() < position:
            continue
        following = marks[number + 1] if number + 1 < len(marks) else None
        if mark["what"].upper() == "END":
            start = max(position, _start_of_lines(text, position, mark.start()))
            end = mark.end()
        elif following is not None and following["what"].upper() == "END":
            start, end = mark.start(), following.end()
        else:
            lines = _LINES.match(text, mark.end())
            start, end = mark.start(), lines.end() if lines else mark.end()
        parts += [text[position:start], HIDDEN]
        position = end
    return "".join(parts) + text[position:]


def _start_of_lines(text: str, least: int, end: int) -> int:
    """Start of the lines before the end of a key whose beginning was cut off."""
    start = end
    while start > least:
        before = max(text.rfind("\n", least, start - 1) + 1, least)
        line = text[before:start].strip()
        if line and _LINE.fullmatch(line) is None:
            return start
        start = before
    return start


@dataclass(frozen=True)
class Private:
    """Private names, places and values, to be hidden.

    Attributes:
        root: The repository, else the current folder: paths in it are relative; None where it says too much.
        folder: The current folder, to which they are relative.
        home: Home folder, in addition to those under ``/home``, ``/Users`` and ``/root``.
        values: Of variables, by their names: those that a spec took from the environment, and those that are named as
            secrets are.
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
        self._names = pattern_of(private.names)
        self._root = _folder(private.root)
        self._home = _folder(private.home)
        self._to = private.folder or private.root or "/"
        inside = rf"(?<![\w.~-]){re.escape(self._root)}(?:/{_PART})*/*(?![\w.-])" if self._root else None
        self._inside = re.compile(inside) if inside else None
        self._at_home = re.compile(rf"{re.escape(self._home)}(?![\w.-])") if self._home else None
        self._known: dict[tuple[str, bool, bool], str] = {}

    def text(self, text: str, *, names: bool = True, addresses: bool = True) -> str:
        """Hide in a text of any kind; in a fixed vocabulary, `names` of users and hosts are usual words."""
        if len(text) > _SHORT:
            return self._text(text, names=names, addresses=addresses)
        key = text, names, addresses
        if key not in self._known:
            if len(self._known) >= _KEPT:
                self._known.clear()
            self._known[key] = self._text(text, names=names, addresses=addresses)
        return self._known[key]

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


def hide_secrets(text: str) -> str:
    """A text without secrets that are known by their name or form, whatever the machine."""
    if len(text) < LEAST:
        return text
    return hide_assigned(hide_forms(hide_keys(text)))


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
