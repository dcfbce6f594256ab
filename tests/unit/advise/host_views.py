"""Pipelines whose data several hosts divide, for the rules about hosts."""

from __future__ import annotations

from typing import Any

from unit.view.views import Built, pipeline, stage

from pipeprof.profiles.advise.findings.correctness import POLICY
from pipeprof.profiles.view.view import StageView


def names(files: int = 8, **arguments: Any) -> StageView:
    """A list of files in its order, unless told otherwise."""
    given = arguments or {"file_pattern": "data/*.tfrecord", "shuffle": False}
    return stage("source", "list_files", line=2, elements=files, arguments=given)


def reader(at: int = 0) -> tuple[StageView, StageView]:
    """An interleave over TFRecord files."""
    here = f"stages.{at}"
    return stage(here, "interleave", line=4), stage(f"{here}.source", "TFRecordDataset", line=5)


def shard(at: int, parts: int = 4) -> StageView:
    """A shard of the pipeline's own."""
    return stage(f"stages.{at}", "shard", arguments={"num_shards": parts, "index": 1}, line=9)


def _batch(at: int) -> StageView:
    return stage(f"stages.{at}", "batch", arguments={"batch_size": 32}, line=10)


def read_then_sharded(*, files: int = 8, parts: int = 4) -> Built:
    return pipeline(names(files), *reader(), shard(1, parts), _batch(2))


def sharded_then_read(source: StageView | None = None) -> Built:
    return pipeline(source or names(), shard(0), *reader(1), _batch(2))


def direct_then_sharded() -> Built:
    """Files that the source reads."""
    source = stage("source", "TFRecordDataset", arguments={"filenames": ["a", "b", "c", "d"]}, line=2)
    return pipeline(source, shard(0), _batch(1))


def divided(policy: str | None = None, source: StageView | None = None) -> Built:
    """Files whose division is left to a strategy."""
    return pipeline(source or names(), *reader(), _batch(1), options={} if policy is None else {POLICY: policy})


def shuffled_names() -> Built:
    return sharded_then_read(names(file_pattern="data/*.tfrecord"))
