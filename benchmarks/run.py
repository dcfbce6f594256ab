"""Runs the benchmarks and keeps what each case proves: ``python benchmarks/run.py [NAME …]`` (``make verify``).

A benchmark is a folder with a ``bench.py``; see benchmarks/README.md for what it is given and what it writes. A plain
run takes at most 30 minutes: the cases of rooms that changed since they were measured, as many as fit, then the share
of all cases whose proof is oldest. ``--all`` measures everything that is not proven for the present code, stored truth
included, and goes on where it was ended. Names select benchmarks, all cases of them or those of ``--case``, without a
limit of time.

Each case goes to benchmarks/results/NAME.json as soon as it was measured, with its commit, date, machine and the rooms
that it covers. Ends with 1 if a case that was measured does not hold, and with 3 if all others hold and of some this
machine cannot tell.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from copies import agreement
from planner import STALE_LINES, Work, by_age, choose, is_measured, is_proven, is_stale, unfinished
from rooms import ROOT, changed_since, covered, files_of, git, has_uncommitted

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
PROOF = HERE / "proof.json"
LIMIT_SECONDS = 1800.0
"""Of a plain run, from its start to its end."""
LAST_SECONDS = 60.0
"""Of them, for what comes after the cases: what they say together, and the documentation."""
SPARE = 1.1
"""A case is planned with so many times what it took last."""

Json = dict[str, Any]


def cpu_model() -> str | None:
    """The processor's name where Linux tells it."""
    info = Path("/proc/cpuinfo")
    if not info.exists():
        return None
    names = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
    return names[0] if names else None


def load() -> list[float]:
    """The load averages over 1, 5 and 15 minutes."""
    return [round(value, 2) for value in os.getloadavg()]


def machine() -> Json:
    """Where this is measured: system, processor, cores and versions."""
    packages = {package: version(package) for package in ("pipeprof", "tensorflow", "numpy", "typer")}
    return {
        "system": platform.platform(),
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "versions": {"python": platform.python_version(), **packages},
    }


def now() -> str:
    """The time, as ISO date and time."""
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")


def listed(name: str) -> Json:
    """What a benchmark says of itself."""
    done = subprocess.run([sys.executable, HERE / name / "bench.py", "--list"], check=True, stdout=subprocess.PIPE)
    found: Json = json.loads(done.stdout)
    return found


def result_of(name: str) -> Json:
    """What is kept of a benchmark."""
    path = RESULTS / f"{name}.json"
    found: Json = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"name": name, "cases": {}}
    return found


def works_of(name: str, described: Json, result: Json) -> list[Work]:
    """The cases of a benchmark with what is known of their proof."""
    found = []
    for case, covers in described["cases"].items():
        kept = result["cases"].get(case) or {}
        if kept.get("outcome") is None:
            found.append(Work(name, case, described["seconds"], kept.get("measured") or ""))
            continue
        rooms = sorted({*kept["covers"], *covered(covers["roots"], covers["without"])})
        files, truth = files_of(name, rooms), kept.get("truth")
        clean = kept["commit"] is not None and not kept["uncommitted_changes"]
        found.append(
            Work(
                name,
                case,
                kept["seconds"] or described["seconds"],
                max(kept["measured"] or "", kept.get("tried") or ""),
                changed_since(kept["commit"], files) if clean else None,
                kept["outcome"],
                0 if truth is None else changed_since(truth["commit"] or "", files),
            )
        )
    return found


class Run:
    """One run over cases: measures, keeps what was measured, and sums up.

    Args:
        described: What each benchmark says of itself.
        truth: Whether stored truth is measured again.
        until: Of the monotonic clock: when the last case has to have ended; None where there is no limit.
    """

    def __init__(self, described: Mapping[str, Json], *, truth: bool, until: float | None) -> None:
        self._described, self._truth, self._until = described, truth, until
        self.outcomes: dict[str, list[str]] = {"holds": [], "does not hold": [], "cannot tell": []}
        self.left: list[Work] = []

    def take(self, works: Sequence[Work], folder: Path) -> None:
        """Measure cases in order; those that no longer fit into the time are left."""
        for number, work in enumerate(works, 1):
            seconds = self._until - time.monotonic() if self._until is not None else None
            if seconds is not None and work.seconds * SPARE > seconds:
                self.left.append(work)
                continue
            print(f"[{number}/{len(works)}] {work.benchmark}: {work.case}", flush=True)
            kept = self._measured(work, folder, seconds)
            if kept is None:
                self.left.append(work)
            elif kept["outcome"] is not None:
                self.outcomes[kept["outcome"]].append(f"{work.benchmark} {work.case}")
                said = kept["outcome"] if kept["outcome"] == "holds" else kept["outcome"].upper()
                print(f"  {said} ({kept['seconds']} s)", flush=True)

    def _measured(self, work: Work, folder: Path, seconds: float | None) -> Json | None:
        """Measure a case and keep it; None where it took too long."""
        covers = self._described[work.benchmark]["cases"][work.case]
        rooms, before, started = covered(covers["roots"], covers["without"]), load(), now()
        out = folder / "out.json"
        out.unlink(missing_ok=True)
        command = [sys.executable, HERE / work.benchmark / "bench.py", "--out", out, "--case", work.case]
        command += ["--data", folder / "data", *(["--truth"] if self._truth else [])]
        process = subprocess.Popen(command, start_new_session=True)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            print("  ended: the time is up", flush=True)
            return None
        finally:
            end_group(process)
        broken = {"outcome": "does not hold", "figures": {"exit_code": process.returncode}, "raw": {}, "seconds": 0.0}
        written = json.loads(out.read_text(encoding="utf-8"))["cases"][work.case] if out.exists() else broken
        kept = {
            "commit": git("rev-parse", "HEAD"),
            "uncommitted_changes": has_uncommitted(files_of(work.benchmark, rooms)),
            "measured": started,
            "machine": machine() | {"load_before": before, "load_after": load()},
            "covers": rooms,
            **written,
        }
        result = result_of(work.benchmark)
        earlier = result["cases"].get(work.case)
        if kept["outcome"] is None and earlier is not None and earlier["outcome"] is not None:
            kept = earlier | {"tried": started}
        result["cases"][work.case] = kept
        self.save(work.benchmark, result)
        return kept | {"outcome": written["outcome"]}

    def save(self, name: str, result: Json) -> None:
        """Write a result, with what its cases say together; cases that are no more go."""
        described = self._described[name]
        cases = {case: result["cases"][case] for case in described["cases"] if case in result["cases"]}
        with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
            # Those that could not be measured say nothing.
            json.dump({"cases": {case: kept for case, kept in cases.items() if kept["outcome"] is not None}}, file)
            file.flush()
            done = subprocess.run(
                [sys.executable, HERE / name / "bench.py", "--conclude", file.name], check=True, stdout=subprocess.PIPE
            )
        said = json.loads(done.stdout)
        rows = [row for kept in cases.values() for row in kept["raw"].get("copies", ())]
        copies = {"copies": agreement(rows)} if rows else {}
        write(RESULTS / f"{name}.json", {"name": name, "claim": described["claim"], **said, **copies, "cases": cases})


def end_group(process: subprocess.Popen[bytes]) -> None:
    """End what a benchmark may have left running, and itself."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.wait()


def write(path: Path, value: Json) -> None:
    """Write JSON, whole or not at all."""
    part = path.with_suffix(".part")
    part.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
    part.replace(path)


def proof_of(described: Mapping[str, Json]) -> Json:
    """How much of the proof counts for HEAD: changed lines of the rooms of each case since it was measured."""
    claims = {}
    for name, each in described.items():
        result = result_of(name)
        works = works_of(name, each, result)
        claims[name] = {
            "claim": each["claim"],
            "outcome": result.get("outcome", "cannot tell"),
            "cases": {
                work.case: {
                    "commit": (result["cases"].get(work.case) or {}).get("commit"),
                    "measured": (result["cases"].get(work.case) or {}).get("measured"),
                    "outcome": work.outcome,
                    "changed_lines": work.changed,
                }
                for work in works
            },
        }
    head, date = git("rev-parse", "HEAD"), git("log", "-1", "--format=%cs")
    return {"commit": head, "date": date, "stale_lines": STALE_LINES, "claims": claims}


def sum_up(proof: Json) -> list[str]:
    """What a run says of the proof of HEAD, a line for each claim that is stale."""
    works = [
        Work(name, case, 0.0, kept["measured"] or "", kept["changed_lines"], kept["outcome"])
        for name, claim in proof["claims"].items()
        for case, kept in claim["cases"].items()
    ]
    lines = [f"{sum(map(is_proven, works))} of {len(works)} cases are proven for the present code"]
    for name, claim in proof["claims"].items():
        changes = [kept["changed_lines"] for kept in claim["cases"].values()]
        if is_stale(changes):
            many = sum(is_stale([change]) for change in changes)
            lines.append(f"stale: {name}: of {many} of its {len(changes)} cases, more than {STALE_LINES} lines changed")
    return lines


def write_documents(described: Mapping[str, Json]) -> list[str]:
    """Write the proof of HEAD and the pages that are made of results; return what to say of it."""
    proof = proof_of(described)
    write(PROOF, proof)
    subprocess.run([sys.executable, ROOT / "docs" / "generate.py"], check=True, stdout=subprocess.DEVNULL)
    return sum_up(proof)


def plan(works: Sequence[Work], names: Sequence[str], *, everything: bool, seconds: float) -> tuple[list[Work], str]:
    """The cases of this run and, in words, how they were chosen."""
    if names and not everything:
        return list(works), f"{len(works)} case{'' if len(works) == 1 else 's'} of {', '.join(names)}"
    if everything:
        chosen = unfinished(works)
        return chosen, f"{len(chosen)} of {len(works)} cases that are not measured for the present code"
    known = {(work.benchmark, work.case): work for work in works}
    spaced = [replace(work, seconds=work.seconds * SPARE) for work in works]
    chosen = [known[work.benchmark, work.case] for work in choose(spaced, seconds)]
    changed = sum(work.changed != 0 for work in chosen)
    return chosen, (
        f"{len(chosen)} of {len(works)} cases: {changed} of {sum(work.changed != 0 for work in works)} of changed "
        f"rooms, {len(chosen) - changed} of share {by_age(works)[0] + 1} of 10, whose proof is oldest"
    )


def main() -> int:
    """Run the cases of the present plan, of the named benchmarks, or all of them."""
    began = time.monotonic()
    known = sorted(path.parent.name for path in HERE.glob("*/bench.py"))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"default: as the time allows ({', '.join(known)})")
    parser.add_argument(
        "--all", action="store_true", help="all that is not measured for the present code, truth as well"
    )
    parser.add_argument("--case", action="append", metavar="CASE", help="of the named benchmarks; default: all")
    parser.add_argument("--minutes", type=float, default=LIMIT_SECONDS / 60, help="of a plain run; default %(default)g")
    parser.add_argument("--plan", action="store_true", help="only say which cases would be measured")
    parser.add_argument("--docs", action="store_true", help="only write docs/proof.md and the pages made of results")
    given = parser.parse_args()
    unknown = sorted(set(given.names) - set(known))
    if unknown:
        parser.error(f"no benchmark called {', '.join(unknown)}; there are {', '.join(known)}")
    described = {name: listed(name) for name in known}
    cases = [case for name in given.names for case in described[name]["cases"]]
    if not set(given.case or ()) <= set(cases):
        parser.error(f"--case: no such case of the named benchmarks; they have {', '.join(cases) or 'none'}")
    if given.docs:
        print("\n".join(write_documents(described)))
        return 0
    works = [work for name in given.names or known for work in works_of(name, described[name], result_of(name))]
    works = [work for work in works if not given.case or work.case in given.case]
    limited = not given.names and not given.all
    until = began + 60 * given.minutes - LAST_SECONDS if limited else None
    seconds = max(0.0, until - time.monotonic()) if until is not None else 0.0
    chosen, words = plan(works, given.names, everything=given.all, seconds=seconds)
    print(f"{words}: {sum(work.seconds for work in chosen) / 60:.0f} minutes", flush=True)
    if given.plan:
        print("\n".join(f"  {work.benchmark}: {work.case} ({work.seconds:.0f} s)" for work in chosen))
        return 0
    run = Run(described, truth=given.all, until=until)
    try:
        with tempfile.TemporaryDirectory(prefix="pipeprof-verify-") as folder:
            run.take(chosen, Path(folder))
    except KeyboardInterrupt:
        print("ended early; what was measured is kept", flush=True)
    lines = write_documents(described)
    if limited:
        run.left += [work for work in works if not is_measured(work) and work not in chosen]
    others = "".join(
        f"; {what}: {', '.join(run.outcomes[what])}" for what in list(run.outcomes)[1:] if run.outcomes[what]
    )
    print(f"{len(run.outcomes['holds'])} hold{others} ({(time.monotonic() - began) / 60:.0f} minutes)")
    if run.left:
        print(
            f"left for another run: {len(run.left)} cases of changed rooms or without time ({by_benchmark(run.left)})"
        )
    print("\n".join(lines))
    if run.outcomes["does not hold"]:
        return 1
    return 3 if run.outcomes["cannot tell"] else 0


def by_benchmark(works: Sequence[Work]) -> str:
    """How many cases of each benchmark."""
    counts: dict[str, int] = {}
    for work in works:
        counts[work.benchmark] = counts.get(work.benchmark, 0) + 1
    return ", ".join(f"{name} {count}" for name, count in counts.items())


if __name__ == "__main__":
    sys.exit(main())
