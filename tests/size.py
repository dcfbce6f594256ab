"""How large the four packages are; ``python tests/size.py`` writes it into `tests/size.toml`.

Code is counted without docstrings, comments, imports and blank lines, so that explaining costs nothing.
"""

from __future__ import annotations

import ast
import io
import tokenize
from pathlib import Path

from source_trees import nodes

ROOT = Path(__file__).resolve().parents[1]
BOUNDS = ROOT / "tests" / "size.toml"


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


def sizes() -> dict[str, int]:
    """Count lines of code, all lines and modules of Python, and the lines of other files."""
    files = [path for package in ("api", "cli", "pipelines", "profiles") for path in (ROOT / package).rglob("*")]
    texts = {path: path.read_text(encoding="utf-8") for path in files if path.is_file() and path.suffix != ".pyc"}
    modules = [text for path, text in texts.items() if path.suffix == ".py"]
    lines = sum(text.count("\n") for text in modules)
    return {
        "code": sum(map(count_code, modules)),
        "lines": lines,
        "modules": len(modules),
        "other": sum(text.count("\n") for text in texts.values()) - lines,
    }


if __name__ == "__main__":
    BOUNDS.write_text("".join(f"{name} = {count}\n" for name, count in sizes().items()), encoding="utf-8")
