"""Runs every command that the documentation shows and a reader can copy: ``make docs-run``.

A command is a line of a fence without a language that begins with ``pipeprof``. Each one runs in a copy of a folder
that has what the commands name: a spec, a training script, photos, records, traces, a saved profile, a git repository.
``runs.json`` keeps for each its exit code, its seconds and the commit; `make test` runs those that take less than
``QUICK`` seconds, and requires that every command has an entry.

Windows and budgets are shortened by the environment, as a user's own would be; see ``BOUNDS``.
"""

from __future__ import annotations

import argparse
import datetime
import functools
import gzip
import json
import math
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypedDict

ROOT = Path(__file__).resolve().parents[1]
RUNS = ROOT / "docs" / "runs.json"
STAND_INS = ROOT / "docs" / "stand_ins"
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
QUICK = 2.0
"""Seconds of CPU; commands that take less are part of the tests."""
LONGEST = 400
"""Seconds after which a command is ended, which counts as a failure."""
BOUNDS = {
    "PIPEPROF_SECONDS": "1",
    "PIPEPROF_BUDGET": "8",
    "PIPEPROF_PAIRS": "2",
    "PIPEPROF_MAX_PAIRS": "4",
    "PIPEPROF_MAX_TIME": "200",
    "PIPEPROF_NO_LOCK": "1",
}
SHORTER = {
    "--soak 20m": "--soak 20s",
    "--budget 40": "--budget 8",
    "--pairs 7": "--pairs 2",
    "--max-time 300": "--max-time 60",
    "pipeprof worker --dispatcher": "timeout --preserve-status -s INT 50 pipeprof worker --dispatcher",
    "dispatcher:5000": "localhost:5000",
}
"""What a command line itself asks to take long, and what is run instead."""
_SPEC = "cp examples/jpeg_folder/spec.yaml . && env -u PIPEPROF_BUDGET pipeprof run spec.yaml --no-verify"
_COMMIT = "git -c user.name=t -c user.email=t@localhost commit -qam"
_DISPATCHER = (
    "import tensorflow as tf; s = tf.data.experimental.service; s.DispatchServer(s.DispatcherConfig(5000)).join()"
)
BEFORE = {
    "pipeprof worker": f'timeout 110 python -c "{_DISPATCHER}" > /dev/null 2>&1 &',
    "fix spec.yaml --change": _SPEC,
    "fix train.py --change": "cp waiting.py train.py && env -u PIPEPROF_BUDGET pipeprof run train.py",
    "show --out fast.patch": "pipeprof fix train.py:make_dataset --step simulate:1ms",
    "--baseline base.json": "pipeprof gate spec.yaml --baseline base.json --update-baseline",
    "show --history gates.jsonl": "pipeprof gate a.yaml --against b.yaml --history gates.jsonl",
    "--bisect v1.0..main": (
        f"cp b.yaml spec.yaml && {_COMMIT} fast && git tag v1.0 && cp a.yaml spec.yaml && {_COMMIT} slow"
    ),
}
"""What a command needs to have been run before it, by a part of its line."""
MEASURING = {"run", "fix", "scale", "compare", "gate"}
"""Commands that take longer, and come last."""
EXPECTED = {0, 3, 4}
"""Exit codes of a command that did its work: a gate may also fail, or not be able to tell, on pipelines so short."""


class Run(TypedDict):
    """What became of a command when it was last run.

    Attributes:
        code: Its exit code.
        seconds: By the clock.
        cpu: Seconds of CPU, with those of its processes.
        commit: Of the checkout, in hexadecimal.
        date: UTC, ISO 8601.
    """

    code: int
    seconds: float
    cpu: float
    commit: str
    date: str


def commands() -> list[str]:
    """Every command of the documentation once, without comments, in the order of the pages."""
    found: dict[str, None] = {}
    for page in PAGES:
        for fence in re.findall(r"^ *```\n(.*?)^ *```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
            for line in fence.splitlines():
                if (command := re.sub(r"\s+#.*", "", line.strip().removeprefix("$ "))).startswith("pipeprof "):
                    found[command] = None
    return list(found)


def write_data(folder: Path) -> None:
    """Write the photos and records that the commands name."""
    subprocess.run([sys.executable, "make_data.py"], cwd=folder, check=True, env=environment(), capture_output=True)


def prepare(folder: Path, write: Callable[[Path], object] = write_data) -> None:
    """Make the folder that the commands run in, without measuring anything.

    Args:
        folder: Does not exist yet.
        write: Writes the photos and records into it.
    """
    shutil.copytree(STAND_INS, folder, dirs_exist_ok=True)
    shutil.copytree(ROOT / "examples" / "jpeg_folder", folder / "examples" / "jpeg_folder")
    shutil.copytree(ROOT / "docs" / "schema", folder / "docs" / "schema")
    spec = (folder / "spec.yaml").read_text(encoding="utf-8")
    for name in ("a", "before", "old", "b", "c", "after", "faster"):
        calls = 1 if name in {"a", "before", "old"} else 2
        text = spec.replace("num_parallel_calls: 1", f"num_parallel_calls: {calls}")
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    shutil.copy(folder / "train.py", folder / "input.py")
    (folder / "pipeprof-out").mkdir()
    hosts = ("host0", "host1", "host2")
    for name in ("profile", "a", "before", "after", *hosts, "pipeprof-out/flowers-20260731T101112Z"):
        shutil.copy(ROOT / "tests" / "recorded" / "profiles" / "jpeg-folder.json", folder / f"{name}.json")
    (folder / "runs").mkdir()
    shutil.copy(folder / "profile.json", folder / "runs")
    (folder / "jobs.csv").write_text("job,device_hours\n812,96\n", encoding="utf-8")
    add = "from pipeprof.cli.main import main; main()"
    subprocess.run([sys.executable, "-c", add, "fleet", "add", "runs/"], cwd=folder, check=True, env=environment())
    other = folder / "other" / "bin" / "python"
    other.parent.mkdir(parents=True)
    other.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n', encoding="utf-8")
    other.chmod(0o755)
    traces(folder)
    write(folder)
    (folder / ".gitignore").write_text("pipeprof-out/\n", encoding="utf-8")
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@localhost", "-c", "init.defaultBranch=main"]
    for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "The pipeline"]):
        subprocess.run([*git, *arguments], cwd=folder, check=True, stdin=subprocess.DEVNULL)


def traces(folder: Path) -> None:
    """Write a trace under each name that a command has, in the format of its ending."""
    sys.path.insert(0, str(ROOT / "tests" / "unit" / "gaps"))
    import made_traces

    logs = folder / "logs" / "plugins" / "profile" / "2026_11_27_08_00_00"
    logs.mkdir(parents=True)
    names = {
        "xplane": (logs / "host.xplane.pb", folder / "host.xplane.pb"),
        "json": [folder / f"{name}.json.gz" for name in ("worker0.pt.trace", "before", "after")],
        "sqlite": (folder / "report.sqlite",),
    }
    names["json"] += [folder / f"{name}.pt.trace.json.gz" for name in ("before", "after")]
    for form, paths in names.items():
        written = made_traces.write(made_traces.stalled(form, None), form, folder)
        for path in paths:
            data = written.read_bytes()
            path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


def environment() -> dict[str, str]:
    """The environment of the commands: this interpreter's programs first, shorter windows, no cache of the user's."""
    here = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)))
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PIPEPROF_")}
    return {**kept, **BOUNDS, "PATH": here, "TF_CPP_MIN_LOG_LEVEL": "3", "NO_COLOR": "1"}


def needs(command: str) -> str | None:
    """What has to be run before a command."""
    return next((before for part, before in BEFORE.items() if part in command), None)


def copied(command: str, folder: Path, copy: Path) -> tuple[Path, dict[str, str]]:
    """Where a command runs, a copy of the prepared folder, and its environment."""
    place = copy / "work"
    shutil.copytree(folder, place, symlinks=True)
    env = {**environment(), "PIPEPROF_CACHE_DIR": str(folder.parent / "cache")}
    if re.match(r"pipeprof run train\.py(?!:)", command):
        del env["PIPEPROF_BUDGET"]  # nothing is tried of a script that is run once
    if "--soak" in command or "--to-end" in command:
        del env["PIPEPROF_SECONDS"]
    for name in re.findall(r"--out (\S+)", command):
        (place / name).unlink(missing_ok=True)
    return place, env


def execute(command: str, folder: Path) -> tuple[int, float, float, str]:
    """Run a command in a copy of the prepared folder: exit code, seconds by the clock and of CPU, and what it printed.

    A command that needs the outcome of an earlier one (`--change 1`, a plan, a baseline) gets it from `BEFORE`.
    """
    with tempfile.TemporaryDirectory(prefix="pipeprof-docs-") as copy:
        place, env = copied(command, folder, Path(copy))
        if before := needs(command):
            subprocess.run(["bash", "-c", before], cwd=place, env=env, capture_output=True, check=False)
        # Whether jq is installed is the reader's affair: what it gets is JSON.
        line = re.sub(r"\| jq .*", "| python -m json.tool > /dev/null", command)
        line = line.replace("/data/fast", str(Path(copy, "fast")))
        for long, short in SHORTER.items():
            line = line.replace(long, short)
        started = time.monotonic()
        try:
            done = subprocess.run(
                ["bash", "-o", "pipefail", "-c", f"TIMEFORMAT='cpu %U %S'; time {{ {line}; }}"],
                cwd=place,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=LONGEST,
                check=False,
            )
        except subprocess.TimeoutExpired as late:
            return 124, time.monotonic() - started, math.inf, str(late.output or "")
        printed, _, used = done.stdout.rpartition("cpu ")
        return done.returncode, time.monotonic() - started, sum(map(float, used.split())), printed


def read() -> dict[str, Run | None]:
    """The runs that are kept; None for a command that was never run."""
    return json.loads(RUNS.read_text(encoding="utf-8")) if RUNS.exists() else {}


def main() -> int:
    """Run what was not run at this commit, or what matches ``--only``, and keep each result."""
    parser = argparse.ArgumentParser(description="Run the commands of the documentation.")
    parser.add_argument("--only", default="", metavar="TEXT", help="only commands that contain this")
    parser.add_argument("--missing", action="store_true", help="only commands that were never run")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="how many run at a time")
    given = parser.parse_args()
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    shown = commands()
    kept = {command: run for command, run in read().items() if command in shown and run is not None}
    wanted = [name for name in shown if given.only in name and not (given.missing and name in kept)]
    wanted.sort(key=lambda name: name.split()[1] in MEASURING)
    failed = 0
    with tempfile.TemporaryDirectory(prefix="pipeprof-docs-") as scratch, ThreadPoolExecutor(given.jobs) as threads:
        folder = Path(scratch, "prepared")
        prepare(folder)
        for command, (code, seconds, cpu, printed) in zip(
            wanted, threads.map(functools.partial(execute, folder=folder), wanted), strict=True
        ):
            print(f"{code:>3} {seconds:6.1f} s  {command}", flush=True)
            if code not in EXPECTED:
                failed += 1
                print(printed[-1500:], flush=True)
            now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
            kept[command] = Run(
                code=code, seconds=round(seconds, 1), cpu=round(cpu, 1), commit=commit.strip()[:12], date=now
            )
            rows = (f" {json.dumps(name)}: {json.dumps(kept.get(name))}" for name in shown)
            RUNS.write_text("{\n" + ",\n".join(rows) + "\n}\n", encoding="utf-8")
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main())
