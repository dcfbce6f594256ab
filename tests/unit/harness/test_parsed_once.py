"""What a run's end costs: each graph is parsed once, and each view predicted once."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from unit.worker.fakes import FakeSampler, drained, facts, measured, observed, phase, phase_end

from pipeprof.pipelines.graph.stages import StageGraph
from pipeprof.pipelines.spec.load import load_spec
from pipeprof.profiles.document.profile import Profile, Target
from pipeprof.profiles.harness import harness, settings
from pipeprof.profiles.harness.settings import Silent
from pipeprof.profiles.memory import predict
from pipeprof.profiles.protocol.messages import CostSegment, Graphs, MemoryReading, MemoryReport, PipelineLook, Trace
from pipeprof.profiles.protocol.options import Options

GRAPHS = Path(__file__).parents[2] / "recorded" / "graphs"
MB = 1_000_000
SPEC = """\
version: 1
source: {range: {stop: 1000}}
stages:
  - map: {ops: [{tf.cast: {dtype: float32}}]}
  - batch: {batch_size: 4}
"""


class Sampled(FakeSampler):
    """A sampler's time line."""

    started = 100.0
    had_children = False


class Writer:
    """Takes the profile and has nothing to warn of."""

    warnings = ()

    def write(self, profile: Profile, *, final: bool) -> None:
        pass


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Calls of what must run once, by name."""
    found: Counter[str] = Counter()

    def counted(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            found[name] += 1
            return function(*arguments, **options)

        return call

    monkeypatch.setattr(StageGraph, "from_dict", counted("parsed", StageGraph.from_dict))
    monkeypatch.setattr(predict, "_predict", counted("predicted", predict._predict))
    return found


def test_a_run_parses_each_graph_once_and_predicts_once_for_each_view(tmp_path: Path, calls: Counter[str]) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text(SPEC, encoding="utf-8")
    loaded = load_spec(path)
    recorded = json.loads((GRAPHS / "map_batch.json").read_text())
    shots = recorded["snapshots"]
    readings = [
        MemoryReading(500 * MB, name, 500 * MB, file=0, live=0, live_peak=0, heap=0, heap_free=0)
        for name in ("import", "build", "iterator", "first", "released", "warmup", "measure")
    ]
    look = PipelineLook(t=101.0, rss=500 * MB, live=0, phase="measure", steps=1, epoch=0, model=shots[-1])
    seen = observed(
        *(message for name in ("import", "build") for message in (phase(name), phase_end(name, peak=500 * MB))),
        phase("measure"),
        measured(drained()),
        phase_end("measure", peak=500 * MB),
        Trace(batches=2, seconds=0.1, elements={"Iterator::Root": 2}),
        MemoryReport(readings, [look], 0, 16.0),
        Graphs(recorded["written"], recorded["executed"], [CostSegment(a, b, 10) for a, b in pairwise(shots)]),
    )
    run = harness.Run.__new__(harness.Run)
    run._options = Options(target=Target(kind="spec", text="spec.yaml"), loaded=loaded)
    run._observed = seen
    run._facts = facts(stages=settings.written_stages(loaded))
    run._writer, run._progress, run._headline = Writer(), Silent(), ""

    profile = run._finish(Sampled(peaks={"measure": 500 * MB}), None, 0)

    assert profile.memory.ledger is not None
    assert profile.findings is not None
    assert [message for message in profile.warnings if message.code == "not-judged"] == []
    assert calls["parsed"] == 2, "one as written and one as executed"
    # Of the graph as written and as measured.
    assert calls["predicted"] == 2
