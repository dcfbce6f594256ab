"""Rules about file caches and prefetches: each fires on its flaw, and is silent on its twin."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from unit.advise.memory_views import GB, IMAGE, IMAGE_BYTES, MB, indices, run
from unit.advise.views import measured, pipeline, stage, tensor

from pipeprof.pipelines.changes.edits import NewStage, ReplaceStages, SetArgument
from pipeprof.profiles.advise.rule import rules
from pipeprof.profiles.propose.proposal import Proposal
from pipeprof.profiles.view.view import PipelineView


def hits(rule: str, view: PipelineView) -> list[Proposal]:
    return list(rules()[rule].diagnose(view))


# a cache in files


def cached(
    filename: str | None = "cache/x", *, count: int = 700, ms: float = 8.0, limit: int = 24 * GB
) -> PipelineView:
    view = pipeline(
        stage("source", "range", elements=count),
        stage("stages.0", "map", element=(IMAGE,), elements=count, ms=1.0),
        stage("stages.1", "cache", element=(IMAGE,), elements=count, ms=ms, arguments={"filename": filename}),
        stage("stages.2", "batch", arguments={"batch_size": 32}, ms=1.0),
        memory_limit_bytes=limit,
        static=False,
    )
    return measured(view, interval_ms=10.0, headspace=0.9)


def test_a_cache_in_files_that_fits_goes_into_memory() -> None:
    (hit,) = hits("file-cache-fits-memory", cached())
    assert hit.edits == (ReplaceStages(("stages.1",), (NewStage("cache"),), hit.edits[0].summary),)  # type: ignore[attr-defined]
    assert hit.predicted is not None
    assert hit.predicted.speedup == pytest.approx(5.0, rel=0.1)


def test_a_complete_cache_has_the_bytes_of_its_files(tmp_path: Any) -> None:
    """Nothing before it runs, so nothing there has a count."""
    (tmp_path / "x.data-00000-of-00001").write_bytes(bytes(5_000_000))
    for other in ("x_aug.data-00000-of-00001", "x.old.data-00000-of-00001", "x_aug_0.lockfile"):
        (tmp_path / other).write_bytes(bytes(9_000_000))
    (hit,) = hits("file-cache-fits-memory", cached(str(tmp_path / "x"), count=-1))
    assert hit.evidence["cache_bytes"] == 5_000_000
    (tmp_path / "x_0.lockfile").touch()
    assert hits("file-cache-fits-memory", cached(str(tmp_path / "x"), count=-1)) == []


@pytest.mark.parametrize("view", [cached(None), cached(""), cached(ms=0.5), cached(count=11_000), cached(limit=1 * GB)])
def test_a_cache_that_is_in_memory_large_or_quick_stays(view: PipelineView) -> None:
    assert hits("file-cache-fits-memory", view) == []


# a prefetch counted in elements


def prefetched(buffer: int | None, *, size: int = 32, op: str = "batch") -> PipelineView:
    batch = tensor("float32", size, *IMAGE.shape[0:]) if IMAGE.shape is not None else IMAGE
    arguments = {"batch_size": size} if op == "batch" else {"count": 3}
    view = pipeline(
        indices(),
        stage("stages.0", op, element=(batch,), arguments=arguments),
        stage("stages.1", "prefetch", element=(batch,), arguments={"buffer_size": buffer}),
        memory_limit_bytes=24 * GB,
    )
    return run(view)


def test_a_prefetch_of_as_many_batches_as_a_batch_has_rows_is_counted_in_elements() -> None:
    (hit,) = list(rules()["prefetch-of-batches"].check(prefetched(64)))
    assert hit.edits == (SetArgument("stages.1", "prefetch", "buffer_size", 2),)
    assert hit.evidence["buffer_bytes"] == 64 * 32 * IMAGE_BYTES > 100 * MB


@pytest.mark.parametrize(
    "view", [prefetched(2), prefetched(-1), prefetched(None), prefetched(31), prefetched(64, op="take")]
)
def test_a_prefetch_of_few_batches_stays(view: PipelineView) -> None:
    assert list(rules()["prefetch-of-batches"].check(view)) == []


def test_a_prefetch_holds_no_more_batches_than_there_are() -> None:
    source, batch, prefetch = prefetched(640).stages
    for count, found in ((64, [64 * 32 * IMAGE_BYTES]), (1, [])):
        view = replace(prefetched(640), stages=(source, batch, replace(prefetch, elements=count)))
        hits = list(rules()["prefetch-of-batches"].check(view))
        assert [hit.evidence["buffer_bytes"] for hit in hits] == found
        assert all("holds all 64 batches" in hit.sentence for hit in hits)
