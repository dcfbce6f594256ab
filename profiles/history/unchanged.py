"""Whether two sides are one pipeline, so that a measurement can only show what the machine does.

Specs are compared by what they say and by the files that they name, functions by the graphs that TensorFlow builds for
them. A graph says nothing of the Python that it calls, so there the user's files have to be the same as well, all that
either side imports, and so have the other files that git knows. What cannot be known is measured.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePosixPath

from pipeprof.pipelines.graph.compare import PlainGraph, differences
from pipeprof.pipelines.graph.read.function_facts import PYTHON
from pipeprof.pipelines.spec.loader import LoadedSpec
from pipeprof.pipelines.spec.mixing.shared_paths import as_from
from pipeprof.profiles.harness.ask_worker import ask_for_graph
from pipeprof.profiles.harness.settings import RunSettings
from pipeprof.profiles.history.content import ASIDE, Content, content_of
from pipeprof.profiles.protocol.source import GraphAnswer, GraphJob, unpacked

_OUTSIDE = ("LookupTable", "ReadVariable", "ResourceGather")
"""Beginnings of ops that read a state which is not in the graph: a table, a variable."""
_DOCUMENTS = frozenset({".md", ".rst"})
"""Suffixes of files that no pipeline reads."""
SPECS = "both specs are the same and name the same files"
GRAPHS = "TensorFlow builds the same graph for both functions"
FILES = "the Python files that they import are the same"


def why_unchanged(
    a: RunSettings,
    b: RunSettings,
    others: Collection[str] | None,
    ask: Callable[[GraphJob], GraphAnswer] = ask_for_graph,
) -> str | None:
    """Why two sides in one environment are the same pipeline, in words; None where they are not, or may not be.

    Args:
        others: Files that git knows to differ between the two sides; None where that is not known.
    """
    if "script" in {a.target.kind, b.target.kind}:
        return None
    if a.loaded is not None and b.loaded is not None:
        return _of_specs(a, b, others)
    if a.loaded is None and b.loaded is None:
        return _of_functions(a, b, others, ask)
    return None


def _of_specs(a: RunSettings, b: RunSettings, others: Collection[str] | None) -> str | None:
    assert a.loaded is not None  # noqa: S101 - for the type checker: the caller has looked
    assert b.loaded is not None  # noqa: S101
    if _said(a.loaded, a.loaded) != _said(a.loaded, b.loaded):
        return None
    contents = content_of(a), content_of(b)
    if not any(one.python for one in contents):
        return SPECS
    return f"{SPECS}; {FILES}" if _same_python(*contents, others) else None


def _said(home: LoadedSpec, loaded: LoadedSpec) -> dict[str, object]:
    """What a spec says of its pipeline, as read in the folder of another one."""
    data, _ = as_from(home.base_dir, loaded.base_dir, loaded.data, loaded.spec)
    return {name: value for name, value in data.items() if name not in ASIDE and not str(name).startswith("x-")}


def _of_functions(
    a: RunSettings, b: RunSettings, others: Collection[str] | None, ask: Callable[[GraphJob], GraphAnswer]
) -> str | None:
    if a.target.arguments != b.target.arguments:
        return None
    jobs = [GraphJob(str(one), list(one.arguments), str(one.path.resolve())) for one in (a.target, b.target)]
    with ThreadPoolExecutor(len(jobs)) as pool:
        one, other = pool.map(ask, jobs)
    if one.failure is not None or other.failure is not None or one.graph is None or other.graph is None:
        return None
    graphs: Sequence[PlainGraph] = [unpacked(answer.graph or "") for answer in (one, other)]
    if one.element != other.element or differences(graphs[0], graphs[1]):
        return None
    ops = {op for graph in graphs for op in _ops(graph)}
    if any(op.startswith(_OUTSIDE) for op in ops):
        return None
    if not (PYTHON & ops or one.step or other.step):
        return GRAPHS
    return f"{GRAPHS}; {FILES}" if _same_python(content_of(a), content_of(b), others) else None


def _ops(graph: PlainGraph) -> Iterator[str]:
    yield from (node["op"] for node in graph["nodes"].values())
    for function in graph["functions"].values():
        yield from (node["op"] for node in function["nodes"].values())


def _same_python(one: Content, other: Content, others: Collection[str] | None) -> bool:
    """Whether the user's Python is the same, and nothing that it may read differs."""
    if one.python != other.python or one.unknown is not None or other.unknown is not None or others is None:
        return False
    return all(PurePosixPath(name).suffix in _DOCUMENTS | {".py"} for name in others)
