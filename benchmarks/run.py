"""Runs the benchmarks and keeps their results: ``python benchmarks/run.py [NAME …]`` (``make verify``).

A benchmark is a folder with a ``bench.py``; see benchmarks/README.md for what it is given and what it writes. Each
result goes to benchmarks/results/NAME.json with the commit, the host's load and the raw figures. Ends with 1 if a
claim did not hold or a benchmark did not finish, and with 3 if of some claims this machine could not tell.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
CANNOT_TELL = 3
"""Exit code of a benchmark that found the machine noisier than the margin of its claim."""
ENDED = frozenset({0, 1, CANNOT_TELL})
"""Exit codes of a benchmark that came to its end."""


def git(*arguments: str) -> str:
    """The output of a git command in this checkout."""
    done = subprocess.run(["git", *arguments], cwd=HERE, check=True, capture_output=True, text=True)
    return done.stdout.strip()


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


def outcome(written: dict[str, Any], code: int) -> str:
    """Whether the claim holds, does not, or this machine cannot tell."""
    if code == CANNOT_TELL and written.get("outcome") == "cannot tell":
        return "cannot tell"
    return "holds" if written["holds"] and code == 0 else "does not hold"


def measure(name: str) -> dict[str, Any]:
    """Run one benchmark and return its result with where and when it was measured."""
    before, started, begun = load(), datetime.datetime.now(datetime.timezone.utc), time.monotonic()
    # What results/ holds is written by this very run, and says nothing about the code that is measured.
    changed = bool(git("status", "--porcelain", "--", ":/", ":(exclude,top)benchmarks/results"))
    # Of a run that was killed it stays, and a benchmark that can goes on from there.
    out = RESULTS / f"{name}.partial.json"
    done = subprocess.run([sys.executable, HERE / name / "bench.py", "--out", out], check=False)
    # Results are committed: paths in them begin at the repository's root.
    text = out.read_text(encoding="utf-8").replace(f"{HERE.parent}{os.sep}", "") if out.exists() else ""
    written = json.loads(text) if text else {"holds": False}
    if done.returncode in ENDED:
        out.unlink(missing_ok=True)
    return {
        "name": name,
        "holds": written["holds"] and done.returncode == 0,
        "outcome": outcome(written, done.returncode),
        "exit_code": done.returncode,
        "commit": git("rev-parse", "HEAD"),
        "uncommitted_changes": changed,
        "started": started.isoformat(timespec="seconds"),
        "seconds": round(time.monotonic() - begun, 1),
        "host": {
            "system": platform.platform(),
            "cpu": cpu_model(),
            "cores": os.cpu_count(),
            "load_before": before,
            "load_after": load(),
        },
        "versions": {"python": platform.python_version()}
        | {package: version(package) for package in ("pipeprof", "tensorflow", "numpy", "typer")},
        **{key: written[key] for key in ("claim", "figures", "raw") if key in written},
    }


def main() -> int:
    """Run the named benchmarks, or all of them."""
    known = sorted(path.parent.name for path in HERE.glob("*/bench.py"))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"default: all of them ({', '.join(known)})")
    names = parser.parse_args().names or known
    unknown = sorted(set(names) - set(known))
    if unknown:
        parser.error(f"no benchmark called {', '.join(unknown)}; there are {', '.join(known)}")
    outcomes: dict[str, list[str]] = {"holds": [], "does not hold": [], "cannot tell": []}
    began = time.monotonic()
    for name in names:
        print(f"{name}:", flush=True)
        result = measure(name)
        path = RESULTS / f"{name}.json"
        path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        said = result["outcome"] if result["holds"] else result["outcome"].upper()
        print(f"  {said} ({result['seconds']} s, {path.name})", flush=True)
        outcomes[result["outcome"]].append(name)
    others = "".join(f"; {what}: {', '.join(outcomes[what])}" for what in list(outcomes)[1:] if outcomes[what])
    print(f"{len(outcomes['holds'])} of {len(names)} hold{others} ({(time.monotonic() - began) / 60:.0f} minutes)")
    if outcomes["does not hold"]:
        return 1
    return CANNOT_TELL if outcomes["cannot tell"] else 0


if __name__ == "__main__":
    sys.exit(main())
