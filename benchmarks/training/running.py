"""Training scripts with pipeprof and without, each in a folder of its own with the inputs in ``data``."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from run import PIPEPROF, Json, read_json

HERE = Path(__file__).resolve().parent
TIMES = "times.txt"
PATIENCE = 480.0
"""Seconds after which a command hangs."""
SAID = re.compile(r"(\d+) steps in ([\d.]+) s")


@dataclass(frozen=True)
class Ran:
    """A command's end, and what its script left.

    Attributes:
        times: Steps and seconds, each time that the script printed them.
    """

    code: int
    output: str
    profile: Json
    times: list[tuple[int, float]]
    log: bytes

    @property
    def rate(self) -> float:
        """Steps per second, without the script's first times: in these it compiles, and fills caches."""
        later = self.times[1:]
        if not later:
            msg = f"the script ended too early, {self.code}: {self.output[-2000:]}"
            raise RuntimeError(msg)
        return sum(steps for steps, _ in later) / sum(seconds for _, seconds in later)


def prepare(folder: Path) -> None:
    """Make the inputs of the scripts, unless they are there."""
    if not (folder / "data").exists():
        subprocess.run([sys.executable, HERE / "inputs.py", folder / "data"], check=True)


def run(command: list[str], folder: Path) -> Ran:
    """Run a command in a fresh folder."""
    with tempfile.TemporaryDirectory(prefix="training-") as name:
        place = Path(name)
        if (folder / "data").exists():
            (place / "data").symlink_to(folder / "data")
        paths = os.pathsep.join([str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])])
        variables = {"PYTHONPATH": paths, "TRAINING_TIMES": str(place / TIMES), "TF_CPP_MIN_LOG_LEVEL": "3"}
        with (place / "output.txt").open("w+", encoding="utf-8") as output:
            done = subprocess.run(
                command,
                cwd=place,
                env=os.environ | variables,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                timeout=PATIENCE,
                check=False,
            )
        times, out, log = place / TIMES, place / "out.json", place / "planted.log"
        said = SAID.findall(times.read_text(encoding="utf-8")) if times.exists() else []
        return Ran(
            done.returncode,
            (place / "output.txt").read_text(encoding="utf-8", errors="replace"),
            read_json(out),
            [(int(steps), float(seconds)) for steps, seconds in said],
            log.read_bytes() if log.exists() else b"",
        )


def profiled(script: Path, folder: Path, *options: str, arguments: tuple[str, ...] = ()) -> Ran:
    """Run ``pipeprof run`` on a script."""
    after = ["--", *arguments] if arguments else []
    flags = ["--quiet", "--force", "--out", "out.json"]
    return run([*PIPEPROF, "run", str(script), *flags, *options, *after], folder)


def plain(text: str, folder: Path) -> Ran:
    """Run the text of a script, without pipeprof."""
    with tempfile.TemporaryDirectory(prefix="script-") as name:
        script = Path(name) / "train.py"
        script.write_text(text, encoding="utf-8")
        return run([sys.executable, str(script)], folder)
