"""What holds for every rule: its texts, its table of thresholds, and that nothing makes it raise."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from unit.advise.views import RECORDED, measured, pipeline, recorded, stage

from pipeprof.pipelines.changes.edits import to_document
from pipeprof.pipelines.ops.constants import AUTOTUNE
from pipeprof.profiles.advise import rules as package
from pipeprof.profiles.advise.rule import Rule, Threshold, by_precedence, rule_named, rules
from pipeprof.profiles.document.memory import Memory
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.shared import Contention, Quantiles, Steps
from pipeprof.profiles.document.stages import Headspace, Stage
from pipeprof.profiles.document.subject import Host, Target, Tool
from pipeprof.profiles.propose.proposal import Proposal
from pipeprof.profiles.view.view import ComponentView, FunctionView, MeasuredFacts, PipelineView, StageView

NAMES = sorted(rules())
TEXTS = ("title", "seen", "why", "fix", "ignore_when")
FOLDER = Path(next(iter(package.__path__)))
MODULES = sorted(path for path in FOLDER.rglob("*.py") if path.stem != "__init__")


def drafts(view: PipelineView) -> Iterator[tuple[Rule, Proposal]]:
    for rule in rules().values():
        for draft in (*rule.check(view), *(rule.diagnose(view) if view.kind == "measured" else ())):
            yield rule, draft


def is_sound(draft: Proposal, view: PipelineView) -> None:
    """What every reader of a finding relies on."""
    assert draft.stage is None or draft.stage in view.by_id
    assert draft.sentence.strip().endswith(".")
    assert draft.recommendation.strip()
    for name, value in draft.evidence.items():
        assert re.fullmatch(r"[a-z][a-z0-9_]*", name), name
        assert isinstance(value, int | float | str | bool), name
        assert not isinstance(value, float) or math.isfinite(value), name
    for edit in draft.edits:
        assert to_document(edit)["kind"]
    if draft.predicted is not None:
        assert draft.predicted.formula.strip()
        assert draft.predicted.speedup is None or 0 < draft.predicted.speedup < math.inf


def test_rules_yield_to_rules_that_exist_and_never_in_a_circle() -> None:
    known = rules()
    order = [rule.name for rule in by_precedence(known)]
    assert sorted(order) == NAMES
    for name, rule in known.items():
        for other in rule.yields_to:
            assert order.index(other) < order.index(name), f"{name} yields to {other}"


def test_there_is_a_rule_in_each_module_and_it_is_called_after_it() -> None:
    assert sorted(path.stem.replace("_", "-") for path in MODULES) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_names_are_kebab_case_and_texts_are_there(name: str) -> None:
    rule = rules()[name]
    assert re.fullmatch(r"[a-z]+(-[a-z0-9]+)*", name)
    assert rule.family in ("memory", "speed", "correctness")
    assert rule.semantics in ("same", "order", "randomness", "values")
    for text in TEXTS:
        assert getattr(rule, text).strip(), text
    assert not rule.title.endswith(".")
    for text in TEXTS[1:]:
        assert getattr(rule, text).endswith("."), text


def test_a_rule_is_found_by_its_name_alone() -> None:
    assert {name: type(rule_named(name)) for name in rules()} == {name: type(rule) for name, rule in rules().items()}
    for other in ("measured", "../rule", "rule", "*", "", "serial_map_cpu"):
        assert rule_named(other) is None


def test_titles_are_unique() -> None:
    assert len({rule.title for rule in rules().values()}) == len(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_the_table_of_thresholds_is_whole(name: str) -> None:
    table = rules()[name].thresholds
    assert len({threshold.name for threshold in table}) == len(table)
    for threshold in table:
        assert re.fullmatch(r"[a-z]+(-[a-z0-9]+)*", threshold.name)
        assert math.isfinite(threshold.value)
        assert threshold.source.strip()
        assert rules()[name].threshold(threshold.name) == threshold.value


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_a_rule_compares_with_numbers_of_its_table_only(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    rule = rules()[path.stem.replace("_", "-")]
    known = {threshold.name for threshold in rule.thresholds}
    asked = {
        node.args[0].value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "threshold"
        and isinstance(node.args[0], ast.Constant)
    }
    assert asked <= known
    # What only chooses words, `"draws" if count == 1 else "draw"`, decides nothing.
    words = {other for node in ast.walk(tree) if isinstance(node, ast.IfExp) for other in ast.walk(node.test)}
    numbers = {
        other.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Compare) and node not in words
        for other in (node.left, *node.comparators)
        if isinstance(other, ast.Constant) and isinstance(other.value, int | float)
    }
    # None, one and several are no thresholds.
    assert numbers <= {0, 1, 2}, "a bare number decides: put it into the table"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_a_rule_publishes_the_shared_thresholds_that_it_uses(path: Path) -> None:
    module = __import__(f"{package.__name__}.{path.parent.name}.{path.stem}", fromlist=["x"])
    assert isinstance(module, ModuleType)
    used = {value for value in vars(module).values() if isinstance(value, Threshold)}
    assert used <= set(rules()[path.stem.replace("_", "-")].thresholds)


def _bare(view: PipelineView) -> PipelineView:
    """All that may be unknown is unknown."""
    stages = tuple(
        StageView(id=one.id, op=one.op, inputs=one.inputs, depth=one.depth, owner=one.owner) for one in view.stages
    )
    return replace(view, stages=stages, options={}, profile=None, headspace=None, facts=None, memory_limit_bytes=None)


@pytest.mark.parametrize("kind", ["static", "measured"])
def test_what_is_not_known_keeps_rules_silent(kind: str) -> None:
    built = pipeline(
        stage("source", "from_tensor_slices"),
        *(stage(f"stages.{index}", op) for index, op in enumerate(OPS)),
        static=kind == "static",
    )
    view = replace(_bare(built), kind=kind)  # type: ignore[arg-type]  # a parameter of the test
    assert [name for name, rule in rules().items() if [*rule.check(view), *rule.diagnose(view)]] == []


@pytest.mark.parametrize(
    "view", [pipeline(), pipeline(static=False), measured(pipeline())], ids=["static", "unmeasured", "measured"]
)
def test_an_empty_pipeline_has_no_findings(view: PipelineView) -> None:
    assert [name for name, rule in rules().items() if [*rule.check(view), *rule.diagnose(view)]] == []


@pytest.mark.parametrize("name", RECORDED)
def test_no_rule_raises_on_what_was_recorded(name: str) -> None:
    for view in (
        recorded(name, worker_cores=0.1),
        recorded(name, worker_cores=0.1, dispatch="sync", wait_share=0.5, interval_ms=20.0),
        recorded(name, worker_cores=1.0, dispatch="sync", wait_share=0.5, interval_ms=20.0),
        recorded(name, worker_cores=None, headspace=None, runnable_wait_share=None, peak_bytes=None),
        recorded(name, worker_cores=None),
        _bare(recorded(name)),
    ):
        for _, draft in drafts(view):
            is_sound(draft, view)


SHARES = st.none() | st.floats(0, 1)
TIMES = st.none() | st.sampled_from([0.0, 0.001, 0.5, 4.0, 16.0, 1e6])
COUNTS = st.none() | st.sampled_from([0, 1, 100, 100_000])
SIZES = st.none() | st.sampled_from([0, 1, 10**6, 10**10])
DEGREES = st.none() | st.sampled_from([0.0, 1.0, 2.0, 16.0, 64.0])
OPS = [
    "map",
    "batch",
    "padded_batch",
    "prefetch",
    "shuffle",
    "cache",
    "repeat",
    "filter",
    "interleave",
    "flat_map",
    "unbatch",
    "zip",
    "take",
    "skip",
    "from_generator",
    "from_tensor_slices",
    "from_tensors",
    "range",
    "TFRecordDataset",
    "list_files",
    "window",
    "rebatch",
]
OPS = [
    "map",
    "batch",
    "padded_batch",
    "prefetch",
    "shuffle",
    "cache",
    "repeat",
    "filter",
    "interleave",
    "flat_map",
    "unbatch",
    "zip",
    "take",
    "skip",
    "from_generator",
    "from_tensor_slices",
    "from_tensors",
    "range",
    "TFRecordDataset",
    "list_files",
    "window",
    "rebatch",
]
TF_OPS = [
    None,
    "MapDataset",
    "ParallelMapDatasetV2",
    "MapAndBatchDataset",
    "BatchDatasetV2",
    "PrefetchDataset",
    "InterleaveDataset",
    "ParallelInterleaveDatasetV4",
    "ZipDataset",
    "FlatMapDataset",
    "ShuffleDatasetV3",
    "RepeatDataset",
]
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
def test_no_rule_raises_on_anything_and_what_it_says_is_sound(view: PipelineView) -> None:
    for _, draft in drafts(view):
        is_sound(draft, view)
