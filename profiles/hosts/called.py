"""What hosts read of a function's pipeline, from the graphs that it makes for them."""

from __future__ import annotations

from dataclasses import replace

from pipeprof.pipelines.graph.stages import StageGraph
from pipeprof.profiles.document.sharding import Sharding
from pipeprof.profiles.hosts.autoshard import POLICY, own_shards
from pipeprof.profiles.hosts.files import GraphFiles
from pipeprof.profiles.hosts.shares import sharding_of, sharding_of_calls
from pipeprof.profiles.protocol.messages import Sketch
from pipeprof.profiles.protocol.source import HostGraph, HostsAnswer, unpacked
from pipeprof.profiles.view.from_sketch import view_of_sketch
from pipeprof.profiles.view.view import PipelineView


def view_for_hosts(
    answer: HostsAnswer, hosts: int, *, cores: float, memory_limit_bytes: int | None = None
) -> PipelineView:
    """The pipeline of host 0, with what each host reads."""
    policy = "OFF" if answer.context else answer.policy
    parts = [_part(graph, policy, cores, memory_limit_bytes) for graph in answer.graphs]
    view, files = parts[0]
    called = answer.context and not own_shards(view)
    sharding = sharding_of_calls(parts, hosts) if called else sharding_of(view, hosts, files)
    return replace(view, sharding=_by_context(sharding) if answer.context else sharding)


def _by_context(sharding: Sharding) -> Sharding:
    """A strategy calls a function with an ``InputContext`` by itself, and divides nothing of what it returns."""
    if sharding.applied != "OFF":
        return sharding
    return sharding.model_copy(update={"why": "the function gets an InputContext, and gives all hosts the same files"})


def _part(
    graph: HostGraph, policy: str, cores: float, memory_limit_bytes: int | None
) -> tuple[PipelineView, GraphFiles]:
    written = unpacked(graph.written)
    view = view_of_sketch(Sketch(written, unpacked(graph.places)), cores=cores, memory_limit=memory_limit_bytes)
    files: dict[str, list[str]] = {}
    arguments: dict[str, dict[str, int | bool | str]] = {}
    for stage in StageGraph.from_dict(written).stages():
        for node in stage.nodes:
            if node in graph.files:
                files[stage.address] = graph.files[node]
            if node in graph.readers:
                arguments[stage.address] = graph.readers[node]
    stages = tuple(
        replace(stage, arguments={**stage.arguments, **arguments[stage.id]}) if stage.id in arguments else stage
        for stage in view.stages
    )
    return replace(view, stages=stages, options={**view.options, POLICY: policy}), GraphFiles(files)
