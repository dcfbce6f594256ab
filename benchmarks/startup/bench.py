"""What a start of ``pipeprof`` costs: ``--help`` against a bare typer application's, ``check`` against its libraries.

Usage: ``python benchmarks/startup/bench.py --out FILE [--pairs 30]``. Both of a pair are started by the same
interpreter, turn and turn about (the order flips from pair to pair), after one unmeasured start of each. The libraries
of ``check`` are the modules of other projects that it has loaded when it ends, found by running it once; they are
imported alone, in the order in which it loads them. Reading the shorter spec once more in the same process takes at
most 50 ms of processor time. Bytecode is kept in a folder of the benchmark's own, as installing the packages keeps it.
Holds if the medians of the paired ratios are at most 2 and 2.5. `check_against_four` is recorded beside them and is not
part of the claim: the same check against ``import typer, rich, pydantic, yaml``, which leaves out what these load when
they are used. A minute.
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
from typing import Any

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
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
LOADED = """\
import json
import sys

from pipeprof.cli.main import invoke

invoke(sys.argv[1:])
ours = ("pipeprof", "__editable__")
files = {name: getattr(module, "__file__", None) or "" for name, module in sys.modules.items()}
names = [name for name, file in files.items() if "site-packages" in file and not name.startswith(ours)]
print(json.dumps(names), file=sys.stderr)
"""
IMPORTS = "import importlib\n\nfor name in {names!r}:\n    importlib.import_module(name)\n"
AGAIN = """\
import sys
import time
from pathlib import Path

from pipeprof.pipelines.spec.loader import load_spec

load_spec(Path(sys.argv[1]))
for _ in range(10):
    begun = time.process_time()
    load_spec(Path(sys.argv[1]))
    print(1000 * (time.process_time() - begun))
"""
FOUR = "import pydantic\nimport rich\nimport typer\nimport yaml\n"
LOAD_LIMIT_MS = 50.0
HELP_LIMIT = 2.0
CHECK_LIMIT = 2.5
CHECKED = {
    "check": "jpeg_folder/spec.yaml",
    "check_of_a_long_spec": "gallery/driving/fifty_features.yaml",
}
"""A spec of five stages, and one of the gallery's longest."""


def environment(folder: Path) -> dict[str, str]:
    """Ours, with bytecode kept in a folder."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return kept | {"COLUMNS": "100", "PYTHONPYCACHEPREFIX": str(folder)}


def seconds(command: list[str], env: dict[str, str]) -> float:
    """Wall time from the start of the process to its end."""
    begun = time.perf_counter()
    subprocess.run([sys.executable, *command], check=True, stdout=subprocess.DEVNULL, env=env)
    return time.perf_counter() - begun


def libraries(folder: Path, spec: str, env: dict[str, str]) -> Path:
    """A script that imports what a check loads of other projects, and does nothing else."""
    script = folder / "loaded.py"
    script.write_text(LOADED, encoding="utf-8")
    done = subprocess.run([sys.executable, script, "check", spec], check=True, capture_output=True, text=True, env=env)
    written = folder / f"libraries_{Path(spec).stem}.py"
    written.write_text(IMPORTS.format(names=json.loads(done.stderr.splitlines()[-1])), encoding="utf-8")
    return written


def compare(ours: list[str], other: list[str], pairs: int, env: dict[str, str]) -> list[dict[str, float]]:
    """Seconds of both commands, in pairs."""
    commands = {"pipeprof": ours, "other": other}
    for command in commands.values():
        seconds(command, env)
    return [
        {name: seconds(commands[name], env) for name in (list(commands) if index % 2 == 0 else list(commands)[::-1])}
        for index in range(pairs)
    ]


def summary(raw: list[dict[str, float]], limit: float) -> dict[str, Any]:
    """The figures of one comparison."""
    ratios = sorted(pair["pipeprof"] / pair["other"] for pair in raw)
    return {
        "ratio_median": round(statistics.median(ratios), 3),
        "ratio_max": round(ratios[-1], 3),
        "pipeprof_ms": round(1000 * statistics.median(pair["pipeprof"] for pair in raw), 1),
        "other_ms": round(1000 * statistics.median(pair["other"] for pair in raw), 1),
        "pairs": len(raw),
        "limit": limit,
    }


def main() -> int:
    """Measure, write and print the result; 0 if it holds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="where the result goes (JSON)")
    parser.add_argument("--pairs", type=int, default=30, help="default %(default)s")
    options = parser.parse_args()

    figures: dict[str, Any] = {}
    raw: dict[str, list[Any]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        env = environment(folder / "bytecode")
        ours, bare = folder / "ours.py", folder / "bare.py"
        ours.write_text(OURS, encoding="utf-8")
        bare.write_text(BARE, encoding="utf-8")
        raw["help"] = compare([str(ours), "--help"], [str(bare), "--help"], options.pairs, env)
        figures["help"] = summary(raw["help"], HELP_LIMIT)
        for case, path in CHECKED.items():
            spec = str(EXAMPLES / path)
            alone = libraries(folder, spec, env)
            raw[case] = compare([str(ours), "check", spec], [str(alone)], options.pairs, env)
            figures[case] = summary(raw[case], CHECK_LIMIT)
        four = folder / "four.py"
        four.write_text(FOUR, encoding="utf-8")
        spec = str(EXAMPLES / CHECKED["check"])
        raw["check_against_four"] = compare([str(ours), "check", spec], [str(four)], options.pairs, env)
        figures["check_against_four"] = summary(raw["check_against_four"], CHECK_LIMIT)

    done = subprocess.run(
        [sys.executable, "-c", AGAIN, EXAMPLES / CHECKED["check"]], check=True, capture_output=True, text=True
    )
    raw["load_again_ms"] = [float(line) for line in done.stdout.split()]
    again_ms = round(statistics.median(raw["load_again_ms"]), 2)
    claimed = [figures[case] for case in ("help", *CHECKED)]
    holds = all(one["ratio_median"] <= one["limit"] for one in claimed) and again_ms <= LOAD_LIMIT_MS
    result = {
        "claim": f"`pipeprof --help` costs at most {HELP_LIMIT:g} times a bare typer application's, and "
        f"`pipeprof check` at most {CHECK_LIMIT:g} times importing the libraries that it loads; a spec is read again "
        f"within {LOAD_LIMIT_MS:g} ms of processor time",
        "holds": holds,
        "figures": {**figures, "load_again_ms": again_ms},
        "raw": raw,
    }
    options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    for case, one in figures.items():
        print(
            f"{case}: {one['pipeprof_ms']} ms against {one['other_ms']} ms, "
            f"ratio {one['ratio_median']} (limit {one['limit']:g}, {one['pairs']} pairs)"
        )
    print(f"a spec read again: {again_ms} ms (limit {LOAD_LIMIT_MS:g})")
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
