"""A case of planted costs: its pipeline profiled, the profile held against the truth that the pipeline wrote."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PIPEPROF = (sys.executable, "-c", "from pipeprof.cli.main import main; main()")
PATIENCE = 110

Json = dict[str, Any]
Judge = Callable[[Any, Json], tuple[Json, dict[str, bool]]]
"""Makes figures and claims of the truth and the profile."""


def measure(kind: str, name: str, seconds: float) -> tuple[Any, Json]:
    """Profile the pipeline `name` of ``KIND_pipelines.py`` without a step; return the truth and the profile."""
    with tempfile.TemporaryDirectory() as folder:
        truth = Path(folder, "truth.json")
        options = f"--step none --seconds {seconds} --json --quiet"
        done = subprocess.run(
            [*PIPEPROF, "run", f"{HERE / f'{kind}_pipelines.py'}:planted", *options.split()],
            env=os.environ | {"PIPEPROF_BENCHMARK": name, "PIPEPROF_BENCHMARK_TRUTH": str(truth)},
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        if done.returncode:
            raise SystemExit(done.stdout[-2000:] + done.stderr[-2000:])
        return json.loads(truth.read_text(encoding="utf-8")), json.loads(done.stdout)


def run(kind: str, name: str, seconds: float, judge: Judge, sentence: Callable[[Json], str], kept: Sequence[str]) -> Json:
    """Figures, claims and raw values of one case; prints a line.

    Args:
        kind: Of the pipelines.
        name: Of the pipeline.
        seconds: To measure.
        judge: What is held against the profile.
        sentence: The figures in words.
        kept: Sections of the profile among the raw values.
    """
    truth, profile = measure(kind, name, seconds)
    figures, claims = judge(truth, profile)
    broken = [claim for claim, holds in claims.items() if not holds]
    print(f"{name}: {sentence(figures)}; {'DOES NOT HOLD: ' + ', '.join(broken) if broken else 'holds'}", flush=True)
    raw = {"truth": truth, **{section: profile[section] for section in kept}}
    return {"figures": figures | {"claims": claims, "holds": not broken}, "raw": raw}
