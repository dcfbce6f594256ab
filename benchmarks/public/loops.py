"""Plain loops over a benchmark's pipelines, and pipeprof on the same: what `public` and `strangers` share."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from copies import Copies
from run import pipeprof, public_data, read_json

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
    """The variable with which modules and libraries can be imported."""
    paths = [str(folder / INSTALLED), *map(str, PLACES), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {"PYTHONPATH": os.pathsep.join(paths)}


def plain(copies: Copies, folder: Path, target: str, *options: str) -> dict[str, Any]:
    """Run a plain loop over ``MODULE:FUNCTION``."""
    command = [str(HERE / "plain.py"), target, "--seconds", f"{SECONDS:g}", *options]
    return copies.run(command, folder, os.environ | environment(folder))


def profile_of(folder: Path, target: str, *options: str, patience: float) -> tuple[int, dict[str, Any], Path]:
    """Profile ``MODULE:FUNCTION``: the exit code, the profile, empty if there is none, and its file."""
    module, name = target.split(":")
    file = next(place / f"{module}.py" for place in PLACES if (place / f"{module}.py").exists())
    out = folder / f"{module}-{name}.json"
    run = ["run", f"{file}:{name}", "--seconds", str(SECONDS), "--quiet", "--force", "--out", str(out)]
    done = pipeprof(*run, *options, folder=folder, patience=patience, **environment(folder))
    return done.returncode, read_json(out), out
