"""Pipelines whose data several hosts divide, for the rules about hosts."""

from __future__ import annotations

from typing import Any

from unit.view.views import Built, pipeline, stage

from pipeprof.profiles.advise.findings.correctness import POLICY
from pipeprof.profiles.view.view import StageView

SHARD = {"num_shards": 4, "index": 1}


def names(**facts: Any) -> StageView:
    """A list of eight files in its order."""
    given = {"elements": 8, "arguments": {"file_pattern": "data/*.tfrecord", "shuffle": False}}
    return stage("source", "list_files", line=2, **(given | facts))


def reader(at: int = 0) -> tuple[StageView, StageView]:
    """An interleave over TFRecord files."""
    here = f"stages.{at}"
    return stage(here, "interleave", line=4), stage(f"{here}.source", "TFRecordDataset", line=5)


def shard(at: int, parts: int = 4) -> StageView:
    """A shard of the pipeline's own."""
    return stage(f"stages.{at}", "shard", arguments={"num_shards": parts, "index": 1}, line=9)


def read_then_sharded(*, files: int = 8, source: StageView | None = None, parts: int = 4) -> Built:
    return pipeline(source or names(elements=files), *reader(), shard(1, parts), _batch(2))


def sharded_then_read(*, files: int | None = 8, parts: int = 4, source: StageView | None = None) -> Built:
    return pipeline(source or names(elements=files), shard(0, parts), *reader(1), _batch(2))


def direct_then_sharded() -> Built:
    """Files that the source reads."""
    source = stage("source", "TFRecordDataset", arguments={"filenames": ["a", "b", "c", "d"]}, line=2)
    return pipeline(source, shard(0), _batch(1))


def _batch(at: int) -> StageView:
    return stage(f"stages.{at}", "batch", arguments={"batch_size": 32}, line=10)


def divided(policy: str | None = None, *above: StageView, source: StageView | None = None) -> Built:
    """Files whose division is left to a strategy."""
    options = {} if policy is None else {POLICY: policy}
    return pipeline(source or names(), *reader(), *above, _batch(1 + len(above)), options=options)


def shuffled_names() -> Built:
    return sharded_then_read(source=names(arguments={"file_pattern": "data/*.tfrecord"}))
