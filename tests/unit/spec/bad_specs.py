"""Mistakes people make with specs, read from tests/golden/bad_specs: a file for each theme, in it one after the other

    === name arguments      what follows `pipeprof check name.yaml`, after the variables that are set for it
    the spec
    --- prints
    what the command prints

A spec that is no text in UTF-8 is a file of its own beside it, ``name.yaml``. ``files`` is what the specs name.
"""

from __future__ import annotations

import re
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

FOLDER = Path(__file__).parents[2] / "golden" / "bad_specs"
PRINTS = b"--- prints\n"
_CASE = re.compile(rb"^=== ", re.MULTILINE)
_ASSIGNMENT = re.compile(r"([A-Z_]+)=(.*)")


BUILT = "(built by TensorFlow)\n"
"""Of a spec whose text is right."""


@dataclass(frozen=True)
class BadSpec:
    """One of them.

    Attributes:
        title: The name, and the arguments as they are typed.
        written: The spec as it stands in the file of its theme.
        prints: What `pipeprof check` prints, but for the last line.
    """

    title: str
    written: str
    prints: str

    @property
    def name(self) -> str:
        return self.title.partition(" ")[0]

    @property
    def spec(self) -> bytes:
        alone = FOLDER / f"{self.name}.yaml"
        return alone.read_bytes() if alone.exists() else self.written.encode()

    def as_text(self, prints: str) -> str:
        return f"=== {self.title}\n{self.written}{PRINTS.decode()}{prints}"

    def enter(self, folder: Path, patch: pytest.MonkeyPatch) -> list[str]:
        """Write the spec and what it names into a folder, go there, and set its variables: the further arguments."""
        (folder / f"{self.name}.yaml").write_bytes(self.spec)
        shutil.copytree(FOLDER / "files", folder / "files", dirs_exist_ok=True)
        patch.chdir(folder)
        words = shlex.split(self.title)[1:]
        while words and (assigned := _ASSIGNMENT.fullmatch(words[0])):
            patch.setenv(assigned[1], assigned[2])
            words.pop(0)
        return words


def _read(path: Path) -> list[BadSpec]:
    start, *parts = _CASE.split(path.read_bytes())
    assert start == b"", path
    found = []
    for part in parts:
        title, _, rest = part.partition(b"\n")
        written, prints = rest.split(PRINTS)
        found.append(BadSpec(title.decode(), written.decode(), prints.decode()))
    return found


THEMES = {path.stem: _read(path) for path in sorted(FOLDER.glob("*.txt"))}
BAD_SPECS = {bad.name: bad for theme in THEMES.values() for bad in theme}
