"""Assignment of TensorFlow's errors to stages."""

from __future__ import annotations

import re

from pipeprof.pipelines.graph.read.records import GraphDict, NodeDict
from pipeprof.pipelines.meaning.traits import messages, traits

_PASSED_TO = re.compile(r"passed to (?P<key>[\w:]+) transformation")
_FUNCTION_NODE = re.compile(r"\{\{function_node (?P<name>[^\s}]+)")
_NODE = re.compile(r"\{\{node (?P<path>[^\s}]+)\}\}")
_ADDRESS_LIKE = re.compile(r"(?<![A-Za-z0-9])(?:stages_\d+|source)(?:_stages_\d+|_source)*(?![A-Za-z0-9])")


def enclosing_stage(written: GraphDict, error_text: str) -> NodeDict | None:
    """Find the dataset node that an error refers to, in the first of these ways with one candidate; else None.

    The stage TensorFlow names (``passed to decode transformation``), a function's exact name, a name made from a spec's
    address (``stages_1_source``), the path of the failing op, the kind of stage.
    """
    nodes = written["nodes"]
    for find in (_by_name, _by_function, _by_address, _by_op, _by_kind):
        found = find(nodes, error_text)
        if found is not None:
            return found
    return None


def call_path(key: str, error_text: str) -> str:
    """Find the call in a stage's chain that an error refers to, dotted as after an address; empty for none.

    Calls have name scopes of their own (`pipelines.build.chain`), which the paths of failing ops begin with.

    Example:
        >>> call_path("stages_1", "bad [[{{node stages_1/ops_2/fn/ops_0/Mul}}]]")
        'ops.2.fn.0'
    """
    scope = re.compile(rf"(?<![\w.]){re.escape(key)}/(?P<path>ops_\d+(?:/fn/ops_\d+)*)/")
    paths = (match["path"] for node in _NODE.finditer(error_text) for match in scope.finditer(node["path"]))
    return max(paths, key=len, default="").replace("/ops_", ".").replace("ops_", "ops.").replace("/", ".")


def _by_name(nodes: list[NodeDict], text: str) -> NodeDict | None:
    keys = {match["key"] for match in _PASSED_TO.finditer(text)}
    return _single_candidate([node for node in nodes if node["key"] in keys])


def _by_function(nodes: list[NodeDict], text: str) -> NodeDict | None:
    for match in reversed(list(_FUNCTION_NODE.finditer(text))):
        found = _single_candidate([node for node in nodes if match["name"] in node["calls"]])
        if found is not None:
            return found
    named = [node for node in nodes if any(re.search(rf"\b{re.escape(name)}\b", text) for name in node["functions"])]
    return _single_candidate(named)


def _by_address(nodes: list[NodeDict], text: str) -> NodeDict | None:
    for match in sorted(_ADDRESS_LIKE.finditer(text), key=lambda one: -len(one[0])):
        named = [node for node in nodes if node["key"] == match[0]]
        # A source may be several datasets; the one with a function supplies its elements.
        if named:
            return next((node for node in reversed(named) if node["functions"]), named[-1])
    return None


def _by_op(nodes: list[NodeDict], text: str) -> NodeDict | None:
    for match in _NODE.finditer(text):
        found = _single_candidate([node for node in nodes if match["path"] in node["ops"]])
        if found is not None:
            return found
    return None


def _by_kind(nodes: list[NodeDict], text: str) -> NodeDict | None:
    rows = {node["op"]: traits(node["op"]).errors for node in nodes}
    for pattern in messages():
        if re.search(pattern, text):
            found = _single_candidate([node for node in nodes if pattern in rows[node["op"]]])
            if found is not None:
                return found
    return None


def _single_candidate(found: list[NodeDict]) -> NodeDict | None:
    innermost = [node for node in found if not any(other["owner"] == node["id"] for other in found)]
    return innermost[0] if len(innermost) == 1 else None
