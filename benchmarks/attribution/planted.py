"""A case of planted costs: its pipeline profiled, the profile held against the truth that the pipeline wrote."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from run import Json, claimed, is_disturbed, pipeprof, until_undisturbed

HERE = Path(__file__).resolve().parent
PATIENCE = 110


@dataclass(frozen=True)
class Plan:
    """How all cases of ``KIND_pipelines.py`` are measured and judged; ``kept`` are sections of the raw profile."""

    kind: str
    seconds: float
    judge: Callable[[Any, Json], tuple[Json, dict[str, bool]]]
    sentence: Callable[[Json], str]
    kept: tuple[str, ...]

    def run(self, name: str) -> Json:
        """Figures, claims and raw values of one case; prints a line for each try.

        A report that says it was disturbed claims no shares. Such a case is measured again where it does not hold.
        """
        return until_undisturbed(lambda: self._once(name))

    def _once(self, name: str) -> tuple[Json, Json]:
        truth, profile = measure(self.kind, name, self.seconds)
        figures, claims = self.judge(truth, profile)
        raw = {"truth": truth, **{section: profile[section] for section in self.kept}}
        return figures | claimed(name, self.sentence(figures), claims, disturbed=is_disturbed(profile)), raw


def measure(kind: str, name: str, seconds: float) -> tuple[Any, Json]:
    """Profile a pipeline without a step; return the truth and the profile."""
    with tempfile.TemporaryDirectory() as folder:
        truth = Path(folder, "truth.json")
        options = f"--step none --seconds {seconds} --no-verify --json --quiet"
        words = ["run", f"{HERE / f'{kind}_pipelines.py'}:planted", *options.split()]
        given = {"BENCHMARK_CASE": name, "BENCHMARK_TRUTH": str(truth)}
        done = pipeprof(*words, folder=folder, patience=PATIENCE, **given)
        done.check_returncode()
        return json.loads(truth.read_text(encoding="utf-8")), json.loads(done.stdout)
