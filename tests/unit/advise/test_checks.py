"""What holds for every finding and idea: its name and texts, that nothing makes it raise, and what names became of."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from unit.looked import graph_of
from unit.view.recorded import NAMES as RECORDED
from unit.view.recorded import recorded_view
from unit.view.views import measured, pipeline, stage

from pipeprof.pipelines.changes.edits import to_document
from pipeprof.pipelines.meaning.constants import AUTOTUNE
from pipeprof.pipelines.spec.load import load_spec
from pipeprof.pipelines.spec.spec import Ignore
from pipeprof.pipelines.target.target import ParsedTarget
from pipeprof.profiles.advise.advise import static_advice
from pipeprof.profiles.advise.apply import CHECKS, FINDINGS, findings_in, ideas_for
from pipeprof.profiles.advise.check import GONE, NEW_NAMES, sections, warn_of_unknown
from pipeprof.profiles.advise.ideas import IDEAS, POOL
from pipeprof.profiles.advise.proposal import Proposal
from pipeprof.profiles.document.memory import Memory
from pipeprof.profiles.document.profile import Host, Profile, Target, Tool
from pipeprof.profiles.document.shared import Contention, Quantiles, Steps
from pipeprof.profiles.document.stages import Headspace, Stage
from pipeprof.profiles.harness.settings import written_stages
from pipeprof.profiles.protocol.messages import Sketch
from pipeprof.profiles.view.view import ComponentView, FunctionView, MeasuredFacts, PipelineView, StageView


def is_sound(proposal: Proposal, view: PipelineView) -> None:
    """What every reader of a finding relies on."""
    assert proposal.stage is None or proposal.stage in view.by_id
    assert proposal.sentence.strip().endswith(".")
    for name, value in proposal.evidence.items():
        assert re.fullmatch(r"[a-z][a-z0-9_]*", name), name
        assert isinstance(value, int | float | str | bool), name
        assert not isinstance(value, float) or math.isfinite(value), name
    for edit in proposal.edits:
        assert to_document(edit)["kind"]
    if proposal.predicted is not None:
        assert proposal.predicted.formula.strip()
        assert proposal.predicted.speedup is None or 0 < proposal.predicted.speedup < math.inf


def test_each_has_a_section_and_each_section_one() -> None:
    assert sorted(sections()) == sorted(CHECKS) == list(CHECKS)
    assert len({section.title for section in sections().values()}) == len(CHECKS) == len(FINDINGS) + len(IDEAS)


@pytest.mark.parametrize("name", CHECKS)
def test_a_section_is_whole_and_short(name: str) -> None:
    section = sections()[name]
    assert not section.title.endswith(".")
    for text in (section.why, section.fix, section.ignore_when):
        assert text.endswith((".", ":"))
        assert "#" not in text.replace("```", "")
    assert len(section.why) + len(section.fix) + len(section.ignore_when) <= 1100


def test_names_of_earlier_rules_lead_to_what_there_is() -> None:
    assert set(NEW_NAMES.values()) <= set(CHECKS)
    assert not set(CHECKS) & (set(NEW_NAMES) | set(GONE))


def test_an_old_or_unknown_name_in_ignore_is_a_warning() -> None:
    for name, text in (
        *(("serial-map-cpu", "is parallel-calls now"), ("wide-batches", "is gone: ")),
        *(("whole-batch", "did you mean whole-batches?"), ("zzz", "`pipeprof rules` lists them")),
    ):
        (message,) = warn_of_unknown([Ignore(rule=name, reason="x"), Ignore(rule="cache", reason="x")], CHECKS)
        assert (message.code, text in message.message) == ("unknown-rule", True)


def _bare(view: PipelineView) -> PipelineView:
    """All that may be unknown is unknown."""
    stages = tuple(
        StageView(id=one.id, op=one.op, inputs=one.inputs, depth=one.depth, owner=one.owner) for one in view.stages
    )
    return replace(view, stages=stages, options={}, profile=None, facts=None, memory_limit_bytes=None)


@pytest.mark.parametrize("kind", ["static", "measured"])
def test_what_is_not_known_keeps_checks_silent(kind: str) -> None:
    built = pipeline(
        stage("source", "from_tensor_slices"), *(stage(f"stages.{index}", op) for index, op in enumerate(OPS))
    )
    for view in (replace(_bare(built), kind=kind), replace(pipeline(), kind=kind), measured(pipeline())):
        assert [proposal for check in CHECKS.values() for proposal in check(view)] == []


@pytest.mark.parametrize("name", RECORDED)
def test_no_check_raises_on_what_was_recorded(name: str) -> None:
    for view in (
        recorded_view(name),
        recorded_view(name, dispatch="sync", wait_share=0.5, facts=MeasuredFacts(worker_cores=0.1)),
        recorded_view(name, headspace=None, peak_bytes=None, facts=MeasuredFacts()),
        _bare(recorded_view(name)),
    ):
        for found, messages in (findings_in(view), ideas_for(view)):
            assert messages == []
            for proposal in found:
                is_sound(proposal, view)


HEALTHY = ("cache_before_random", "cache_encoded", "generator_chunks", "small_slices", "uniform_padding")


@pytest.mark.parametrize("name", HEALTHY)
def test_nothing_is_wrong_with_a_recorded_pipeline_that_is_healthy(name: str) -> None:
    assert findings_in(recorded_view(name)) == ([], [])


def test_a_chain_may_be_longer_than_python_may_call_in_turn(tmp_path: Path) -> None:
    batches = "  - batch: {batch_size: 1}\n" * 200 + "  - unbatch: {}\n" * 200
    path = tmp_path / "spec.yaml"
    path.write_text(f"version: 1\nsource: {{range: {{stop: 1000}}}}\nstages:\n{batches * 3}")
    loaded = load_spec(path)
    stages = list(written_stages(loaded).values())
    advice = static_advice(ParsedTarget("spec", path), loaded, stages, Sketch(graph_of(loaded)), cores=2)
    assert (advice.findings is not None, advice.memory is not None) == (True, True)


SHARES = st.none() | st.floats(0, 1)
TIMES = st.none() | st.sampled_from([0.0, 0.001, 0.5, 4.0, 16.0, 1e6])
COUNTS = st.none() | st.sampled_from([0, 1, 100, 100_000])
SIZES = st.none() | st.sampled_from([0, 1, 10**6, 10**10])
DEGREES = st.none() | st.sampled_from([0.0, 1.0, 2.0, 16.0, 64.0])
OPS = [
    "map", "batch", "padded_batch", "prefetch", "shuffle", "cache", "repeat", "filter", "interleave",
    "flat_map", "unbatch", "zip", "take", "skip", "from_generator", "from_tensor_slices", "from_tensors",
    "range", "TFRecordDataset", "list_files", "window", "rebatch",
]  # fmt: skip
TF_OPS = [
    None, "MapDataset", "ParallelMapDatasetV2", "MapAndBatchDataset", "BatchDatasetV2", "PrefetchDataset",
    "InterleaveDataset", "ParallelInterleaveDatasetV4", "ZipDataset", "FlatMapDataset", "ShuffleDatasetV3",
    "RepeatDataset",
]  # fmt: skip
KERNELS = ["PyFunc", "EagerPyFunc", "ReadFile", "DecodeJpeg", "ParseSingleExample", "Cast", "RandomUniform", "MatMul"]
VALUES = st.none() | st.booleans() | st.sampled_from([AUTOTUNE, -1, 0, 1, 8, 10**6, "x", [1, 2], {"a": 1}])
NAMES = ["num_parallel_calls", "batch_size", "buffer_size", "count", "filename", "synchronous", "tensors"]
OPTIONS = [
    POOL,
    "autotune.enabled",
    *(f"experimental_optimization.{name}" for name in ("inject_prefetch", "map_fusion")),
]
READ = st.none() | st.frozensets(st.integers(0, 3))
MAYBE = st.none() | st.booleans()
FUNCTIONS = st.none() | st.builds(
    FunctionView, ops=st.none() | st.frozensets(st.sampled_from(KERNELS)), python=MAYBE, random=MAYBE,
    stateful_op=st.none() | st.sampled_from(KERNELS), constant_bytes=SIZES, elementwise=MAYBE, reads=READ, writes=READ,
)  # fmt: skip
COMPONENTS = st.builds(
    ComponentView,
    dtype=st.sampled_from(["float32", "uint8", "string", "variant"]),
    shape=st.none() | st.lists(st.none() | st.integers(0, 300), max_size=3).map(tuple),
)
ROWS = st.builds(
    Stage, id=st.just("x"), origin=st.just("written"), op=st.just("map"), fused_with=st.none() | st.just("source"),
    elements=COUNTS, time_ms_per_batch=TIMES, cpu_ms_per_batch=TIMES, share=SHARES, parallelism=DEGREES, tunable=MAYBE,
    bytes_per_element=st.none() | st.sampled_from([0.0, 8.0, 1e6]), buffered_bytes=SIZES,
    buffered_elements=st.none() | st.sampled_from([0.0, 1.0, 100.0]),
)  # fmt: skip


def stage_views(index: int, ids: list[str]) -> st.SearchStrategy[StageView]:
    # Sometimes a stage reads nothing, several others, or one that is not there; never in a circle, as in TensorFlow.
    usual = st.just((ids[index - 1],) if index else ())
    unusual = st.lists(st.sampled_from([*ids[:index], "missing"]), max_size=3, unique=True).map(tuple)
    return st.builds(
        StageView, id=st.just(ids[index]), op=st.sampled_from(OPS), name=st.none() | st.just("a name"),
        inputs=usual | usual | unusual, depth=st.sampled_from([0, 0, 0, 1]),
        owner=st.sampled_from([None, None, None, *ids[:index]]),
        arguments=st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=3),
        element=st.none() | st.lists(COMPONENTS, max_size=2).map(tuple),
        elements=st.none() | st.sampled_from([-1, 0, 10, 10**6]), function=FUNCTIONS, source_bytes=SIZES,
        constant=MAYBE, executed_op=st.sampled_from(TF_OPS), made_parallel=MAYBE,
        injected=st.sampled_from([False, False, False, True]), measured=st.none() | ROWS,
    )  # fmt: skip


EVEN = st.sampled_from([0.0, 0.05, 5.0, 20.0, 500.0]).map(lambda ms: Quantiles(mean=ms, p50=ms, p95=ms, p99=ms))
STEPS = st.builds(
    Steps, count=st.sampled_from([0, 1, 100]), dispatch=st.sampled_from([None, "sync", 1, 2]), interval_ms=EVEN,
    seconds=st.sampled_from([0.0, 2.0]), wait_ms=EVEN, fetch_ms=EVEN, busy_ms=st.none() | EVEN,
    wait_share=st.floats(0, 1), restart_share=SHARES,
)  # fmt: skip
PROFILES = st.builds(
    Profile, tool=st.just(Tool(version="0")), target=st.just(Target(kind="spec", text="spec.yaml")),
    host=st.just(Host(system="Linux", machine="x86_64", cores=2)), steps=st.none() | STEPS,
    headspace=st.none() | st.builds(Headspace.of, st.floats(0, 100), st.floats(0, 100), st.just(4)),
    memory=st.builds(Memory, baseline_bytes=SIZES, peak_bytes=SIZES), contention=st.none() | st.builds(
        Contention, runnable_wait_share=SHARES, worker_cores=DEGREES, steal_share=SHARES
    ),
)  # fmt: skip
FACTS = st.builds(
    MeasuredFacts, worker_cores=DEGREES, runnable_wait_share=SHARES, python_share=SHARES,
)  # fmt: skip
IDS = ["source", *(f"stages.{index}" for index in range(6))]
VIEWS = st.builds(
    PipelineView, kind=st.sampled_from(["static", "measured", "measured", "measured"]),
    stages=st.integers(1, len(IDS)).flatmap(lambda count: st.tuples(*(stage_views(at, IDS) for at in range(count)))),
    options=st.dictionaries(st.sampled_from(OPTIONS), VALUES, max_size=2), memory_limit_bytes=SIZES,
    cores=st.sampled_from([0.5, 1.0, 2.0, 3.5, 64.0]), profile=st.none() | PROFILES, facts=st.none() | FACTS,
)  # fmt: skip


@given(view=VIEWS)
@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_no_check_raises_on_anything_and_what_it_says_is_sound(view: PipelineView) -> None:
    for found, messages in (findings_in(view), ideas_for(view)):
        assert messages == []
        for proposal in found:
            is_sound(proposal, view)
