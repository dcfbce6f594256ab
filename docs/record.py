"""Runs the commands that documents show, and puts there what they print: ``python docs/record.py README.md …``.

A comment before a block of code says which parts of the output it keeps, by their first words:

    <!-- record: verdict, What to change -->
    ```
    $ pipeprof run examples/jpeg_folder/spec.yaml
    …
    ```

Parts are what empty lines separate: `verdict` is the first one, and `whole` are all. A block may have several commands.
They run one after the other, at the root of the repository, on a machine that nobody else uses.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(r"^<!-- record: ([^\n]+) -->\n```\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^\$ (.+)$", re.MULTILINE)


def record(document: str, run: Callable[[str], str]) -> str:
    """Return a document with what its commands print now.

    Args:
        run: Gives what a command prints.
    """

    def block(found: re.Match[str]) -> str:
        parts = [part.strip() for part in found[1].split(",")]
        texts = [f"$ {command}\n{keep(run(command), parts)}" for command in COMMAND.findall(found[2])]
        return f"<!-- record: {found[1]} -->\n```\n" + "\n".join(texts) + "```"

    return BLOCK.sub(block, document)


def keep(text: str, parts: list[str]) -> str:
    """Return the parts of an output with these first words."""
    first, *others = text.strip("\n").split("\n\n")
    if parts == ["whole"]:
        return "\n\n".join([first, *others]) + "\n"
    kept = [first] if "verdict" in parts else []
    return "\n\n".join([*kept, *(part for part in others if part.startswith(tuple(parts)))]) + "\n"


def _printed(command: str) -> str:
    environment = {**os.environ, "COLUMNS": "100", "PATH": f"{ROOT / '.venv' / 'bin'}:{os.environ['PATH']}"}
    print(f"$ {command}", file=sys.stderr)
    # Some of them end with an error, which is what is shown.
    done = subprocess.run(
        shlex.split(command), cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=False
    )
    return done.stdout


if __name__ == "__main__":
    for path in map(Path, sys.argv[1:]):
        path.write_text(record(path.read_text(encoding="utf-8"), _printed), encoding="utf-8")
