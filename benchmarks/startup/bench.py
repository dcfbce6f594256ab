"""What ``pipeprof --help`` costs against a bare typer application's ``--help``.

Usage: ``python benchmarks/startup/bench.py --out FILE [--pairs 30]``. Both are started by the same interpreter, turn
and turn about (the order flips from pair to pair), after one unmeasured start of each. Holds if the median of the
paired ratios is at most 2. Half a minute.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LIMIT = 2.0
BARE = '''\
import typer

app = typer.Typer()


@app.command()
def greet(name: str = "you", times: int = 1) -> None:
    """Say hello."""


@app.command()
def leave() -> None:
    """Say goodbye."""


app()
'''
OURS = "from pipeprof.cli.main import main\n\nmain()\n"


def seconds(script: Path) -> float:
    """Wall time of one ``--help``, from the start of the process to its end."""
    begun = time.perf_counter()
    subprocess.run(
        [sys.executable, script, "--help"], check=True, stdout=subprocess.DEVNULL, env=os.environ | {"COLUMNS": "100"}
    )
    return time.perf_counter() - begun


def main() -> int:
    """Measure, write and print the result; 0 if it holds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="where the result goes (JSON)")
    parser.add_argument("--pairs", type=int, default=30, help="default %(default)s")
    options = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        scripts = {"pipeprof": Path(folder, "ours.py"), "bare": Path(folder, "bare.py")}
        scripts["pipeprof"].write_text(OURS, encoding="utf-8")
        scripts["bare"].write_text(BARE, encoding="utf-8")
        for script in scripts.values():
            seconds(script)
        raw = []
        for index in range(options.pairs):
            order = list(scripts) if index % 2 == 0 else list(scripts)[::-1]
            raw.append({name: seconds(scripts[name]) for name in order})

    ratios = sorted(pair["pipeprof"] / pair["bare"] for pair in raw)
    median = statistics.median(ratios)
    figures = {
        "ratio_median": round(median, 3),
        "ratio_max": round(ratios[-1], 3),
        "pipeprof_ms": round(1000 * statistics.median(pair["pipeprof"] for pair in raw), 1),
        "bare_ms": round(1000 * statistics.median(pair["bare"] for pair in raw), 1),
        "pairs": len(raw),
        "limit": LIMIT,
    }
    result = {
        "claim": f"`pipeprof --help` costs at most {LIMIT:g} times a bare typer application's",
        "holds": median <= LIMIT,
        "figures": figures,
        "raw": raw,
    }
    options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(
        f"--help: {figures['pipeprof_ms']} ms against {figures['bare_ms']} ms, "
        f"ratio {figures['ratio_median']} (limit {LIMIT:g}, {len(raw)} pairs)"
    )
    return 0 if result["holds"] else 1


if __name__ == "__main__":
    sys.exit(main())
