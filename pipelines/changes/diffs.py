"""Two texts of a file as a diff that `patch` and `git apply` take."""

from __future__ import annotations

import difflib
import os
import re
from pathlib import Path


def unified(before: str, after: str, name: str) -> str:
    r"""Return the diff; empty where the texts are equal.

    Example:
        >>> print(unified("a: 1\n", "a: 2\n", "x.yaml"), end="")
        --- a/x.yaml
        +++ b/x.yaml
        @@ -1 +1 @@
        -a: 1
        +a: 2
    """
    old, new = (re.findall(r"[^\n]*\n|[^\n]+", text) for text in (before, after))
    path = _below(name)
    lines = difflib.unified_diff(old, new, f"a/{path}", f"b/{path}")
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def _below(name: str) -> str:
    """Return a file's path as the tools take it: below the folder that they run in, the current one or the root.

    Example:
        >>> _below("./a/../b.yaml"), _below("/data/b.yaml")
        ('b.yaml', 'data/b.yaml')
    """
    path = os.path.relpath(name)
    return str(Path(name).resolve()).lstrip("/") if path.startswith("..") else path
