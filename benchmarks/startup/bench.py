"""What a start of ``pipeprof`` costs: ``--help`` against a bare typer application's, ``check`` against imports.

Both of a pair are started by the same interpreter, turn and turn about (the order flips from pair to pair), after one
unmeasured start of each. The libraries of ``check`` are the modules of other projects that it has loaded when it ends,
found by running it once; they are imported alone, in the order in which it loads them. ``check_against_four`` compares
it with ``import typer, rich, yaml, jsonschema``, which load much of themselves only when they are used. Reading the
shorter spec once more in the same process takes at most 50 ms of processor time. Bytecode is kept in a folder of the
benchmark's own, as installing the packages keeps it. Holds if the ratios of the pairs are at most 1.3 and 2.5: pairs
are measured until their interval decides, at most 30.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[1]))

from run import Benchmark, main, result
from stopping import interval, outcome, until_decided

MOST_PAIRS, LEAST_PAIRS = 30, 6
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

from pipeprof.pipelines.spec.load import load_spec

load_spec(Path(sys.argv[1]))
for _ in range(10):
    begun = time.process_time()
    load_spec(Path(sys.argv[1]))
    print(1000 * (time.process_time() - begun))
"""
FOUR = "import typer, rich, yaml, jsonschema\n"
LOAD_LIMIT_MS = 50.0
HELP_LIMIT = 1.3
HELPS = {"help": ["--help"], "help of run": ["run", "--help"]}
CHECK_LIMIT = 2.5
AGAINST_FOUR = "check_against_four"
CHECKED = {
    "check": "jpeg_folder/spec.yaml",
    "check_of_a_long_spec": "gallery/driving/fifty_features.yaml",
    AGAINST_FOUR: "jpeg_folder/spec.yaml",
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
    done = subprocess.run(
        [sys.executable, script, "check", "--no-build", spec], check=True, capture_output=True, text=True, env=env
    )
    written = folder / f"libraries_{Path(spec).stem}.py"
    written.write_text(IMPORTS.format(names=json.loads(done.stderr.splitlines()[-1])), encoding="utf-8")
    return written


def compare(ours: list[str], other: list[str], limit: float, env: dict[str, str]) -> list[dict[str, float]]:
    """Seconds of both commands, in pairs, until it is decided whether their ratio is below the limit."""
    commands = {"pipeprof": ours, "other": other}
    for command in commands.values():
        seconds(command, env)
    pairs: list[dict[str, float]] = []

    def pair(number: int) -> float:
        order = list(commands) if number % 2 == 0 else list(commands)[::-1]
        pairs.append({name: seconds(commands[name], env) for name in order})
        return pairs[-1]["pipeprof"] / pairs[-1]["other"]

    until_decided(pair, [limit], MOST_PAIRS, LEAST_PAIRS)
    return pairs


def summary(raw: list[dict[str, float]], limit: float) -> dict[str, Any]:
    """The figures of one comparison."""
    ratios = sorted(pair["pipeprof"] / pair["other"] for pair in raw)
    return {
        "ratio": [round(one, 3) for one in interval(ratios)],
        "ratio_median": round(statistics.median(ratios), 3),
        "pipeprof_ms": round(1000 * statistics.median(pair["pipeprof"] for pair in raw), 1),
        "other_ms": round(1000 * statistics.median(pair["other"] for pair in raw), 1),
        "pairs": len(raw),
        "limit": limit,
    }


def measured(name: str, folder: Path) -> dict[str, Any]:
    """One of the comparisons, or how long it takes to read a spec again."""
    if name == LOAD_AGAIN:
        done = subprocess.run(
            [sys.executable, "-c", AGAIN, EXAMPLES / CHECKED["check"]], check=True, capture_output=True, text=True
        )
        taken = [float(row) for row in done.stdout.split()]
        again_ms = round(statistics.median(taken), 2)
        print(f"a spec read again: {again_ms} ms (limit {LOAD_LIMIT_MS:g})")
        figures = {"load_again_ms": again_ms, "limit": LOAD_LIMIT_MS}
        return result(again_ms <= LOAD_LIMIT_MS, figures, {"load_again_ms": taken})
    with tempfile.TemporaryDirectory(dir=folder) as own:
        place = Path(own)
        env = environment(place / "bytecode")
        ours, bare = place / "ours.py", place / "bare.py"
        ours.write_text(OURS, encoding="utf-8")
        bare.write_text(BARE, encoding="utf-8")
        limit = HELP_LIMIT if name in HELPS else CHECK_LIMIT
        if name in HELPS:
            raw = compare([str(ours), *HELPS[name]], [str(bare), "--help"], limit, env)
        else:
            spec = str(EXAMPLES / CHECKED[name])
            other = ["-c", FOUR] if name == AGAINST_FOUR else [str(libraries(place, spec, env))]
            raw = compare([str(ours), "check", "--no-build", spec], other, limit, env)
    one = summary(raw, limit)
    said = outcome([pair["pipeprof"] / pair["other"] for pair in raw], limit, at_least=False)
    print(
        f"{name}: {one['pipeprof_ms']} ms against {one['other_ms']} ms, "
        f"ratio {one['ratio_median']} (limit {one['limit']:g}, {one['pairs']} pairs); {said}"
    )
    return {"outcome": said, "figures": one, "raw": {"pairs": raw}}


LOAD_AGAIN = "load again"
BENCHMARK = Benchmark(
    claim=f"`pipeprof --help` and `pipeprof run --help` cost at most {HELP_LIMIT:g} times a bare typer application's, "
    f"and `pipeprof check --no-build` at most {CHECK_LIMIT:g} times importing the libraries that it loads, or than "
    f"importing typer, rich, yaml and jsonschema; a spec is read again within {LOAD_LIMIT_MS:g} ms of processor time",
    cases=(*HELPS, *CHECKED, LOAD_AGAIN),
    measure=measured,
)

if __name__ == "__main__":
    sys.exit(main(BENCHMARK))
