"""Another Python environment as a side of a comparison: what pipeprof brings into it, and what has to be there.

Its worker is this pipeprof, by a link in a folder that comes first on the path; the packages that the worker imports
are linked in a folder that comes last, so that packages of the environment itself are taken where it has them. Nothing
is installed or written there.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from pipeprof.pipelines.errors import UsageError
from pipeprof.pipelines.target.import_path import Interpreter, child_command

NEEDED = ("numpy", "tensorflow")
BROUGHT = (
    "_yaml", "annotated_types", "psutil", "pydantic", "pydantic_core", "typing_extensions", "typing_inspection", "yaml",
)  # fmt: skip
"""What the worker imports of others, and what these need; some of it is compiled for one version of Python."""
_INSTALLED_AS = {"yaml": "pyyaml"}
_ASKED_SECONDS = 60.0
_FLAG = "--b-python"


@dataclass(frozen=True)
class _Environment:
    """An environment.

    Attributes:
        build: What compiled modules have to be made for.
        lacking: Modules of `NEEDED` and `BROUGHT` that are not found.
    """

    build: str
    python: str
    lacking: list[str]


def main() -> int:
    """In the other environment: print what it is, and which modules it lacks, as JSON."""
    lacking = [name for name in (*NEEDED, *BROUGHT) if find_spec(name) is None]
    print(json.dumps(vars(_Environment(_build(), platform.python_version(), lacking))))
    return 0


def _build() -> str:
    return f"{sys.implementation.cache_tag} {sys.platform} {platform.machine()}"


def other_python(program: str, folder: Path, *, spec: bool) -> Interpreter:
    """The interpreter of an environment that was found to be able to run the worker.

    Args:
        folder: For the links; it must outlive the last worker.
        spec: Whether the worker builds a spec, whose models are pydantic's; a function needs nothing of `BROUGHT`.

    Raises:
        UsageError: There is no such program, it is no Python, or something is missing in its environment.
    """
    path = Path(program).absolute()
    if not path.is_file() or not os.access(path, os.X_OK):
        raise UsageError(f"{_FLAG} {program}: no such program; name the Python of an environment, as ENV/bin/python")
    first, last = folder / "pipeprof-alone", folder / "beside-pipeprof"
    for place in (first, last):
        place.mkdir()
    _link(first, "pipeprof")
    found = Interpreter(str(path), str(first), str(last))
    answer = _ask(found, program)
    if answer.build == _build():
        for name in BROUGHT:
            _link(last, name)
        answer = _ask(found, program)
    wanted = (*NEEDED, "pydantic", "yaml") if spec else NEEDED
    missing = [name for name in wanted if name in answer.lacking]
    if missing:
        packages = " ".join(_INSTALLED_AS.get(name, name) for name in missing)
        other = "" if set(missing) <= set(NEEDED) else f", as its Python is {answer.python} and not as this one"
        raise UsageError(f"{_FLAG} {program} lacks {packages}{other}: {path} -m pip install {packages}")
    return found


def _link(folder: Path, name: str) -> None:
    """Link a package or a module that this Python imports; one that it lacks is left out."""
    found = find_spec(name)
    if found is None or found.origin is None:
        return
    origin = Path(found.origin)
    place = origin.parent if found.submodule_search_locations is not None else origin
    (folder / place.name).symlink_to(place)


def _ask(interpreter: Interpreter, program: str) -> _Environment:
    """The answer of `main` in the environment.

    Raises:
        UsageError: There is none.
    """
    try:
        done = subprocess.run(
            child_command(__name__, interpreter=interpreter),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_ASKED_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UsageError(f"{_FLAG} {program}: it did not answer ({error})") from None
    try:
        return _Environment(**json.loads(done.stdout.splitlines()[-1]))
    except (ValueError, IndexError, TypeError):
        said = done.stderr.strip().splitlines()
        why = said[-1] if said else f"exit code {done.returncode}"
        raise UsageError(f"{_FLAG} {program} is no Python 3.10 or newer that runs pipeprof's worker: {why}") from None
