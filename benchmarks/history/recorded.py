"""Repositories whose commits take what was recorded, times a factor: what ``gate --bisect`` finds in them.

The processes are those that benchmarks/gate has recorded of four pipelines; nothing is measured. All else is as for
users: git, the trees of the commits, the specs in them, the search, the report.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any
from unittest import mock

BANK = Path(__file__).resolve().parents[1] / "gate" / "truth" / "intel-r-xeon-r-processor-2.json"
PIPELINES = ("jpeg_folder", "tfrecord_shards", "text_padded", "csv_lines")
_USER = ("-c", "user.name=t", "-c", "user.email=t@localhost", "-c", "init.defaultBranch=main", "-c", "gc.auto=0")
_NOISE = ("a remark", "README", "another file", "budget")


@dataclass(frozen=True)
class Repository:
    """A history with a planted commit.

    Attributes:
        pipeline: Whose processes are drawn.
        commits: After the first one.
        planted: Place of the commit that makes it worse, from 1.
        slower: What it multiplies the step interval by.
        larger: What it multiplies the peak memory by.
        broken: Places of commits whose spec is wrong.
        changing: Places of commits that change the pipeline and not its pace; the others do not change it.
        merged: Whether the planted commit is the merge of a branch.
    """

    pipeline: str
    commits: int
    planted: int
    slower: float = 1.0
    larger: float = 1.0
    broken: Sequence[int] = ()
    changing: Sequence[int] = ()
    merged: bool = False


TEN = {
    "jpegs 15 % slower, commit 7 of 12": Repository("jpeg_folder", 12, 7, 1.15, changing=(2, 4, 9, 11)),
    "jpegs 1.5 times slower, the last commit": Repository("jpeg_folder", 9, 9, 1.5, changing=(1, 2, 3, 4, 5, 6, 7, 8)),
    "records 8 % slower, the first commit": Repository("tfrecord_shards", 10, 1, 1.08, changing=(3, 5, 8)),
    "records 10 % slower behind a broken commit": Repository(
        "tfrecord_shards", 16, 10, 1.1, broken=(8,), changing=(4, 12)
    ),
    "texts 10 % slower among 40 commits": Repository("text_padded", 40, 23, 1.1, changing=(5, 11, 17, 29, 35)),
    "texts with 20 % more memory": Repository("text_padded", 8, 3, larger=1.2, changing=(1, 5, 6)),
    "texts 12 % slower by a merge": Repository("text_padded", 11, 6, 1.12, changing=(2, 9), merged=True),
    "lines of CSV 10 % slower among 60 commits": Repository("csv_lines", 60, 41, 1.1, changing=(10, 20, 30, 50)),
    "lines of CSV 20 % slower, two commits": Repository("csv_lines", 2, 2, 1.2, changing=(1,)),
    "lines of CSV 3 times slower, nothing else changes": Repository("csv_lines", 30, 15, 3.0),
}


def spec_of(calls: int, batch: int, remark: str = "", budget: float = 5.0) -> str:
    """The spec of a commit: `calls` changes its graph, the rest what is written around it."""
    return f"""# {remark}
version: 1
name: recorded
source: {{range: {{stop: 1000}}}}
stages:
  - map: {{name: decode, ops: [{{tf.multiply: {{y: {calls}}}}}]}}
  - batch: {{batch_size: {batch}}}
budgets: {{first_batch_s: {{change: {budget:g}%, level: warn}}}}
"""


def git(folder: Path, *arguments: str) -> str:
    """Call git as a user would."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    done = subprocess.run(["git", *_USER, *arguments], cwd=folder, check=True, capture_output=True, text=True, env=kept)
    return done.stdout.strip()


def make(repository: Repository, folder: Path) -> list[str]:
    """Write a repository; return the hashes of its commits of the first parent, oldest first."""
    git(folder, "init", "-q")
    calls, spec = 1, spec_of(1, 8)
    hashes = []
    for number in range(repository.commits + 1):
        text = f"step {number}"
        if number in (repository.planted, *repository.changing):
            calls += 1
            text = f"change the map, {number}"
        spec = spec_of(calls, 8, _NOISE[number % len(_NOISE)] + str(number), 5 + number % 3)
        if number in repository.broken:
            spec = spec.replace("batch_size", "batch_sizes")
        branch = repository.merged and number == repository.planted
        if branch:
            git(folder, "checkout", "-q", "-b", "topic")
        (folder / "spec.yaml").write_text(spec)
        (folder / "README.md").write_text(f"{number}\n")
        git(folder, "add", "-A")
        git(folder, "commit", "-q", "-m", text)
        if branch:
            git(folder, "checkout", "-q", "main")
            git(folder, "merge", "-q", "--no-ff", "-m", "Merge the topic", "topic")
        hashes.append(git(folder, "rev-parse", "HEAD"))
    return hashes


@contextmanager
def recorded_sessions(repository: Repository, hashes: Sequence[str], seed: int) -> Iterator[list[tuple[str, str]]]:
    """Let sessions draw their pairs from what was recorded; gives the commits of each session."""
    from pipeprof.profiles.document.subject import Host
    from pipeprof.profiles.judge.verdicts.result import PairValues, Result

    bank = json.loads(BANK.read_text())[repository.pipeline]["bank"]
    chance = Random(seed)  # noqa: S311 - a simulation, not a secret
    seen: list[tuple[str, str]] = []

    def measure(_sides: object, result: Result, plan: Any, _progress: object, save: Any) -> None:
        host = Host(system="Linux", machine="x86_64", cores=2.0)
        result.a.host = result.b.host = host
        seen.append((result.a.ref or "", result.b.ref or ""))
        factors = [_factors(repository, hashes.index(side.ref or "")) for side in (result.a, result.b)]
        drawn = chance.sample(bank, len(bank))
        while not result.pairs or not plan.enough(result):
            one = drawn[len(result.pairs) % len(drawn)]
            # Any of the three processes may be B.
            names = chance.sample(["a", "b", "again"], 3)
            a, b, again = (_values(one[name], factors[of]) for name, of in zip(names, (0, 1, 0), strict=True))
            result.pairs.append(PairValues(order=[], a=a, b=b, again=again))
            result.metrics = plan.rows(result.pairs)
        result.changes = _changes(repository, hashes, result)
        save()

    with mock.patch("pipeprof.cli.comparing.bisect.measure", measure):
        yield seen


def _factors(repository: Repository, place: int) -> tuple[float, float]:
    return (repository.slower, repository.larger) if place >= repository.planted else (1.0, 1.0)


def _values(process: Mapping[str, float], factors: tuple[float, float]) -> dict[str, float]:
    return {"step_ms": process["step_ms"] * factors[0], "peak_bytes": process["peak_bytes"] * factors[1]}


def _changes(repository: Repository, hashes: Sequence[str], result: Any) -> list[str]:
    del repository
    places = [hashes.index(side.ref or "") for side in (result.a, result.b)]
    return [f"stages.decode.ops: commit {places[0]} → {places[1]}"]


def search(repository: Repository, folder: Path, seed: int = 0) -> dict[str, Any]:
    """Search a repository, and say what was found and what it took."""
    from pipeprof.cli.main import invoke

    hashes = make(repository, folder)
    before = state(folder)
    here = Path.cwd()
    os.chdir(folder)
    try:
        with recorded_sessions(repository, hashes, seed) as seen:
            out = folder.parent / f"{folder.name}.json"
            words = ["gate", "spec.yaml", "--bisect", f"{hashes[0]}..", "--quiet", "--no-lock", "--out", str(out)]
            code = invoke([*words, "--format", "json"])
    finally:
        os.chdir(here)
    found = json.loads(out.read_text())["bisect"]
    return {
        "code": code,
        "found": found["found"] == hashes[repository.planted],
        "stage": found["stage"],
        "sessions": len(seen),
        "looked": len(found["steps"]),
        "unchanged": sum(step["how"] == "unchanged" for step in found["steps"]),
        "untouched": state(folder) == before,
    }


def state(folder: Path) -> str:
    """What a checkout is like: its branch, its commit, its files, its refs and its work trees.

    Not the folder in which pipeprof keeps what each gate of a search has measured: it ignores itself.
    """
    told = [("status", "--porcelain", "--ignored"), ("rev-parse", "HEAD"), ("for-each-ref",), ("worktree", "list")]
    lines = "\n".join(git(folder, *words) for words in told).splitlines()
    return "\n".join(line for line in lines if line and line != "!! pipeprof-out/")
