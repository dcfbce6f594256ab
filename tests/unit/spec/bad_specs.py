"""Mistakes people make with specs, read from tests/golden/bad_specs: a file for each theme, in it one after the other

    === name arguments      what follows `pipeprof check name.yaml`, after the variables that are set for it
    the spec
    --- at 3 5 --set        the lines that are refused, or the flags; nothing where only TensorFlow can refuse it

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
_CASE = re.compile(r"^=== (.*)\n(?s:(.*?))^--- at(.*)\n", re.MULTILINE)
_ASSIGNMENT = re.compile(r"([A-Z_]+)=(.*)")
_ERROR = re.compile(r"^(?:\S+\.yaml:(\d+):\d+|(--set) .*): error\[[a-z-]+\]: ", re.MULTILINE)


@dataclass(frozen=True)
class BadSpec:
    """One of them: the name and arguments as typed, the spec as it stands in its theme, lines and flags refused."""

    title: str
    written: str
    places: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.title.partition(" ")[0]

    @property
    def spec(self) -> bytes:
        alone = FOLDER / f"{self.name}.yaml"
        return alone.read_bytes() if alone.exists() else self.written.encode()

    def as_text(self, printed: str) -> str:
        """The case with the places that a command printed."""
        return f"=== {self.title}\n{self.written}--- at{''.join(f' {place}' for place in places_in(printed))}\n"

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


def places_in(printed: str) -> list[str]:
    """The lines and flags that errors are about."""
    return [line or flag for line, flag in _ERROR.findall(printed)]


def _read(path: Path) -> list[BadSpec]:
    cases = _CASE.findall(path.read_bytes().decode())
    return [BadSpec(title, written, tuple(places.split())) for title, written, places in cases]


THEMES = {path.stem: _read(path) for path in sorted(FOLDER.glob("*.txt"))}
BAD_SPECS = {bad.name: bad for theme in THEMES.values() for bad in theme}
