"""Plain loops over a benchmark's pipelines, and pipeprof on the same: what `public` and `strangers` share."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from copies import Copies
from run import public_data

HERE = Path(__file__).resolve().parent
PLACES = (HERE, HERE.parent / "strangers" / "pipelines")
"""Folders of modules with pipelines."""
INSTALLED = "site-packages"
"""Folder of the libraries of `installed`, by whose name Python's installers call theirs."""
SECONDS = 3
"""Of one loop, and of pipeprof's measuring."""


def prepare(folder: Path) -> None:
    """Make the inputs, and install the library, in a folder where they are not."""
    public_data(folder)
    shutil.copytree(HERE / "installed", folder / INSTALLED, dirs_exist_ok=True)


def environment(folder: Path) -> dict[str, str]:
    """The environment in which modules and libraries can be imported."""
    paths = [str(folder / INSTALLED), *map(str, PLACES), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def plain(copies: Copies, folder: Path, target: str, *options: str) -> dict[str, Any]:
    """Run a plain loop over ``MODULE:FUNCTION``."""
    command = [str(HERE / "plain.py"), target, "--seconds", f"{SECONDS:g}", *options]
    return copies.run(command, folder, environment(folder))


def pipeprof(
    folder: Path, *command: str, patience: float, variables: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command of pipeprof; what it says on failure is printed."""
    program = [sys.executable, "-c", "from pipeprof.cli.main import main; main()", *command]
    environ = environment(folder) | (variables or {})
    done = subprocess.run(
        program, cwd=folder, env=environ, capture_output=True, text=True, timeout=patience, check=False
    )
    if done.returncode:
        print(done.stderr, file=sys.stderr)
    return done


def profile_of(folder: Path, target: str, *options: str, patience: float) -> tuple[int, dict[str, Any], Path]:
    """Profile ``MODULE:FUNCTION``: the exit code, the profile, empty if there is none, and its file."""
    module, name = target.split(":")
    file = next(place / f"{module}.py" for place in PLACES if (place / f"{module}.py").exists())
    out = folder / f"{module}-{name}.json"
    run = ["run", f"{file}:{name}", "--seconds", str(SECONDS), "--quiet", "--force", "--out", str(out)]
    code = pipeprof(folder, *run, *options, patience=patience).returncode
    return code, json.loads(out.read_text(encoding="utf-8")) if out.exists() else {}, out
