"""What the documents show of commands is what these print, as far as it does not depend on the machine."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from integration import forked
from source_trees import script

ROOT = Path(__file__).parents[2]
SCRIPT = """
import os, runpy, sys

sys.path.insert(0, os.path.dirname(sys.argv[1]))
runpy.run_path(sys.argv[1], run_name="__main__")
"""
MEASURED = "loops.py"
"""Of what scripts print: times."""


recorder = script("docs/record.py")
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "examples").glob("*/*.md"))]
BLOCKS = {
    f"{path.relative_to(ROOT)}: {commands[0]}": (found[0], commands)
    for path in DOCUMENTS
    for found in recorder.BLOCK.finditer(path.read_text(encoding="utf-8"))
    if (commands := recorder.COMMAND.findall(found[2]))
}
STEADY = {
    name: block
    for name, (block, commands) in BLOCKS.items()
    if all(command.startswith(("python ", "pipeprof check ")) and MEASURED not in command for command in commands)
}


def printed(command: str) -> str:
    program, *words = shlex.split(command)
    code = SCRIPT if program == "python" else forked.AS_FOR_USERS
    done = forked.run(words, ROOT, code, COLUMNS="100")
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", STEADY)
def test_what_is_shown_is_what_is_printed(name: str) -> None:
    assert recorder.record(STEADY[name], printed) == STEADY[name]


def test_documents_show_commands_of_each_kind() -> None:
    programs = {" ".join(command.split()[:2]) for _, commands in BLOCKS.values() for command in commands}
    assert {"pipeprof run", "pipeprof check", "python examples/reloading/counts.py"} <= programs
    assert len(STEADY) >= 8
