"""Elements of SVG: every text is escaped, every number is short."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import NamedTuple

from pipeprof.cli.streams import visible

_WIDTHS = {**dict.fromkeys("ijltf.,:;|!'()[]", 0.34), **dict.fromkeys("mwMW@%", 0.92), "−": 0.6, "–": 0.6}
_USUAL = 0.57
"""Of the font's size: the width of a usual letter of a sans-serif font, a little more than most have."""
_WIDE = 600
FONT = 12
"""Size of a chart's text in pixels, as the style sheet has it."""


def clean(text: str) -> str:
    """A text of any origin as markup.

    Example:
        >>> clean("<b>&")
        '&lt;b&gt;&amp;'
    """
    return escape(visible(text), quote=True)


def number(value: float) -> str:
    """A coordinate with at most one decimal.

    Example:
        >>> number(12.0), number(3.14159), number(-0.01)
        ('12', '3.1', '0')
    """
    text = f"{value:.1f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def element(tag: str, inner: str = "", **attributes: float | str) -> str:
    """An element; `class_` stands for the attribute `class`, an underscore inside a name for a hyphen.

    Args:
        inner: Markup.
        attributes: Texts of any origin, and coordinates in pixels.

    Example:
        >>> element("rect", x=1.25, class_="a")
        '<rect x="1.2" class="a"/>'
    """
    given = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{clean(value) if isinstance(value, str) else number(value)}"'
        for name, value in attributes.items()
    )
    return f"<{tag}{given}>{inner}</{tag}>" if inner else f"<{tag}{given}/>"


def titled(inner: str, title: str, **attributes: float | str) -> str:
    """A group that shows a text while the pointer is on it."""
    return element("g", element("title", clean(title)) + inner, **attributes)


def text(x: float, y: float, words: str, anchor: str = "start", class_: str = "") -> str:
    """A line of text; `y` is its baseline."""
    given: dict[str, float | str] = {"x": x, "y": y}
    if anchor != "start":
        given["text_anchor"] = anchor
    if class_:
        given["class_"] = class_
    return element("text", clean(words) or " ", **given)


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> str:
    """A straight line."""
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def path(points: Iterable[tuple[float, float]], class_: str, *, closed: bool = False) -> str:
    """A line through points."""
    steps = " ".join(f"{number(x)},{number(y)}" for x, y in points)
    return element("path", d=f"M{steps}{'Z' if closed else ''}", class_=class_) if steps else ""


def width_of(words: str, size: float = FONT) -> float:
    """About how many pixels a text takes, rather too many than too few."""
    return size * sum(_WIDTHS.get(letter, _USUAL) for letter in words)


def fitted(words: str, room: float, size: float = FONT) -> str:
    """A text that is cut with an ellipsis where it needs more pixels than there are.

    Example:
        >>> fitted("decode", 100), fitted("a_function_with_a_long_name", 80)
        ('decode', 'a_function_…')
    """
    if width_of(words, size) <= room:
        return words
    kept = ""
    for letter in words:
        if width_of(f"{kept}{letter}…", size) > room:
            break
        kept += letter
    return f"{kept}…" if kept else ""


def in_two_lines(words: str, room: float, size: float = FONT) -> list[str]:
    """A text in at most two lines, broken at a space where one is too long, and cut only where two are.

    Example:
        >>> in_two_lines("Run decode in parallel", 200), in_two_lines("Run decode in parallel", 100)
        (['Run decode in parallel'], ['Run decode in', 'parallel'])
    """
    if width_of(words, size) <= room:
        return [words]
    spaces = [at for at, letter in enumerate(words) if letter == " " and width_of(words[:at], size) <= room]
    at = max(spaces, default=0)
    return [words[:at], fitted(words[at + 1 :], room, size)] if at else [fitted(words, room, size)]


class Sheet(NamedTuple):
    """What a chart is drawn on.

    Attributes:
        width: In pixels.
        ident: Unique on the page.
        title: Name of the chart.
        description: Text alternative, read by a screen reader.
    """

    width: int
    ident: str
    title: str
    description: str

    @property
    def is_wide(self) -> bool:
        """Whether there is room for names at the left of what they name."""
        return self.width >= _WIDE


def drawing(sheet: Sheet, height: float, parts: Iterable[str]) -> str:
    """A whole picture."""
    ident = sheet.ident
    name = element("title", clean(sheet.title), id=f"{ident}-title")
    description = element("desc", clean(sheet.description), id=f"{ident}-desc")
    return element(
        "svg",
        f"{name}{description}{''.join(parts)}",
        viewBox=f"0 0 {number(sheet.width)} {number(height)}",
        width=sheet.width,
        height=height,
        role="img",
        aria_labelledby=f"{ident}-title {ident}-desc",
    )
