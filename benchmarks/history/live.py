"""Two repositories whose commits are measured: a spec and a function, each with a planted commit."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from recorded import git, state
from suite import BROKEN, HOLDS

SPEC = """# {remark}
version: 1
name: live
source: {{range: {{stop: 1000000000}}}}
stages:
  - map: {{name: work, ops: [{{tf.one_hot: {{depth: {depth}}}}}, tf.math.cumsum, tf.sort]}}
  - batch: {{batch_size: 4}}
  - prefetch: {{buffer_size: {buffer}}}
"""
FUNCTION = '''"""{remark}"""

import tensorflow as tf

SIDE = {side}


def work(number):
    matrix = tf.random.stateless_uniform([SIDE, SIDE], tf.stack([number, 1]))
    return tf.reduce_sum(tf.sort(matrix))


def make():
    return tf.data.Dataset.range(1 << 40).map(work).batch({batch})
'''


PLANTED = 4


def _spec(number: int) -> str:
    # The planted commit takes more work; of the others, some change a remark alone, and some the size of the buffer.
    return SPEC.format(
        remark=f"commit {number}", depth=115_000 if number >= PLANTED else 100_000, buffer=2 + number // 3
    )


def _function(number: int) -> str:
    return FUNCTION.format(remark=f"commit {number}", side=320 if number >= PLANTED else 280, batch=8)


KINDS: dict[str, tuple[str, Callable[[int], str], int, int]] = {
    "live: more work in a spec": ("spec.yaml", _spec, 8, PLANTED),
    "live: more work in a function": ("train.py", _function, 7, PLANTED),
}
"""The file, what it says at each commit, how many commits there are, and the planted one."""


def make(name: str, folder: Path) -> list[str]:
    """Write a repository; return the hashes of its commits, oldest first."""
    file, text, commits, _ = KINDS[name]
    git(folder, "init", "-q")
    hashes = []
    for number in range(commits + 1):
        (folder / file).write_text(text(number))
        git(folder, "add", "-A")
        git(folder, "commit", "-q", "-m", f"commit {number}")
        hashes.append(git(folder, "rev-parse", "HEAD"))
    return hashes


def measure(name: str, more: Sequence[str] = ()) -> dict[str, Any]:
    """Search one repository."""
    file, _, _, planted = KINDS[name]
    with tempfile.TemporaryDirectory() as place:
        folder, out = Path(place) / "repository", Path(place) / "result.json"
        folder.mkdir()
        hashes = make(name, folder)
        before = state(folder)
        target = f"{file}:make" if file.endswith(".py") else file
        words = ["gate", target, "--bisect", f"{hashes[0]}..", "--quiet", "--out", str(out), *more]
        began = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-m", "pipeprof", *words], cwd=folder, capture_output=True, text=True, check=False
        )
        seconds = time.monotonic() - began
        document = json.loads(out.read_text())
        after = state(folder)
    search = document["bisect"]
    found = search["found"] == hashes[planted]
    figures = {
        "found": int(found),
        "seconds": round(seconds, 1),
        "change": search["change"],
        "looked": len(search["steps"]),
        "unchanged": sum(step["how"] == "unchanged" for step in search["steps"]),
    }
    holds = found and after == before and done.returncode == 3
    raw = {
        "touched": [] if after == before else [before, after],
        "report": done.stdout,
        "stage": search["stage"],
        "steps": search["steps"],
        "code": done.returncode,
    }
    return {"outcome": HOLDS if holds else BROKEN, "figures": figures, "raw": raw}
