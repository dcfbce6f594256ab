"""Lines of code per room, within `tests/size.toml`. ``python tests/size.py`` lowers the bounds to what is there.

Code is counted without docstrings, comments, imports and blank lines, so that explaining costs nothing.
"""

from __future__ import annotations

import ast
import io
import sys
import tokenize
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

from source_trees import nodes

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("api", "cli", "pipelines", "profiles")
BOUNDS = ROOT / "tests" / "size.toml"
HEADER = """\
# How large the source may be: lines of code per room, without docstrings, comments, imports and blank lines.
# `python tests/size.py` counts again and lowers what has become less. To raise a room's number, write
#   "room" = { least = 100, now = 120, why = "what the lines are for" }
# with the least number it has had. Beside the rooms, `all` counts every line of the source, `data` its data files, and
# `tests` the Python of tests/, in full thousands.
"""


def count_code(source: str) -> int:
    """Count the lines of a module that hold code."""
    lines = source.splitlines()
    left_out = {number for number, line in enumerate(lines, 1) if not line.strip()}
    # Lines that begin as a comment does; in a text of several lines they may be a part of it.
    comments = {number for number, line in enumerate(lines, 1) if line.lstrip().startswith("#")}
    in_doubt = False
    for node in nodes(source):
        is_text = (
            isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        )
        if is_text or isinstance(node, (ast.Import, ast.ImportFrom)):
            left_out.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
        elif isinstance(node, (ast.Constant, ast.JoinedStr)) and node.end_lineno != node.lineno:
            in_doubt = in_doubt or not comments.isdisjoint(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    if in_doubt:
        tokens = tokenize.generate_tokens(io.StringIO(source).readline)
        comments &= {token.start[0] for token in tokens if token.type == tokenize.COMMENT}
    return len(lines) - len(left_out | comments)


def room_of(path: Path) -> str:
    """The room of a module: its package's folder, or the package itself for a module that lies directly in it."""
    parts = path.relative_to(ROOT).parts
    return "/".join(parts[:2]) if len(parts) > 2 else parts[0]


@cache
def sizes() -> dict[str, int]:
    """Count the code of every room."""
    counts: Counter[str] = Counter()
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            counts[room_of(path)] += count_code(path.read_text(encoding="utf-8"))
    return {room: counts[room] for room in sorted(counts)}


def totals() -> dict[str, int]:
    """Count what lies beside the code: all lines of the source, lines of its data files, lines of the tests."""

    def lines(paths: list[Path]) -> int:
        return sum(path.read_text(encoding="utf-8").count("\n") for path in paths if "__pycache__" not in path.parts)

    source = [path for package in PACKAGES for path in (ROOT / package).rglob("*") if path.is_file()]
    return {
        "all": lines([path for path in source if path.suffix == ".py"]),
        "data": lines([path for path in source if path.suffix in {".json", ".toml", ".yaml", ".txt"}]),
        "tests": -(-lines(list((ROOT / "tests").rglob("*.py"))) // 1000) * 1000,
    }


def bound_of(entry: int | dict[str, Any]) -> int:
    """The number that an entry of the file allows."""
    return entry if isinstance(entry, int) else entry["now"]


def is_raised_without_reason(entry: int | dict[str, Any]) -> bool:
    """Whether an entry allows more than the room has had, and does not say what for."""
    return not isinstance(entry, int) and (entry["now"] > entry["least"]) and len(entry.get("why", "").split()) < 4


def text_of(tables: dict[str, dict[str, int | dict[str, Any]]]) -> str:
    """Write the bounds as the file has them."""

    def written(entry: int | dict[str, Any]) -> str:
        if isinstance(entry, int):
            return str(entry)
        return f'{{ least = {entry["least"]}, now = {entry["now"]}, why = "{entry["why"]}" }}'

    parts = [
        f"\n[{name}]\n" + "".join(f'"{key}" = {written(entry)}\n' for key, entry in sorted(table.items()))
        for name, table in tables.items()
    ]
    return HEADER + "".join(parts)


def lowered(entry: int | dict[str, Any] | None, count: int) -> int | dict[str, Any]:
    """An entry after a count: less becomes the bound, more stays a fault; a raised room keeps its reason."""
    if entry is None:
        return count
    if isinstance(entry, int):
        return min(entry, count)
    now = min(entry["now"], count)
    return now if now <= entry["least"] else {**entry, "now": now}


def main() -> None:
    """Lower the bounds to what is counted now, and add rooms that are new."""
    kept = tomllib.loads(BOUNDS.read_text(encoding="utf-8")) if BOUNDS.exists() else {}
    counted = {"rooms": sizes(), "beside": totals()}
    tables = {
        name: {key: lowered(kept.get(name, {}).get(key), count) for key, count in counts.items()}
        for name, counts in counted.items()
    }
    BOUNDS.write_text(text_of(tables), encoding="utf-8")
    print(f"{sum(map(bound_of, tables['rooms'].values()))} lines of code in {len(tables['rooms'])} rooms")


if __name__ == "__main__":
    main()
