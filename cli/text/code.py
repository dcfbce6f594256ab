"""Python code on a screen: broken where it still runs when it is pasted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

HANG = 4
"""Spaces before the rest of a line, in addition to its own."""
_CONTINUED = " \\"
_REMARK = "# "


def break_code(lines: Iterable[str], width: int) -> Iterator[str]:
    r"""Break lines of Python at spaces, outside of texts; outside of brackets a backslash joins the parts.

    A line without such a space stays as it is.

    Args:
        width: Longest line, in characters.

    Example:
        >>> print(*break_code(["rows = load(first, second)"], 20), sep="\n")
        rows = load(first,
            second)
    """
    for line in lines:
        yield from _broken(line, width, " " * (len(line) - len(line.lstrip(" ")) + HANG))


def _broken(line: str, width: int, margin: str) -> Iterator[str]:
    depth, own = 0, line[: len(line) - len(line.lstrip(" "))]
    while len(line) > width:
        if line.startswith(own + _REMARK):
            place, margin, end = line.rfind(" ", len(own + _REMARK), width + 1), own + _REMARK, ""
        else:
            place, depth = _place(line, width, depth)
            end = "" if depth else _CONTINUED
        if place <= 0:
            break
        yield line[:place].rstrip(" ") + end
        line = margin + line[place:].lstrip(" ")
    yield line


def _place(line: str, width: int, depth: int) -> tuple[int, int]:
    """The last place at which a line may be broken, and how many brackets are open there; -1 without one.

    Args:
        depth: Brackets that are open at its begin.
    """
    found, opened, quote, previous = (-1, depth), (-1, depth), "", ""
    indent = len(line) - len(line.lstrip(" "))
    for place, character in enumerate(line[: width + 1]):
        if quote:
            quote = "" if character == quote and previous != "\\" else quote
        elif character in "'\"":
            quote = character
        elif character == "#":
            break
        elif character in "([{":
            depth += 1
            opened = (place + 1, depth) if place < width else opened
        elif character in ")]}":
            depth -= 1
        elif character == " " and place > indent and place + (0 if depth else len(_CONTINUED)) <= width:
            found = place, depth
        previous = character
    # Right after a bracket it looks worse than at a space.
    return found if found[0] > indent + HANG or opened[0] < 0 else opened
