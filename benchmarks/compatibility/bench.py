"""Which pairs of Python and TensorFlow work: each is installed from nothing and put to use.

Usage: ``python benchmarks/compatibility/bench.py --out FILE [--case 3.10:2.18 …]``. Every pair gets an environment of
its own in a temporary folder that is removed afterwards: the committed tree installed by pip with the pair's
TensorFlow, ``pip check``, what pipeprof needs of TensorFlow (smoke.py), and a real ``pipeprof run``. Needs git, a
package index and the interpreters ``pythonX.Y`` on PATH; a pair without its interpreter is not measured, and of the
table it cannot be told then. Most of the time pip unpacks TensorFlow, which is done without compiling what is never
imported.
"""

from __future__ import annotations

import datetime
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent))

from suite import RUN_ALONE, Benchmark, NotMeasuredError, main

ROOT = HERE.parents[1]
EXAMPLE = Path("examples", "jpeg_folder", "spec.yaml")
PAIRS = (
    ("3.10", "2.18"),
    ("3.10", "2.21"),
    ("3.11", "2.18"),
    ("3.11", "2.19"),
    ("3.11", "2.20"),
    ("3.11", "2.21"),
    ("3.12", "2.18"),
    ("3.12", "2.21"),
    ("3.13", "2.20"),
    ("3.13", "2.21"),
)
VERSIONS = (
    "import json, platform; from importlib.metadata import version as v;"
    "print(json.dumps({'python': platform.python_version(), 'tensorflow': v('tensorflow'), 'numpy': v('numpy'),"
    " 'protobuf': v('protobuf')}))"
)


def checkout(folder: Path) -> None:
    """The committed tree, so that building it leaves nothing behind in this one."""
    archive = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, check=True, capture_output=True)
    folder.mkdir()
    subprocess.run(["tar", "-x", "-C", str(folder)], input=archive.stdout, check=True)


def interpreter(wanted: str) -> str | None:
    """The path of an interpreter; version managers put names on PATH that start nothing."""
    python = shutil.which(f"python{wanted}")
    if python is None:
        return None
    starts = subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode == 0
    return python if starts else None


def attempt(python: str, tensorflow: str, source: Path, folder: Path) -> dict[str, Any]:
    """Install one pair and use it, until something fails.

    Returns:
        The versions installed, what each check said, and whether the pair works.
    """
    own = str(folder / "bin" / "python")
    install = [own, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-compile"]
    steps: dict[str, list[str]] = {
        "install": [*install, str(source), f"tensorflow=={tensorflow}.*"],
        "versions": [own, "-c", VERSIONS],
        "pip check": [own, "-m", "pip", "check"],
        "smoke": [own, str(HERE / "smoke.py")],
        "run": [
            str(folder / "bin" / "pipeprof"),
            "run",
            str(source / EXAMPLE),
            "--seconds",
            "2",
            "--no-lock",
            "--no-verify",
            "--json",
        ],
    }
    environment = os.environ | {"PIPEPROF_CACHE_DIR": str(folder / "cache")}
    found: dict[str, Any] = {"works": False}
    subprocess.run([python, "-m", "venv", str(folder)], check=True)
    for name, command in steps.items():
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            found["error"] = f"{name}: exit code {done.returncode}: " + " / ".join(done.stderr.splitlines()[-3:])
            return found
        if name == "versions":
            found |= json.loads(done.stdout)
        elif name == "run":
            profile = json.loads(done.stdout)
            found["run"] = profile["verdict"]["sentence"]
            unmatched = [stage["id"] for stage in profile["stages"] if stage["cpu_ms_per_batch"] is None]
            if unmatched:
                found["error"] = f"run: stages without a cost: {', '.join(unmatched)}"
                return found
        else:
            found[name] = done.stdout.strip()
    return found | {"works": True}


def measured(name: str, folder: Path) -> dict[str, Any]:
    """Try one pair, given as ``PYTHON:TENSORFLOW``, in an environment of its own, which is removed."""
    wanted, _, tensorflow = name.partition(":")
    python = interpreter(wanted)
    if python is None:
        msg = f"no python{wanted} on PATH that starts"
        raise NotMeasuredError(msg)
    row: dict[str, Any] = {"pair": [wanted, tensorflow], "date": datetime.date.today().isoformat()}
    with tempfile.TemporaryDirectory(prefix="pipeprof-pair-", dir=folder) as own:
        source = Path(own, "source")
        checkout(source)
        row |= attempt(python, tensorflow, source, Path(own, "venv"))
    print(f"Python {wanted} with TensorFlow {tensorflow}: {'works' if row['works'] else row['error']}", flush=True)
    return {"outcome": "holds" if row["works"] else "does not hold", "figures": row, "raw": {}}


BENCHMARK = Benchmark(
    claim="pipeprof installs and runs with every pair of the table",
    cases=tuple(":".join(pair) for pair in PAIRS),
    measure=measured,
    covers=RUN_ALONE,
    seconds=60.0,
)

if __name__ == "__main__":
    sys.exit(main(BENCHMARK))
