"""File names in elements: absolute in a spec, possibly relative in the user's function."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pipeprof.pipelines.from_python.plain_graph import PlainGraph
from pipeprof.pipelines.ops.traits import traits

# Ops that read a text, or pass it to one that may.
_LOOKING: Final = frozenset(
    {
        "EagerPyFunc", "LookupTableFindV2", "PyFunc", "PyFuncStateless", "RegexFullMatch", "RegexReplace",
        "StaticRegexFullMatch", "StaticRegexReplace", "StringJoin", "StringLength", "StringSplit", "StringSplitV2",
        "StringToHashBucket", "StringToHashBucketFast", "StringToHashBucketStrong", "Substr", "UnicodeDecode",
    }
)  # fmt: skip
_STRING: Final = 7


def renamed_files(first: PlainGraph | str, second: PlainGraph | str, target: str) -> str | None:
    """Describe differing file names, if a function reads them or the pipeline returns them; else None.

    Args:
        second: The graph of its spec, equal except for the beginnings of paths.
        target: What the function is called.
    """
    if isinstance(first, str) or isinstance(second, str):
        return None
    pairs = zip(sorted(_texts(first)), sorted(_texts(second)), strict=False)
    pair = next((other_pair for other_pair in pairs if other_pair[0] != other_pair[1]), None)
    if pair is None:
        return None
    shown = " and ".join(repr(text.decode("utf-8", "replace")) for text in pair)
    return (
        f"File names in the elements are absolute in the spec and relative in {target} ({shown}): "
        "code that counts path parts from the start, or returns the names, gives other results."
    )


def _texts(graph: PlainGraph) -> Iterator[bytes]:
    """Yield the texts of sources that are used for more than opening files."""
    for place, node in graph["nodes"].items():
        if not traits(node["op"]).in_memory or not _are_used(graph, place):
            continue
        for name in node["inputs"]:
            value = graph["nodes"][_node(name)]["attributes"].get("value")
            if isinstance(value, tuple) and value[0] == "string":
                yield from value[2]


def _are_used(graph: PlainGraph, place: str) -> bool:
    """Return whether a function after a dataset reads its texts, or the pipeline returns them."""
    todo, seen = [place], {place}
    while todo:
        at = todo.pop()
        if at == _node(graph["root"]):
            return True
        for name, node in graph["nodes"].items():
            if name in seen or at not in map(_node, node["inputs"]):
                continue
            functions = [
                other_name
                for each in node["functions"].values()
                for other_name in each
                if other_name in graph["functions"]
            ]
            if any(_ops(graph, function) & _LOOKING for function in functions):
                return True
            attributes = node["attributes"]
            texts = _STRING in (attributes.get("output_types") or attributes.get("Toutput_types") or ())
            if texts and all(
                _returns_argument(graph, other_name)
                for other_name in node["functions"].get("f", ())
                if other_name in functions
            ):
                seen.add(name)
                todo.append(name)
    return False


def _node(reference: str) -> str:
    return reference.partition(":")[0]


def _ops(graph: PlainGraph, name: str) -> set[str]:
    """Return the ops of a function and of those that it calls."""
    found: set[str] = set()
    todo, seen = [name], {name}
    while todo:
        for node in graph["functions"][todo.pop()]["nodes"].values():
            found.add(node["op"])
            below = {
                other_name
                for each in node["functions"].values()
                for other_name in each
                if other_name in graph["functions"]
            } - seen
            seen |= below
            todo += below
    return found


def _returns_argument(graph: PlainGraph, name: str) -> bool:
    """Return whether a function returns a part of its element unchanged."""
    function = graph["functions"][name]
    for reference in function["returns"]:
        at = _node(reference)
        while at in function["nodes"] and function["nodes"][at]["op"] == "Identity":
            at = _node(function["nodes"][at]["inputs"][0])
        if at in function["arguments"]:
            return True
    return False
