"""Findings on the types and shapes of batches: each with a near twin that is fine."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from unit.advise.views import function, measured, pipeline, stage, tensor

from pipeprof.profiles.advise.rule import rules
from pipeprof.profiles.document.findings import Finding
from pipeprof.profiles.document.measured import Device
from pipeprof.profiles.document.shared import Gaps, Quantiles
from pipeprof.profiles.propose.proposal import Proposal
from pipeprof.profiles.verify.plan import cannot_try
from pipeprof.profiles.view.view import ComponentView, PipelineView

CAST = function("Cast", "Mul", elementwise=True)
IMAGE = (224, 224, 3)
BATCH = 32 * 224 * 224 * 3 * 4.0


def pictures(
    *,
    before: ComponentView | None = None,
    after: ComponentView | None = None,
    batch: float | None = BATCH,
    made_by: Any = CAST,
    end: str = "prefetch",
) -> PipelineView:
    """Pictures of uint8, cast and scaled one by one, in batches of 32."""
    old, new = before or tensor("uint8", *IMAGE), after or tensor("float32", *IMAGE)
    return measured(
        pipeline(
            stage("source", "TFRecordDataset", element=(tensor("string"),)),
            stage("stages.0", "map", name="decode", element=(old,), function=function("DecodeJpeg", elementwise=False)),
            stage("stages.1", "map", name="scale", element=(new,), function=made_by),
            stage("stages.2", "batch", element=(tensor(new.dtype, None, *(new.shape or ())),), bytes_per_element=batch),
            stage("stages.3", end, element=(tensor(new.dtype, None, *(new.shape or ())),), bytes_per_element=batch),
        )
    )


def wide(view: PipelineView) -> list[Proposal]:
    return list(rules()["wide-batches"].diagnose(view))


def test_pictures_that_are_cast_before_they_travel() -> None:
    (hit,) = wide(pictures())
    assert hit.stage == "stages.1"
    assert hit.evidence == {
        "batch_bytes": BATCH,
        "saved_bytes": 0.75 * BATCH,
        "dtype_before": "uint8",
        "dtype_after": "float32",
    }


@pytest.mark.parametrize(
    "view",
    [
        pictures(batch=BATCH / 4),
        pictures(before=tensor("float32", *IMAGE)),
        pictures(before=tensor("int64", *IMAGE)),
        pictures(before=tensor("uint8", 300, 300, 3)),
        pictures(made_by=function("Cast", "ResizeBilinear", elementwise=False)),
        pictures(made_by=function("EagerPyFunc", elementwise=None)),
        pictures(made_by=function("Cast", "RandomUniform", elementwise=True)),
        pictures(batch=None),
        pictures(end="unbatch"),
    ],
    ids=["small", "float", "int64", "resized", "not by number", "python", "random", "not measured", "taken apart"],
)
def test_their_near_twins_are_fine(view: PipelineView) -> None:
    assert wide(view) == []


def test_a_small_part_of_a_batch_does_not_matter() -> None:
    old = (tensor("uint8", 100, 10), tensor("float32", 4000, 10))
    new = (tensor("float32", 100, 10), tensor("float32", 4000, 10))
    line = [
        stage("source", "range", element=old),
        stage("stages.0", "map", element=new, function=CAST),
        stage("stages.1", "batch", element=tuple(tensor("float32", 512, *part.shape) for part in new)),  # type: ignore[misc]
    ]
    line[2] = stage("stages.1", "batch", element=line[2].element, bytes_per_element=512 * 4 * 41_000.0)
    assert wide(measured(pipeline(*line))) == []


def floats(dtype: str, batch: float) -> PipelineView:
    return measured(
        pipeline(
            stage("source", "from_tensor_slices", element=(tensor(dtype, 100_000), tensor("int64"))),
            stage(
                "stages.0", "batch", element=(tensor(dtype, 32, 100_000), tensor("int64", 32)), bytes_per_element=batch
            ),
        )
    )


def test_float64_is_half_of_it_too_much() -> None:
    (hit,) = wide(floats("float64", 25.6e6))
    assert hit.title == "Send float32 instead of float64"
    assert hit.evidence["saved_bytes"] == pytest.approx(12.8e6, rel=0.01)
    assert wide(floats("float32", 25.6e6)) == []
    assert wide(floats("float64", 2.5e6)) == []


def texts(
    *, slow: float = 130.0, kind: str = "python", length: int | None = None, count: int = 400, end: str = "prefetch"
) -> PipelineView:
    """Texts padded to the longest of their batch, and a real step."""
    view = measured(
        pipeline(
            stage("source", "TFRecordDataset"),
            stage("stages.0", "map", element=(tensor("int32", None),)),
            stage("stages.1", "padded_batch", arguments={"batch_size": 64}, element=(tensor("int32", 64, length),)),
            stage("stages.2", end),
        )
    )
    assert view.profile is not None
    assert view.profile.steps is not None
    profile = view.profile.model_copy(deep=True)
    assert profile.steps is not None
    profile.device = Device(kind=kind, text=None)
    profile.steps.count = count
    profile.steps.busy_ms = Quantiles(mean=14.0, p50=12.0, p95=13.0, p99=slow)
    return replace(view, profile=profile)


def changing(view: PipelineView) -> list[Proposal]:
    return list(rules()["changing-shapes"].diagnose(view))


def test_a_step_that_is_traced_for_every_length() -> None:
    (hit,) = changing(texts())
    assert hit.stage == "stages.1"
    assert "the slowest takes 130 ms, 10.8 times the median of 12.0 ms" in hit.sentence


@pytest.mark.parametrize(
    "view",
    [
        texts(slow=40.0),
        texts(kind="simulate"),
        texts(kind="none"),
        texts(length=128),
        texts(count=60),
        texts(end="map"),
    ],
    ids=["no slow steps", "simulated", "no step", "one length", "few steps", "other shapes after it"],
)
def test_steps_and_shapes_that_are_fine(view: PipelineView) -> None:
    assert changing(view) == []


@pytest.mark.parametrize("rule", ["wide-batches", "changing-shapes"])
def test_with_a_constant_step_the_reason_is_the_step(rule: str) -> None:
    finding = Finding(rule=rule, title="a", status="unverified", family="speed", semantics="values")
    constant = Device(kind="simulate", text="simulate: 12ms")
    reason = cannot_try(finding, has_edit=False, step=constant)
    assert reason is not None
    assert reason.startswith("it pays only in the step, and this one costs the same for every batch: give a step")
    growing = Device(kind="python", text="f.py:step")
    assert cannot_try(finding, has_edit=True, step=growing) == "it may change values"


def copied(
    *, copy_ms: float | None = 4.0, kind: str = "keras", on: str | None = "gpu", end: str = "prefetch"
) -> PipelineView:
    """Pictures for a real step of 12 ms on a GPU, copied to it before."""
    view = measured(pipeline(stage("source", "range"), stage("stages.0", "map", ms=2.0), stage("stages.1", end)))
    assert view.profile is not None
    profile = view.profile.model_copy(deep=True)
    assert profile.steps is not None
    profile.host.gpus = ["GPU 0"]
    profile.device = Device(kind=kind, text=None, on=on, copy_ms=copy_ms)
    profile.steps.busy_ms = Quantiles(mean=12.0, p50=12.0, p95=12.5, p99=13.0)
    return replace(view, profile=profile)


def copying(view: PipelineView) -> list[Proposal]:
    return list(rules()["copy-before-step"].diagnose(view))


@pytest.mark.parametrize(("kind", "code"), [("keras", "prefetch_to_device"), ("jax", "double buffering")])
def test_a_copy_before_each_step_is_advised_in_the_steps_own_library(kind: str, code: str) -> None:
    (hit,) = copying(copied(kind=kind))
    assert "copied to the GPU for 4.00 ms before its step of 12.0 ms begins, 20 % of the time from" in hit.sentence
    assert hit.predicted is not None
    assert hit.predicted.speedup == pytest.approx(20 / 16)
    assert code in str(hit.edits)


def test_where_no_code_fits_all_loops_words_do_without_a_number() -> None:
    (hit,) = copying(copied(kind="torch"))
    assert "Copy the next batch while the step computes" in hit.recommendation
    assert (hit.edits, hit.predicted) == ((), None)


@pytest.mark.parametrize(
    "view",
    [
        copied(copy_ms=0.4),
        copied(copy_ms=None),
        copied(on="cpu"),
        copied(on=None),
        copied(kind="python"),
        copied(end="prefetch_to_device"),
        copied(end="copy_to_device"),
    ],
    ids=["a short copy", "no copy", "on the cores", "unknown", "of the user", "ahead", "copied by the pipeline"],
)
def test_copies_that_cost_little_or_run_ahead_are_fine(view: PipelineView) -> None:
    assert copying(view) == []


def idling(
    *, unknown: str | None = None, seconds: float | None = 2.0, end: str = "batch", **by_cause: float
) -> PipelineView:
    """A step on a GPU whose trace says why it idles."""
    view = measured(pipeline(stage("source", "range"), stage("stages.0", end, ms=2.0)))
    assert view.profile is not None
    profile = view.profile.model_copy(deep=True)
    spent = {name.replace("_", "-"): time for name, time in (by_cause or {"sync": 0.8, "copy": 0.4}).items()}
    gaps = Gaps(count=40, by_cause=spent, seconds=seconds)  # type: ignore[arg-type]
    profile.device = Device(kind="jax", on="gpu", idle_share=0.6, gaps=gaps, gaps_unknown=unknown)
    return replace(view, profile=profile)


@pytest.mark.parametrize(
    ("cause", "advice"),
    [
        ("copy", "pinned memory, asynchronous copies, prefetch to the device, uint8 over the link"),
        ("compile", "Keep shapes and types the same"),
        ("memory", "Let the framework's allocator keep memory"),
        ("sync", "Read results of a step later or less often"),
        ("python", "Move work of the loop out of it"),
        ("op", "compile the step"),
        ("launch", "larger batches, jit_compile, CUDA graphs"),
        ("device_wait", "streams, events and the other devices"),
    ],
)
def test_each_cause_of_a_devices_gaps_has_what_may_help(cause: str, advice: str) -> None:
    (hit,) = rules()["idle-device"].diagnose(idling(**{cause: 0.5, "pipeline": 0.7}))
    assert hit.recommendation.startswith("This may help: ")
    assert advice in hit.recommendation
    assert (hit.edits, hit.evidence["idle_share"], hit.evidence[f"{cause}_share"]) == ((), 0.6, 0.25)
    assert "pipeline" not in (hit.sentence or "") + hit.recommendation


def test_the_largest_causes_of_a_devices_gaps_come_first() -> None:
    (hit,) = rules()["idle-device"].diagnose(idling(sync=0.3, copy=0.8, op=0.2, launch=0.05))
    words = "the device idles 60 % of the time: 40 % copy to the device, 15 % waits for results and 10 % preparing"
    assert words in (hit.sentence or "")
    assert "launch" not in (hit.sentence or "")


@pytest.mark.parametrize(
    "view",
    [
        idling(pipeline=1.0, pipeprof=0.3, python=0.01),
        idling(sync=0.09),
        idling(seconds=None),
        idling(unknown="cannot say: the clocks disagree"),
    ],
    ids=["the pipeline", "little", "by the loop's clock", "cannot say"],
)
def test_gaps_that_are_the_pipelines_or_not_known_are_no_matter_of_the_device(view: PipelineView) -> None:
    assert list(rules()["idle-device"].diagnose(view)) == []
