"""YAML text to plain data with the place of every key and value.

Stricter than YAML: one document, no tags, no duplicate keys, keys are names or whole numbers, bounded size, depth and
number of values. Scalars are those of YAML 1.2: ``no``, ``on`` and ``12:30`` are texts, ``1e-3`` is a number, ``017``
is seventeen. ``1_000`` is a thousand. ``${VAR}`` in a value is replaced if there is an environment to take it from.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, TypeAlias

import yaml

from pipeprof.pipelines.errors import shown
from pipeprof.pipelines.suggest import suggest

Scalar: TypeAlias = str | int | float | bool | None
Address: TypeAlias = tuple[str | int, ...]

MAX_BYTES: Final = 1 << 20
MAX_DEPTH: Final = 64
MAX_VALUES: Final = 100_000
"""Most keys and values in one text, aliases expanded."""
MAX_FILLED: Final = 1 << 16
"""Longest text of a value with variables filled in, in characters."""
MAX_NUMBER_LENGTH: Final = 300
"""Longest number, in characters; a longer one is surely not meant as a number (and costs time to convert)."""
MERGE_KEY: Final = "<<"
BYTE_ORDER_MARK: Final = "\ufeff"

_LINE_END = "\r\n|[\n\r\x85\u2028\u2029]"
_UNREADABLE = yaml.reader.Reader.NON_PRINTABLE
_PROPERTIES = re.compile(r"(?:[&!]\S*[ \t]+)+")
_REFERENCE = re.compile(r"\$\$\{|\$\{([^{}]*)(\}?)")
_FORM = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?\Z", re.DOTALL)
_WRITTEN = re.compile(r"""\$\$?\{[A-Za-z_][A-Za-z0-9_]*(?::-[^{}\n"']*)?\}""")
_STRUCTURAL: Final = "{}[],:#"
_HIDDEN: Final = "".join(chr(0xE000 + place) for place in range(len(_STRUCTURAL)))
_HIDE, _SHOW = str.maketrans(_STRUCTURAL, _HIDDEN), str.maketrans(_HIDDEN, _STRUCTURAL)
_DIGITS = r"[0-9]+(?:_[0-9]+)*"
_INT = re.compile(rf"[-+]?{_DIGITS}\Z")
_OTHER_BASE = re.compile(r"0o[0-7]+\Z|0x[0-9a-fA-F]+\Z")
_FLOAT = re.compile(rf"[-+]?(?:\.{_DIGITS}|{_DIGITS}(?:\.(?:{_DIGITS})?)?)(?:[eE][-+]?[0-9]+)?\Z")
_INFINITY = re.compile(r"([-+]?)\.(?:inf|Inf|INF)\Z")
_WORDS: Final[dict[str, Scalar]] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None, "true": True, "True": True, "TRUE": True,
    "false": False, "False": False, "FALSE": False, ".nan": math.nan, ".NaN": math.nan, ".NAN": math.nan,
}  # fmt: skip
_AT_CONTEXT = re.compile(r"expected ','|could not find expected ':'|unexpected end of stream|unexpected document")
"""What libyaml notices long after where it is wrong: an unclosed bracket, a key without a colon, an unclosed quote."""


class Span(NamedTuple):
    """A token's place: 1-based line and column, and its length in characters on that line (at least 1).

    ``flag`` is the number of the command-line flag whose text the place is in (then the line is 1), ``None`` in a file.
    """

    line: int
    column: int
    length: int
    flag: int | None = None


START = Span(1, 1, 1)
"""Where a mistake of a file as a whole is shown."""


@dataclass(frozen=True)
class TextPlace:
    """Span of a value, and of the key before it (list items and the root have none)."""

    value: Span
    key: Span | None = None


@dataclass(frozen=True)
class SpecProblem:
    """One mistake in a text, before it is known how the text is called."""

    span: Span
    code: str
    message: str
    suggestion: str | None = None


@dataclass(slots=True, eq=False)
class Item:
    """A value with its place; what is inside of it are items too."""

    value: Scalar | dict[str | int, Item] | list[Item]
    span: Span
    key: Span | None = None


@dataclass
class YamlText:
    """A YAML text that was read.

    Attributes:
        root: ``None`` if nothing could be read; every alias is a copy of its own.
        used: the variables that were looked up, with their values; ``None`` for those that are not set.
    """

    root: Item | None = None
    problems: list[SpecProblem] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    used: dict[str, str | None] = field(default_factory=dict)

    @property
    def data(self) -> Any:
        """Mappings, lists and scalars."""
        return flatten(self.root)[0] if self.root is not None else None

    @property
    def places(self) -> dict[Address, TextPlace]:
        """The place of every value by its keys and indices from the root."""
        return flatten(self.root)[1] if self.root is not None else {}


class YamlError(Exception):
    """Reading cannot go on."""

    def __init__(self, span: Span, code: str, message: str, suggestion: str | None = None) -> None:
        """Keep the problem."""
        super().__init__(message)
        self.problem = SpecProblem(span, code, message, suggestion)


def read(content: bytes | str, environment: Mapping[str, str] | None = None) -> YamlText:
    """Read a YAML text strictly; look at ``problems`` first. Never raises for any content.

    Args:
        environment: fills in ``${VAR}`` and ``${VAR:-default}`` in values; ``None`` leaves them as they are.
    """
    text, problem = decode(content) if isinstance(content, bytes) else (content, None)
    result = YamlText(lines=re.split(_LINE_END, text))
    try:
        if problem is not None:
            raise problem
        result.root = _Reader(result, environment).document(text)
    except YamlError as error:
        result.problems.append(error.problem)
    return result


def read_flag(text: str, number: int, before: int, environment: Mapping[str, str] | None = None) -> YamlText:
    """Read the value of a flag: a list or mapping in brackets or a quoted text as YAML, anything else as one scalar.

    Args:
        number: of the flag.
        before: columns before the value in the flag as shown.
    """
    result = YamlText(lines=re.split(_LINE_END, text))
    reader = _Reader(result, environment, number, before)
    plain = text.strip()
    try:
        if plain.startswith(("[", "{", '"', "'", "!")):
            result.root = reader.document(text)
        else:
            span = Span(1, before + len(text) - len(text.lstrip()) + 1, max(1, len(plain)), number)
            result.root = Item(reader.scalar(plain, span, plain=True), span)
    except YamlError as error:
        result.problems.append(error.problem)
    return result


def decode(content: bytes) -> tuple[str, YamlError | None]:
    """Return the text of a spec's bytes, without byte order mark; and what is wrong with it, if anything is."""
    if len(content) > MAX_BYTES:
        return "", YamlError(START, "too-large", f"larger than {MAX_BYTES >> 20} MiB, the limit for a spec")
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "", YamlError(START, "encoding", "file is encoded in UTF-16: expected UTF-8")
    text = content.decode(errors="replace").removeprefix(BYTE_ORDER_MARK)
    try:
        content.decode()
    except UnicodeDecodeError as error:
        lines = re.split(_LINE_END, content[: error.start].decode().removeprefix(BYTE_ORDER_MARK))
        kind = "a binary file" if b"\0" in content else "text in another encoding"
        message = f"byte 0x{content[error.start]:02x} is not valid UTF-8 ({kind}?)"
        return text, YamlError(Span(len(lines), len(lines[-1]) + 1, 1), "encoding", message)
    return text, None


def flatten(root: Item) -> tuple[Any, dict[Address, TextPlace]]:
    """Return plain data, and the place of everything in it by address."""
    places: dict[Address, TextPlace] = {}

    def plain(item: Item, at: Address) -> Any:
        places[at] = TextPlace(item.span, item.key)
        if isinstance(item.value, dict):
            return {key: plain(inner, (*at, key)) for key, inner in item.value.items()}
        if isinstance(item.value, list):
            return [plain(inner, (*at, index)) for index, inner in enumerate(item.value)]
        return item.value

    return plain(root, ()), places


def hide(text: str) -> str:
    """The text with references that YAML reads as words, also in ``{batch_size: ${SIZE:-32}}``; as long as before."""
    if "${" not in text or any(letter in text for letter in _HIDDEN):
        return text
    return _WRITTEN.sub(lambda match: match[0].translate(_HIDE), text)


def events(text: str) -> Iterator[Any]:
    """The events of PyYAML's parser, which constructs nothing; raises ``yaml.YAMLError`` on the way."""
    # Without libyaml PyYAML has only its own, slower parser.
    return iter(getattr(yaml, "CSafeLoader", yaml.SafeLoader)(text).get_event, None)


def first_reference(value: object) -> str | None:
    """The first ``${VAR}`` in a text.

    Example:
        >>> first_reference("to ${DIR:-in}/x")
        '${DIR:-in}'
    """
    if not isinstance(value, str):
        return None
    return next((found[0] for found in _REFERENCE.finditer(value) if found[2] and _FORM.match(found[1])), None)


def resolve_scalar(text: str) -> Scalar:
    """Return the value of an unquoted scalar.

    Raises:
        ValueError: a number of more than 300 characters, or beyond a double's range.

    Example:
        >>> [resolve_scalar(text) for text in ("1_000", "1e-3", "no", "12:30", "~")]
        [1000, 0.001, 'no', '12:30', None]
    """
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "0123456789+-.":
        return text
    if infinity := _INFINITY.match(text):
        return -math.inf if infinity[1] == "-" else math.inf
    pattern = next((pattern for pattern in (_INT, _FLOAT, _OTHER_BASE) if pattern.match(text)), None)
    if pattern is None:
        return text
    if len(text) > MAX_NUMBER_LENGTH:
        raise ValueError(f"number of {len(text)} digits: expected at most {MAX_NUMBER_LENGTH}")
    if pattern is not _FLOAT:
        return int(text, 0) if pattern is _OTHER_BASE else int(text)
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"{text} is too large: expected a number below 1.8e308, or .inf")
    return value


class _Reader:
    """Reads the parser's events one by one, so that no text takes more than a bounded time and memory."""

    def __init__(
        self, result: YamlText, environment: Mapping[str, str] | None, flag: int | None = None, before: int = 0
    ) -> None:
        self._result = result
        self._environment = environment
        self._flag = flag
        self._before = before
        self._events: Iterator[Any] = iter(())
        self._shows = False
        self._count = 0
        self._anchors: dict[str, Item] = {}

    def document(self, text: str) -> Item:
        """Read a text that is one document."""
        if len(text) > MAX_BYTES:
            raise YamlError(START, "too-large", f"more than {MAX_BYTES >> 20} Mi characters, the limit for a spec")
        if found := _UNREADABLE.search(text):
            lines = re.split(_LINE_END, text[: found.start()])
            name = "NUL byte (a binary file?)" if found[0] == "\0" else f"control character U+{ord(found[0]):04X}"
            span = self._shifted(Span(len(lines), len(lines[-1]) + 1, 1))
            raise YamlError(span, "control-character", f"{name}: not allowed in a spec")
        hidden = hide(text)
        self._shows = hidden != text
        self._events = events(hidden)
        root, documents = None, 0
        try:
            for event in self._events:
                if isinstance(event, yaml.DocumentStartEvent):
                    documents += 1
                    if documents > 1:
                        message = "second YAML document: expected a single one"
                        mark: Any = event.start_mark
                        span = self._shifted(Span(mark.line + 1, 1, 3))
                        raise YamlError(span, "several-documents", message)
                    root = self._item(next(self._events), 0)
        except yaml.MarkedYAMLError as error:
            raise self._not_yaml(error) from None
        if root is None or root.value is None:
            raise YamlError(START, "empty", "empty file: expected a spec")
        return root

    def _not_yaml(self, error: yaml.MarkedYAMLError) -> YamlError:
        problem = (error.problem or "no YAML").translate(_SHOW)
        message = f"not YAML: {problem}" + (f" {error.context}" if error.context else "")
        marks = (error.problem_mark, error.context_mark)
        mark = (marks[1] if _AT_CONTEXT.search(problem) else None) or marks[0] or marks[1]
        last = max((number for number, line in enumerate(self._result.lines) if line.strip()), default=0)
        if mark is None or mark.line > last:
            line = self._result.lines[last]
            return YamlError(self._shifted(Span(last + 1, max(1, len(line.rstrip())), 1)), "syntax", message)
        return YamlError(self._shifted(Span(mark.line + 1, mark.column + 1, 1)), "syntax", message)

    def _shifted(self, span: Span) -> Span:
        """The place in the flag that the text is from, if it is from one."""
        if self._flag is None:
            return span
        above = sum(len(line) + 1 for line in self._result.lines[: span.line - 1])
        return Span(1, self._before + above + span.column, span.length, self._flag)

    def _span(self, event: Any) -> Span:
        """Where a node is written, without anchor and tag: up to the end of it, or of its first line."""
        mark, end, lines = event.start_mark, event.end_mark, self._result.lines
        if mark.line >= len(lines):
            return self._shifted(Span(len(lines), len(lines[-1]) + 1, 1))
        line, column = lines[mark.line], mark.column
        if properties := _PROPERTIES.match(line, column) if event.anchor or event.tag else None:
            column = properties.end()
        whole = isinstance(event, yaml.CollectionStartEvent) or end.line > mark.line
        written = line[column:] if whole else line[column : end.column]
        return self._shifted(Span(mark.line + 1, column + 1, max(1, len(written.rstrip()))))

    def _note(self, span: Span, code: str, message: str, suggestion: str | None = None) -> None:
        self._result.problems.append(SpecProblem(span, code, message, suggestion))

    def _counted(self, item: Item, depth: int) -> Item:
        self._count += 1
        if self._count > MAX_VALUES:
            raise YamlError(item.span, "too-large", f"more than {MAX_VALUES} values, aliases expanded")
        if depth > MAX_DEPTH:
            raise YamlError(item.span, "too-deep", f"more than {MAX_DEPTH} levels of nesting")
        return item

    def _item(self, event: Any, depth: int, *, is_key: bool = False) -> Item:
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, depth)
        if isinstance(event, yaml.ScalarEvent):
            plain = not event.style
            item = Item(None, self._span(event))
            if event.tag is None:
                item.value = self.scalar(self._shown(event.value), item.span, plain=plain, is_key=is_key)
            self._counted(item, depth)
        else:
            item = self._counted(Item({}, self._span(event)), depth + 1)
            if isinstance(event, yaml.SequenceStartEvent):
                item.value = list(self._items(depth))
            else:
                self._entries(item, depth)
        if event.tag is not None:
            mark = event.start_mark
            span = self._shifted(Span(mark.line + 1, mark.column + 1, len(event.tag)))
            self._note(span, "tag", f"tag '{event.tag}': YAML tags are not supported")
        if event.anchor is not None:
            self._anchors[event.anchor] = item
        return item

    def _shown(self, text: str) -> str:
        return text.translate(_SHOW) if self._shows else text

    def _items(self, depth: int) -> Iterator[Item]:
        for event in self._events:
            if isinstance(event, yaml.CollectionEndEvent):
                return
            yield self._item(event, depth + 1)

    def _entries(self, mapping: Item, depth: int) -> None:
        entries: dict[str | int, Item] = {}
        seen: dict[str, Span] = {}
        merged: list[Item] = []
        for event in self._events:
            if isinstance(event, yaml.CollectionEndEvent):
                break
            key = self._item(event, depth + 1, is_key=True)
            at = next(self._events)
            value = self._item(at, depth + 1)
            value.key = key.span
            if value.value is None and at.start_mark.index == at.end_mark.index:
                # A value that is not there is shown at its key.
                value.span = key.span
            if isinstance(key.value, bool) or not isinstance(key.value, str | int):
                message = f"{shown(key.value)} is not a valid key: expected a name or a whole number"
                self._note(key.span, "bad-key", message)
            elif (name := str(key.value)) in seen:
                self._note(key.span, "duplicate-key", f"duplicate key `{name}` (first at line {seen[name].line})")
            else:
                seen[name] = key.span
                if name == MERGE_KEY and not event.style:
                    merged += value.value if isinstance(value.value, list) else [value]
                else:
                    entries[key.value] = value
        for one in merged:
            if isinstance(one.value, dict):
                entries |= {name: inner for name, inner in one.value.items() if name not in entries}
            else:
                self._note(one.span, "merge", "'<<' merges mappings only: expected '<<: *anchor' of a mapping")
        mapping.value = entries

    def _alias(self, event: Any, depth: int) -> Item:
        span = self._span(event)
        if event.anchor not in self._anchors:
            message = f"alias '*{event.anchor}' without an anchor before it: expected '&{event.anchor}' further up"
            self._note(span, "unknown-alias", message, suggest(f"*{event.anchor}", [f"*{a}" for a in self._anchors]))
            return self._counted(Item(None, span), depth)
        # The value belongs to the line of the alias, its parts to where they are written.
        copy = self._copy(self._anchors[event.anchor], depth, span)
        copy.span = span
        return copy

    def _copy(self, item: Item, depth: int, alias: Span) -> Item:
        nested = isinstance(item.value, dict | list)
        copy = self._counted(Item(item.value, alias, item.key), depth + nested)
        if isinstance(item.value, dict):
            copy.value = {key: self._copy(inner, depth + 1, alias) for key, inner in item.value.items()}
        elif isinstance(item.value, list):
            copy.value = [self._copy(inner, depth + 1, alias) for inner in item.value]
        copy.span = item.span
        return copy

    def scalar(self, text: str, span: Span, *, plain: bool, is_key: bool = False) -> Scalar:
        """The value of a scalar, with variables filled in."""
        if re.search("[\0\ud800-\udfff]", text):
            self._note(span, "control-character", "NUL or half a character: expected text")
            return ""
        filled = self._environment is not None and not is_key and "${" in text
        if filled:
            text = self._filled(text, span)
        try:
            return resolve_scalar(text.strip() if filled else text) if plain else text
        except ValueError as error:
            if not filled:
                self._note(span, "number", str(error))
            return text

    def _filled(self, text: str, span: Span) -> str:
        environment, used = self._environment or {}, self._result.used
        before = len(self._result.problems)

        def replacement(match: re.Match[str]) -> str:
            if match[1] is None:
                return "${"
            form = _FORM.match(match[1]) if match[2] else None
            if form is None:
                forms = "expected ${NAME} or ${NAME:-default} ($${ is an escaped ${)"
                self._note(span, "reference", f"got '{match[0][:40]}', {forms}")
                return ""
            name, default = form[1], form[2]
            used[name] = value = environment.get(name)
            if value is None and default is None:
                message = f"environment variable {name} is not set: set it, or give a default as ${{{name}:-default}}"
                self._note(span, "unset-variable", message, suggest(name, environment))
            return value or default or ""

        result = _REFERENCE.sub(replacement, text)
        if len(result) > MAX_FILLED:
            message = f"text of {len(result)} characters from the environment: the limit is {MAX_FILLED}"
            self._note(span, "too-large", message)
        elif re.search("[\0-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]", result):
            self._note(span, "control-character", "control character in a value from the environment")
        return result if len(self._result.problems) == before else ""
