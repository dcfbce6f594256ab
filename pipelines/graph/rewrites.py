"""Descriptions of TensorFlow's rewrites of each written stage, for reports.

Tried on 2.21. With default options a stateless ``map`` is made parallel, ``map`` before ``batch`` is fused with it, a
``prefetch`` is appended to a synchronous end, ``shuffle`` before ``repeat`` is fused. A map whose function has state
stays serial; fused with a batch it still runs ahead of the consumer, one element at a time. With ``autotune.enabled =
False`` nothing is made parallel and nothing injected, but ``map`` and ``batch`` are fused all the same. With
``apply_default_optimizations = False`` all stays as written. Inside of functions the same is fused, but nothing is made
parallel and nothing injected.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pipeprof.pipelines.graph.align import StageGraphs
from pipeprof.pipelines.graph.costs.costs import Cost
from pipeprof.pipelines.graph.stages import Node, WrittenStage
from pipeprof.pipelines.meaning.executed_ops import executed, written_op

ON_WORKERS: Final = "on the workers"
"""What happens to a stage that a tf.data service runs."""


@dataclass(frozen=True)
class Rewrites:
    """Descriptions of the stages of one pipeline."""

    graphs: StageGraphs

    def words(self, stage: WrittenStage, cost: Cost | None) -> str | None:
        """Describe TensorFlow's rewrite of ``stage``; None if it runs as written."""
        node = self.graphs.written.nodes[stage.head]
        place = self.graphs.place(stage)
        if place is None:
            return ON_WORKERS if node.id in self.graphs.written.remote else "removed: it has no effect"
        runs = self.graphs.executed.nodes[place]
        partners = [partner for partner in self.graphs.together(stage) if partner is not stage]
        if partners:
            return self._fused_text(stage, runs, partners, cost)
        if node.family == "Map":
            if runs.family == "ParallelMap":
                # The map at the end of a snapshot is not the user's.
                return f"made parallel{_degree(cost)}" if stage.op == "map" else None
            return self._serial_text(stage) if stage.op == "map" else None
        if runs.op != node.op:
            return f"runs as {written_op(runs.op)}{_degree(cost)}"
        return _tuned_text(cost)

    def injected(self, node_id: str, cost: Cost | None) -> str:
        """Describe a stage that TensorFlow injected."""
        tuned = _tuned_text(cost)
        return f"{written_op(self.graphs.executed.nodes[node_id].op)} injected{f', {tuned}' if tuned else ''}"

    def _fused_text(self, stage: WrittenStage, runs: Node, partners: list[WrittenStage], cost: Cost | None) -> str:
        node = self.graphs.written.nodes[stage.head]
        text = f"fused with {' and '.join(partner.op for partner in partners)}"
        if not executed(runs.op).asynchronous or not node.traits.maps:
            return text
        if runs.arguments.get("num_parallel_calls") == 1 and node.family == "Map":
            off = not self.graphs.executed.has("Model")
            return f"{text}, {'stays serial because autotune is off' if off else self._serial_text(stage)}"
        return f"{text}{_degree(cost)}"

    def _serial_text(self, stage: WrittenStage) -> str:
        node = self.graphs.written.nodes[stage.head]
        reasons = (
            (stage.owner is not None, "stays serial: TensorFlow makes nothing parallel inside a function"),
            (not self.graphs.executed.has("Model"), "runs as written because autotune is off"),
            (node.stateful_op is not None, f"stays serial: stateful op {node.stateful_op}"),
            (node.arguments.get("force_synchronous") is True, "stays serial: synchronous is set"),
            (node.stateful, "stays serial: its function has state"),
        )
        return next((words for holds, words in reasons if holds), "stays serial")


def _degree(cost: Cost | None) -> str:
    if cost is None or cost.state.parallelism is None:
        return ""
    return f" (×{cost.state.parallelism:g}, tuned)" if cost.state.tunable else f" (×{cost.state.parallelism:g})"


def _tuned_text(cost: Cost | None) -> str | None:
    if cost is None or not cost.state.tunable:
        return None
    if cost.state.parallelism is not None:
        return f"parallelism tuned to {cost.state.parallelism:g}"
    return f"buffer tuned to {cost.state.buffer_size:g}" if cost.state.buffer_size is not None else None
