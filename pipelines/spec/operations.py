"""TensorFlow's sources and stages and their parameters, as `operations.json` and `parameters.json` have them.

A row of an operation has TensorFlow's signature; a parameter's kind decides how it is checked and what TensorFlow gets.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from pipeprof.pipelines.addresses import join
from pipeprof.pipelines.tables import read_table

_PACKAGE: Final = "pipeprof.pipelines.spec"
_PARAMETER: Final = re.compile(r"(\w+)(?:=((?:'[^']*'|\([^()]*\)|\[[^\[\]]*\]|[^,])+))?(?:, |$)")
"""Python's parser takes 14 ms for all signatures, of 300 that a `check` takes."""
DATASET: Final = "tf.data.Dataset"
OF_CALLS: Final = {
    **dict.fromkeys(("dtype", "out_type", "output_type", "index_type", "row_splits_dtype", "out_idx"), "dtype"),
    **dict.fromkeys(("features", "context_features", "sequence_features"), "features"),
    "record_defaults": "record_defaults",
}
"""Kinds of the parameters of functions that `ops:` calls, by name; others are constants."""


@dataclass(frozen=True)
class Parameter:
    """A parameter of an operation, or a key of a mapping.

    Attributes:
        kind: One of `kinds`, or the name of a mapping.
        null: Whether null may be written.
    """

    name: str
    kind: str
    about: str
    required: bool = False
    null: bool = False
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Operation:
    """A source or a stage.

    Attributes:
        holder: TensorFlow's module or class that has the function.
        parameters: By name: TensorFlow's, then pipeprof's own.
        own: Parameters that are pipeprof's own way to write TensorFlow's first function.
        ways: Parameters of which exactly one is needed; those of one tuple belong together, and any is enough.
        element: The parameter that the element fills where it is left out, in a pipeline made for each element.
        takes_name: Whether TensorFlow takes ``name``, which then carries the address.
    """

    op: str
    holder: str
    about: str
    parameters: Mapping[str, Parameter]
    own: tuple[str, ...]
    ways: tuple[tuple[str, ...], ...]
    element: str
    takes_name: bool


@functools.cache
def sources() -> Mapping[str, Operation]:
    """All sources by TensorFlow's name."""
    return _operations("sources")


@functools.cache
def stages() -> Mapping[str, Operation]:
    """All stages by TensorFlow's name."""
    return _operations("stages")


@functools.cache
def functions() -> Mapping[str, str]:
    """Signatures of the functions that `ops:` may call, by name; the table has the functions of each signature."""
    rows: dict[str, list[str]] = read_table("pipeprof.pipelines.build", "signatures")
    return dict(sorted((name, signature) for signature, names in rows.items() for name in names))


@functools.cache
def layers() -> Mapping[str, str]:
    """Signatures of the constructors of layers by name."""
    return dict(read_table("pipeprof.pipelines.build", "layers"))


@functools.cache
def kinds() -> Mapping[str, str]:
    """What a value of each kind is, by the name of the kind."""
    return dict(_parameters()["kinds"])


@functools.cache
def mappings() -> Mapping[str, Mapping[str, Parameter]]:
    """The keys of the mappings inside of arguments, by the name of the mapping."""
    rows = _parameters()["mappings"].items()
    return {name: {key: _parameter(key, row) for key, row in one["parameters"].items()} for name, one in rows}


ARRAYS: Final[Mapping[str, tuple[type, ...]]] = {
    "npy": (str,), "npz": (str,), "files": (str, list), "lines": (str,), "csv": (str,), "array": (dict,),
}  # fmt: skip
"""Kinds of arrays, and what stands under the key of that name."""


def array_kind(value: Any) -> str | None:
    """The kind of array that a mapping stands for; None for a structure, also one with a component of such a name.

    Example:
        >>> array_kind({"npy": "a.npy"}), array_kind({"array": {"shape": [3]}}), array_kind({"array": [1]})
        ('npy', 'array', None)
    """
    for kind, holds in ARRAYS.items() if isinstance(value, Mapping) else ():
        if isinstance(value.get(kind), holds) and value.keys() <= mappings()[kind].keys():
            return kind if kind != "array" or value["array"].keys() & mappings()["filling"].keys() else None
    return None


def parameters_of(signature: str) -> dict[str, str | None]:
    """The parameters of a signature's text with their defaults as text, None for a required one.

    Example:
        >>> parameters_of("x, axis=(0, 1), sep=','")
        {'x': None, 'axis': '(0, 1)', 'sep': "','"}
    """
    return {found[1]: found[2] for found in _PARAMETER.finditer(signature)}


def _operations(section: str) -> dict[str, Operation]:
    table = read_table(_PACKAGE, "operations")[section]
    return {op: _operation(op, row) for op, row in table.items()}


def _operation(op: str, row: Mapping[str, Any]) -> Operation:
    common, own = _parameters()["parameters"], tuple(row.get("own", ()))
    ways = tuple(tuple(way) for way in row.get("required", ()))
    optional = {name for way in ways for name in way}
    changed = row.get("parameters", {})
    takes_name = False
    found: dict[str, Parameter] = {}
    for name, default in parameters_of(row["signature"]).items():
        if name == "name" and name not in changed:
            takes_name = True
            continue
        described = {"null": default == "None", **common[name], **changed.get(name, {})}
        found[name] = _parameter(name, {"required": default is None and name not in optional, **described})
    for name in (*own, *(["name"] if "name" not in found else [])):
        found[name] = _parameter(name, {**common[name], **changed.get(name, {})})
    return Operation(op, row.get("holder", DATASET), row["about"], found, own, ways, row.get("element", ""), takes_name)


def _parameter(name: str, row: Mapping[str, Any]) -> Parameter:
    return Parameter(name, **{**row, "choices": tuple(row.get("choices") or ())})


@functools.cache
def _parameters() -> Any:
    return read_table(_PACKAGE, "parameters")


_ALONE: Final = ("dataset_function", "pipeline", "weights")
Place: TypeAlias = "tuple[str | int, ...]"
"""Keys and indices in a spec's data."""


@dataclass(frozen=True)
class Placed:
    """A source or stage of a spec's data.

    Attributes:
        place: From the top of the data to its arguments: ``("stages", 1, "map")``.
        arguments: The mapping in the spec, without defaults.
    """

    address: str
    place: Place
    op: str
    arguments: Mapping[str, Any]
    operation: Operation

    @property
    def name(self) -> str | None:
        """The user's name of it; what TensorFlow calls so itself is an argument."""
        name = self.arguments.get("name")
        return name if isinstance(name, str) and not self.operation.parameters["name"].required else None


def placed(data: Any, address: str = "", place: Place = ()) -> Iterator[Placed]:
    """The source and all stages of a pipeline's data in order, those of pipelines inside after their owner.

    What is written in another way than it should is left out.

    Example:
        >>> [one.address for one in placed({"source": {"range": {"stop": 3}}, "stages": [{"cache": None}]})]
        ['source', 'stages.0']
    """
    if not isinstance(data, Mapping):
        return
    listed = data.get("stages")
    steps: list[tuple[Place, Any]] = [(("source",), data.get("source"))]
    steps += [(("stages", index), stage) for index, stage in enumerate(listed if isinstance(listed, list) else ())]
    for step, written in steps:
        if not isinstance(written, Mapping) or len(written) != 1:
            continue
        ((op, arguments),) = written.items()
        operation = (sources() if step == ("source",) else stages()).get(op)
        if operation is None:
            continue
        given = arguments if isinstance(arguments, Mapping) else {}
        found = Placed(join(address, *step), (*place, *step, op), op, given, operation)
        yield found
        for below, inside, pipeline in inner_pipelines(found):
            yield from placed(pipeline, join(found.address, *below), (*found.place, *inside))


def inner_pipelines(found: Placed) -> Iterator[tuple[Place, Place, Mapping[str, Any]]]:
    """The pipelines among arguments: what their addresses have after that of the owner, their place, and themselves."""
    for name, parameter in found.operation.parameters.items():
        value = found.arguments.get(name)
        if parameter.kind == "pipeline_function":
            held = found.arguments if value is None else value
            if isinstance(held, Mapping) and held.get("python") is None:
                yield (), () if value is None else (name,), held
        elif parameter.kind in ("pipelines", "pipeline_structure") and value is not None:
            for number, (inside, pipeline) in enumerate(leaves(value, (name,))):
                yield (name, number), inside, pipeline
        elif parameter.kind in _ALONE and isinstance(value, Mapping) and value.get("python") is None:
            yield (name,), (name,), value


def leaves(value: Any, place: Place) -> Iterator[tuple[Place, Mapping[str, Any]]]:
    """The pipelines in mappings and lists, each with its place."""
    if is_pipeline(value):
        yield place, value
        return
    listed = value if isinstance(value, list | tuple) else ()
    for key, inner in value.items() if isinstance(value, Mapping) else enumerate(listed):
        yield from leaves(inner, (*place, key))


def is_pipeline(value: Any) -> bool:
    """Whether a mapping is a pipeline, not one of several by their names."""
    return isinstance(value, Mapping) and (not value or bool(value.keys() & {"source", "stages", "on"}))
