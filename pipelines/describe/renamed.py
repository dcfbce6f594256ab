"""Names of files that are parts of elements: a spec's are absolute, where the user's may be relative."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pipeprof.pipelines.describe.plain_graph import PlainGraph, PlainNode

# What looks into a text, or hands it over to something that may.
_LOOKING: Final = frozenset(
    {
        "EagerPyFunc", "LookupTableFindV2", "PyFunc", "PyFuncStateless", "RegexFullMatch", "RegexReplace",
        "StaticRegexFullMatch", "StaticRegexReplace", "StringJoin", "StringLength", "StringSplit", "StringSplitV2",
        "StringToHashBucket", "StringToHashBucketFast", "StringToHashBucketStrong", "Substr", "UnicodeDecode",
    }
)  # fmt: skip
_STRING: Final = 7


def renamed_files(first: PlainGraph | str, second: PlainGraph | str, target: str) -> str | None:
    """The sentence that names of files differ, where something looks at them.

    Args:
        first: The graph of the user's function.
        second: The graph of its spec, equal but for where paths begin.
        target: What the function is called.
    """
    if isinstance(first, str) or isinstance(second, str) or not _looks(first):
        return None
    pair = next(((a, b) for a, b in zip(sorted(_texts(first)), sorted(_texts(second)), strict=False) if a != b), None)
    if pair is None:
        return None
    shown = " and ".join(repr(text.decode("utf-8", "replace")) for text in pair)
    return (
        f"File names in its elements are absolute, those of {target} are not ({shown}): "
        "what counts their parts from the beginning, or returns them, gives something else."
    )


def _texts(graph: PlainGraph) -> Iterator[bytes]:
    """The texts that sources cut into elements."""
    for node in graph["nodes"].values():
        if node["op"] in ("TensorSliceDataset", "TensorDataset"):
            for name in node["inputs"]:
                value = graph["nodes"][name.partition(":")[0]]["attributes"].get("value")
                if isinstance(value, tuple) and value[0] == "string":
                    yield from value[2]


def _looks(graph: PlainGraph) -> bool:
    bodies = (function["nodes"] for function in graph["functions"].values())
    nodes: list[PlainNode] = [node for each in (graph["nodes"], *bodies) for node in each.values()]
    attributes = graph["nodes"][graph["root"].partition(":")[0]]["attributes"]
    returned = attributes.get("output_types") or attributes.get("Toutput_types") or ()
    return _STRING in returned or any(node["op"] in _LOOKING for node in nodes)
