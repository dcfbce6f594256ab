"""A case of planted costs: its pipeline profiled, the profile held against the truth that the pipeline wrote."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from run import is_disturbed, until_undisturbed

HERE = Path(__file__).resolve().parent
PIPEPROF = (sys.executable, "-c", "from pipeprof.cli.main import main; main()")
PATIENCE = 110

Json = dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """How all cases of a kind are measured and judged.

    Attributes:
        kind: Of the pipelines: they are in ``KIND_pipelines.py``.
        seconds: To measure.
        judge: Makes figures and claims of the truth and the profile.
        sentence: The figures in words.
        kept: Sections of the profile among the raw values.
    """

    kind: str
    seconds: float
    judge: Callable[[Any, Json], tuple[Json, dict[str, bool]]]
    sentence: Callable[[Json], str]
    kept: tuple[str, ...]

    def run(self, name: str) -> Json:
        """Figures, claims and raw values of one case; prints a line for each try.

        A report that says it was disturbed claims no shares. Such a case is measured again where it does not hold.
        """
        figures, raw = until_undisturbed(lambda: self._once(name))
        return {"figures": figures, "raw": raw}

    def _once(self, name: str) -> tuple[Json, Json]:
        truth, profile = measure(self.kind, name, self.seconds)
        figures, claims = self.judge(truth, profile)
        broken = [claim for claim, holds in claims.items() if not holds]
        disturbed = is_disturbed(profile)
        print(f"{name}: {self.sentence(figures)}; {', '.join(broken) or 'holds'}", flush=True)
        raw = {"truth": truth, **{section: profile[section] for section in self.kept}}
        return figures | {"claims": claims, "holds": not broken, "disturbed": disturbed}, raw


def measure(kind: str, name: str, seconds: float) -> tuple[Any, Json]:
    """Profile a pipeline without a step; return the truth and the profile."""
    with tempfile.TemporaryDirectory() as folder:
        truth = Path(folder, "truth.json")
        options = f"--step none --seconds {seconds} --no-verify --json --quiet"
        done = subprocess.run(
            [*PIPEPROF, "run", f"{HERE / f'{kind}_pipelines.py'}:planted", *options.split()],
            env=os.environ | {"BENCHMARK_CASE": name, "BENCHMARK_TRUTH": str(truth)},
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        if done.returncode:
            raise SystemExit(done.stdout[-2000:] + done.stderr[-2000:])
        return json.loads(truth.read_text(encoding="utf-8")), json.loads(done.stdout)
