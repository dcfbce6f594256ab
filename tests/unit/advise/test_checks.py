"""What holds for every finding and idea: its name and texts, that nothing makes it raise, and what names became of."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from unit.view.recorded import NAMES as RECORDED
from unit.view.recorded import recorded_view
from unit.view.views import measured, pipeline, stage

from pipeprof.pipelines.changes.edits import HandWritten, to_document
from pipeprof.pipelines.ops.constants import AUTOTUNE
from pipeprof.pipelines.spec.models import Ignore
from pipeprof.profiles.advise.apply import CHECKS, FINDINGS, findings_in, ideas_for
from pipeprof.profiles.advise.check import sections
from pipeprof.profiles.advise.ideas import IDEAS
from pipeprof.profiles.advise.names import GONE, NEW_NAMES, warn_of_unknown
from pipeprof.profiles.advise.proposal import Proposal
from pipeprof.profiles.document.memory import Memory
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.shared import Contention, Quantiles, Steps
from pipeprof.profiles.document.stages import Headspace, Stage
from pipeprof.profiles.document.subject import Host, Target, Tool
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
    assert len(CHECKS) == len(FINDINGS) + len(IDEAS)


@pytest.mark.parametrize("name", CHECKS)
def test_a_section_is_whole_and_short(name: str) -> None:
    section = sections()[name]
    assert not section.title.endswith(".")
    for text in (section.why, section.fix, section.ignore_when):
        assert text.endswith((".", ":"))
        assert "#" not in text.replace("```", "")
    assert len(section.why) + len(section.fix) + len(section.ignore_when) <= 1100


def test_titles_are_unique() -> None:
    assert len({section.title for section in sections().values()}) == len(CHECKS)


def test_names_of_earlier_rules_lead_to_what_there_is() -> None:
    assert set(NEW_NAMES.values()) <= set(CHECKS)
    assert not set(CHECKS) & (set(NEW_NAMES) | set(GONE))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("serial-map-cpu", "is parallel-calls now"),
        ("wide-batches", "is gone: "),
        ("whole-batch", "did you mean whole-batches?"),
        ("zzz", "`pipeprof rules` lists them"),
    ],
)
def test_an_old_or_unknown_name_in_ignore_is_a_warning(name: str, text: str) -> None:
    (message,) = warn_of_unknown([Ignore(rule=name, reason="x"), Ignore(rule="cache", reason="x")], CHECKS)
    assert message.code == "unknown-rule"
    assert text in message.message


def _bare(view: PipelineView) -> PipelineView:
    """All that may be unknown is unknown."""
    stages = tuple(
        StageView(id=one.id, op=one.op, inputs=one.inputs, depth=one.depth, owner=one.owner) for one in view.stages
    )
    return replace(view, stages=stages, options={}, profile=None, headspace=None, facts=None, memory_limit_bytes=None)


def proposals(view: PipelineView) -> list[Proposal]:
    return [proposal for check in CHECKS.values() for proposal in check(view)]


@pytest.mark.parametrize("kind", ["static", "measured"])
def test_what_is_not_known_keeps_checks_silent(kind: str) -> None:
    built = pipeline(
        stage("source", "from_tensor_slices"),
        *(stage(f"stages.{index}", op) for index, op in enumerate(OPS)),
        static=kind == "static",
    )
    assert proposals(replace(_bare(built), kind=kind)) == []  # type: ignore[arg-type]  # a parameter of the test


@pytest.mark.parametrize(
    "view", [pipeline(), pipeline(static=False), measured(pipeline())], ids=["static", "unmeasured", "measured"]
)
def test_an_empty_pipeline_has_nothing(view: PipelineView) -> None:
    assert proposals(view) == []


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
KEYS = st.none() | st.frozensets(st.sampled_from(["0", "1", "image", "label"]))
FUNCTIONS = st.none() | st.builds(
    FunctionView,
    ops=st.none() | st.frozensets(st.sampled_from(KERNELS)),
    stateful_op=st.none() | st.sampled_from(KERNELS),
    python=st.none() | st.booleans(),
    random=st.none() | st.booleans(),
    constant_bytes=SIZES,
    elementwise=st.none() | st.booleans(),
    reads=KEYS,
    writes=KEYS,
)
VALUES = st.none() | st.booleans() | st.sampled_from([AUTOTUNE, -1, 0, 1, 8, 10**6, "x", [1, 2], {"a": 1}])
ARGUMENTS = st.dictionaries(
    st.sampled_from(["num_parallel_calls", "batch_size", "buffer_size", "count", "filename", "synchronous", "tensors"]),
    VALUES,
    max_size=3,
)
COMPONENTS = st.builds(
    ComponentView,
    dtype=st.sampled_from(["float32", "uint8", "string", "variant"]),
    shape=st.none() | st.lists(st.none() | st.integers(0, 300), max_size=3).map(tuple),
)
ROWS = st.builds(
    Stage,
    id=st.just("x"),
    origin=st.just("written"),
    op=st.just("map"),
    tf_op=st.none(),
    executed=st.none(),
    name=st.none(),
    location=st.none(),
    depth=st.just(0),
    ops=st.none(),
    fused_with=st.none() | st.just("source"),
    elements=COUNTS,
    cpu_ms_per_batch=TIMES,
    share=SHARES,
    parallelism=DEGREES,
    tunable=st.none() | st.booleans(),
    bytes_per_element=st.none() | st.sampled_from([0.0, 8.0, 1e6]),
    buffered_bytes=SIZES,
    buffered_elements=st.none() | st.sampled_from([0.0, 1.0, 100.0]),
    ceiling_batches_per_second=st.none(),
)


@st.composite
def stage_views(draw: st.DrawFn, index: int, ids: list[str]) -> StageView:
    # Sometimes a stage reads nothing, several others, or one that is not there; never in a circle, as in TensorFlow.
    sources = draw(st.lists(st.sampled_from([*ids[:index], "missing"]), max_size=3, unique=True))
    usual = draw(st.integers(0, 4)) > 0
    return StageView(
        id=ids[index],
        op=draw(st.sampled_from(OPS)),
        name=draw(st.none() | st.just("a name")),
        inputs=((ids[index - 1],) if index else ()) if usual else tuple(sources),
        depth=draw(st.sampled_from([0, 0, 0, 1])),
        owner=draw(st.sampled_from([None, None, None, *ids[:index]])),
        arguments=draw(ARGUMENTS),
        element=draw(st.none() | st.lists(COMPONENTS, max_size=2).map(tuple)),
        elements=draw(st.none() | st.sampled_from([-1, 0, 10, 10**6])),
        function=draw(FUNCTIONS),
        source_bytes=draw(SIZES),
        constant=draw(st.none() | st.booleans()),
        executed_op=draw(st.sampled_from(TF_OPS)),
        made_parallel=draw(st.none() | st.booleans()),
        injected=draw(st.sampled_from([False, False, False, True])),
        measured=draw(st.none() | ROWS),
    )


@st.composite
def profiles(draw: st.DrawFn) -> Profile:
    def quantiles() -> Quantiles:
        value = draw(st.sampled_from([0.0, 0.05, 5.0, 20.0, 500.0]))
        return Quantiles(mean=value, p50=value, p95=value, p99=value)

    steps = Steps(
        count=draw(st.sampled_from([0, 1, 100])),
        dispatch=draw(st.sampled_from([None, "sync", 1, 2])),
        seconds=draw(st.sampled_from([0.0, 2.0])),
        interval_ms=quantiles(),
        wait_ms=quantiles(),
        fetch_ms=quantiles(),
        busy_ms=(draw(st.booleans()) and quantiles()) or None,
        wait_share=draw(st.floats(0, 1)),
        restart_share=draw(SHARES),
    )
    return Profile(
        tool=Tool(version="0"),
        target=Target(kind="spec", text="spec.yaml"),
        host=Host(system="Linux", machine="x86_64", cores=2),
        steps=draw(st.none() | st.just(steps)),
        memory=Memory(baseline_bytes=draw(SIZES), peak_bytes=draw(SIZES)),
        contention=draw(
            st.none() | st.builds(Contention, runnable_wait_share=SHARES, worker_cores=DEGREES, steal_share=SHARES)
        ),
    )


@st.composite
def views(draw: st.DrawFn) -> PipelineView:
    count = draw(st.integers(0, 6))
    ids = ["source", *(f"stages.{index}" for index in range(count))]
    return PipelineView(
        kind=draw(st.sampled_from(["static", "measured", "measured", "measured"])),
        stages=tuple(draw(stage_views(index, ids)) for index in range(len(ids))),
        options=draw(
            st.dictionaries(
                st.sampled_from(
                    [
                        "autotune.enabled",
                        "threading.private_threadpool_size",
                        "experimental_optimization.inject_prefetch",
                        "experimental_optimization.map_parallelization",
                    ]
                ),
                VALUES,
                max_size=2,
            )
        ),
        cores=draw(st.sampled_from([0.5, 1.0, 2.0, 3.5, 64.0])),
        memory_limit_bytes=draw(SIZES),
        profile=draw(st.none() | profiles()),
        headspace=draw(st.none() | st.builds(Headspace.of, st.floats(0, 100), st.floats(0, 100), st.just(4))),
        facts=draw(
            st.none()
            | st.builds(
                MeasuredFacts,
                worker_cores=DEGREES,
                runnable_wait_share=SHARES,
                disk_bytes_per_second=st.none() | st.floats(0, 1e9),
                python_share=SHARES,
                python_ms_per_batch=TIMES,
            )
        ),
    )


@given(view=views())
@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_no_check_raises_on_anything_and_what_it_says_is_sound(view: PipelineView) -> None:
    for found, messages in (findings_in(view), ideas_for(view)):
        assert messages == []
        for proposal in found:
            is_sound(proposal, view)
            assert not any(isinstance(edit, HandWritten) for edit in proposal.edits)
