"""Feed of the readers of models and memory, for a dataset that a script iterates by itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from pipeprof.pipelines.graph.costs.snapshots import take_snapshot
from pipeprof.profiles.worker.steps.loop import Feed

if TYPE_CHECKING:
    from pipeprof.profiles.worker.script.consumers import Pass


class ScriptFeed(Feed):
    """The dataset and the iterator of a script, as far as the readers of models and memory need them."""

    def __init__(self) -> None:
        self.ended = 0
        self.deletions = []
        self.paused_ns = 0
        self.on_restart = lambda: None
        self.holder: Pass | None = None
        self._between = lambda: None
        self._dataset: Any = ()

    @property
    def reference(self) -> Callable[[], Any] | None:
        """What returns the iterator, the same for all passes with it; None before the first one."""
        return self.holder.iterator if self.holder is not None else None

    @property
    def iterator(self) -> Any:  # type: ignore[override]  # held weakly
        """The script's iterator; an empty one once that is gone."""
        found = self.holder.iterator() if self.holder is not None else None
        return found if found is not None else iter(())

    @property
    def alive(self) -> bool:
        """Whether there is one."""
        return self.holder is not None and self.holder.iterator() is not None


def read_model(iterator: Any) -> tuple[int, Sequence[int]] | None:
    """Return how many elements an iterator gave, and the latest gaps between them; None without a model."""
    snapshot = take_snapshot(iterator)
    if snapshot is None:
        return None
    nodes, root = snapshot.proto.nodes, snapshot.proto.output
    return int(nodes[root].num_elements) if root in nodes else 0, list(snapshot.proto.gap_times)
