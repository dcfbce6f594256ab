"""Events of libyaml's parser, and syntax errors with pipeprof's wording."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from itertools import starmap
from typing import Any, Final, NamedTuple

import yaml

from pipeprof.pipelines.tables import read_table

LINE_ENDS: Final = "\r\n\x85\u2028\u2029"


class SyntaxProblem(NamedTuple):
    """Syntax error: 0-based offsets into the text, and the reason."""

    start: int
    end: int
    code: str
    message: str


class Event(NamedTuple):
    """One step of the parser; ``start`` and ``end`` are 0-based offsets into the text.

    ``kind`` is ``document``, ``scalar``, ``alias``, ``sequence``, ``mapping`` or ``end`` (of either of the two).
    ``value`` is a scalar's text, ``plain`` whether it is unquoted; ``anchor`` is also an alias's name.
    """

    kind: str
    start: int
    end: int
    value: str = ""
    plain: bool = False
    anchor: str | None = None
    tag: str | None = None


class YamlSyntaxError(Exception):
    """The text is not YAML from here on."""

    def __init__(self, problem: SyntaxProblem) -> None:
        """Carry the problem."""
        super().__init__(problem.message)
        self.problem = problem


def iter_events(text: str) -> Iterator[Event]:
    """Yield the parser's events up to the end of the text."""
    # Without libyaml PyYAML has only its own, slower parser. PyYAML constructs nothing: only its parser is used.
    parser = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(text)
    try:
        while True:
            event = parser.get_event()
            if event is None:
                return
            kind = _KINDS.get(type(event))
            if kind is not None:
                yield _event(kind, event)
    except yaml.MarkedYAMLError as error:
        raise YamlSyntaxError(_explain(text, error)) from None


_KINDS: Final[dict[type, str]] = {
    yaml.DocumentStartEvent: "document", yaml.ScalarEvent: "scalar", yaml.AliasEvent: "alias",
    yaml.SequenceStartEvent: "sequence", yaml.MappingStartEvent: "mapping", yaml.SequenceEndEvent: "end",
    yaml.MappingEndEvent: "end",
}  # fmt: skip


def _event(kind: str, event: Any) -> Event:
    return Event(
        kind,
        event.start_mark.index,
        event.end_mark.index,
        getattr(event, "value", ""),
        not getattr(event, "style", None),
        getattr(event, "anchor", None),
        getattr(event, "tag", None),
    )


class _Rule(NamedTuple):
    """Translation of one PyYAML error.

    ``pattern`` finds it in PyYAML's wording; ``at_context``: shown where the construct began;
    ``{got}`` in the message is what stands there.
    """

    pattern: str
    at_context: bool
    code: str
    message: str


@cache
def _rules() -> tuple[_Rule, ...]:
    """The translations, the first that fits first: only the few specs that are no YAML need them."""
    return tuple(starmap(_Rule, read_table("pipeprof.pipelines.spec.yaml", "faults")))


_MERGE_CONFLICT = r"<{7} |={7}$|>{7} "
_NO_BLANK = r"[ -]*([A-Za-z_][\w.]*):[^\s:/\\][^:\n]*\n?$"
_SLASHES = r"(?m)^[ \t]*(//)"
_ESCAPE = r"\\(?:x\w{0,2}|u\w{0,4}|U\w{0,8}|.?)"
_WORD = r"(?s)\w{1,40}|."
_FALLBACK = _Rule("", False, "syntax", "unexpected {got}: expected 'key: value' or '- item' lines")


def _explain(text: str, error: yaml.MarkedYAMLError) -> SyntaxProblem:
    problem = error.problem or ""
    unclosed = re.search(r"expected ',' or '([\]}])'", problem)
    if unclosed:
        closing = unclosed[1]
        opened, stopped = _offset(text, error.context_mark), _offset(text, error.problem_mark)
        opening = "[" if closing == "]" else "{"
        comment = re.compile(_SLASHES).search(text, opened, stopped + 1)
        if comment is not None:
            return SyntaxProblem(comment.start(1), comment.end(1), "syntax", "'//' is not a comment in YAML: use '#'")
        if stopped >= len(text) or any(end in text[opened:stopped] for end in LINE_ENDS):
            return _problem(text, opened, "syntax", f"unclosed '{opening}': expected ',' or '{closing}'")
        message = f"unexpected {_found(text, stopped)} inside '{opening}{closing}': expected ',' or '{closing}'"
        return _problem(text, stopped, "syntax", message)
    rule = next((rule for rule in _rules() if re.search(rule.pattern, problem)), _FALLBACK)
    mark = (error.context_mark if rule.at_context else None) or error.problem_mark or error.context_mark
    offset, code, template = _offset(text, mark), rule.code, rule.message
    known = _known_mistake(text, offset, rule)
    if known is not None:
        return known
    if code == "syntax" and text[offset : offset + 1] == "\t":
        code, template = "tab", "tab in the indentation: use spaces"
    elif code == "escape":
        return _at_escape(text, offset)
    elif code == "directive":
        offset = _line_start(text, offset)
    elif "wrong indentation: expected" in template and not _starts_line(text, offset):
        template = "{got} after the end of the value: end the line there, or put the whole text in quotes"
    return _problem(text, offset, code, template.format(got=_found(text, offset)))


def _known_mistake(text: str, offset: int, rule: _Rule) -> SyntaxProblem | None:
    """Detect common mistakes that YAML reports elsewhere or differently."""
    start = _line_start(text, offset)
    marker = re.match(_MERGE_CONFLICT, text[start:].split("\n", 1)[0])
    if marker is not None:
        message = "unresolved merge conflict: keep one of the two versions and remove the markers"
        return SyntaxProblem(start, start + marker.end(), "syntax", message)
    if "':' inside" in rule.message and start > 0:
        before = _line_start(text, start - 1)
        joined = re.match(_NO_BLANK, text[before:start])
        if joined is not None:
            key = joined[1]
            message = f"missing space after '{joined[1]}:': expected 'key: value'"
            at = before + joined.start(1)
            return SyntaxProblem(at, at + len(key) + 1, "syntax", message)
    if text[offset : offset + 1] == ":" and "wrong indentation: expected" in rule.message:
        return SyntaxProblem(offset, offset + 1, "syntax", "':' without a key: expected 'key: value'")
    return None


def _at_escape(text: str, offset: int) -> SyntaxProblem:
    start = max(0, text.rfind("\\", 0, offset + 1))
    escape = re.compile(_ESCAPE).match(text, start)
    message = "unknown escape in double quotes: use single quotes, or '\\\\' for a backslash"
    return SyntaxProblem(start, escape.end() if escape else start + 1, "syntax", message)


def _problem(text: str, offset: int, code: str, message: str) -> SyntaxProblem:
    word = re.compile(_WORD).match(text, offset)
    return SyntaxProblem(offset, word.end() if word else offset + 1, code, message)


def _offset(text: str, mark: yaml.Mark | None) -> int:
    return min(mark.index, len(text)) if mark is not None else 0


def _starts_line(text: str, offset: int) -> bool:
    """Whether nothing but blanks and item dashes stands before the offset in its line."""
    return not text[_line_start(text, offset) : offset].strip(" -?")


def _line_start(text: str, offset: int) -> int:
    return max(text.rfind(end, 0, offset) for end in LINE_ENDS) + 1


def _found(text: str, offset: int) -> str:
    if offset >= len(text):
        return "the end of the text"
    found = text[offset]
    if found in LINE_ENDS:
        return "the end of the line"
    word = re.compile(_WORD).match(text, offset)
    return f"'{word[0] if word else found}'" if found != "'" else 'a "\'"'
