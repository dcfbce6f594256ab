"""A pipeline built again with changes, by calling tf.data as the user's code did (worker only: needs TensorFlow).

From the first changed call on, the recorded calls are made once more; the datasets before it are used as they are, with
their arrays, so that nothing is copied. Functions are traced again. A shuffle that was given no seed gets the one that
it drew.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from pipeprof.pipelines.addresses import ADDED, join
from pipeprof.pipelines.build.arguments import options
from pipeprof.pipelines.build.dataset import Builder as SpecBuilder
from pipeprof.pipelines.changes.chain import CannotChangeError, Chain, ChainStage, apply, first_line
from pipeprof.pipelines.changes.edits import PipelineEdit, nested_options
from pipeprof.pipelines.changes.functions import components, map_on_batches, with_components
from pipeprof.pipelines.changes.recorded_calls import Call, RecordedCalls, RecordedPipeline, datasets_in
from pipeprof.pipelines.meaning.constants import AUTOTUNE, AUTOTUNE_VALUE
from pipeprof.pipelines.meaning.traits import traits

_KEPT_ALIVE: Final = "pipeprof_kept_alive"


def apply_changes(
    dataset: Any,
    steps: Sequence[Sequence[PipelineEdit]],
    calls: RecordedCalls,
    building: SpecBuilder,
    *,
    ops: Mapping[str, str] | None = None,
) -> Any:
    """Return a dataset with steps of changes: the addresses of a step are those of what the one before made.

    The hook that records calls has to be on, so that the next step knows those of this one.

    Args:
        ops: For a spec, its ops by address; None for a Python function.

    Raises:
        CannotChangeError: A change is not possible on this pipeline; the message names the stage and the reason.
    """
    for changes in steps:
        recorded = calls.read(dataset, ops=ops)
        dataset = build_again(recorded, apply(recorded.chain, *changes), building)
    return dataset


def build_again(recorded: RecordedPipeline, chain: Chain, building: SpecBuilder) -> Any:
    """Return the dataset of a chain that is a recorded pipeline with changes."""
    dataset = _Builder(recorded, building).line(chain, recorded.chain)
    if dataset is recorded.dataset_of(recorded.end):
        dataset = recorded.dataset
    if chain.options:
        try:
            set_options = options(nested_options(chain.options), building)
        except (ValueError, AttributeError, TypeError) as error:
            raise CannotChangeError(None, f"TensorFlow does not accept {', '.join(chain.options)}: {error}") from error
        return dataset.with_options(recorded.dataset.options().merge(set_options))
    return _with_options_of(dataset, recorded.dataset)


def with_scopes(dataset: Any, calls: RecordedCalls) -> tuple[Any, list[str]]:
    """Return a dataset whose functions are traced in name scopes ``pipeprof_N``, and the addresses of stages by N.

    Raises:
        CannotChangeError: How it was made was not seen.
    """
    recorded = calls.read(dataset)
    chain = recorded.chain.copy()
    for line in chain.lines():
        for call in line.calls:
            call.again = traits(call.op).function is not None and not traits(call.op).python_iterator
    scopes: list[str] = []
    made = _Builder(recorded, scopes=scopes).line(chain, recorded.chain)
    return _with_options_of(made, dataset), scopes


def _with_options_of(dataset: Any, other: Any) -> Any:
    """Return a dataset with the options of another one; what functions make has none of its own."""
    import tensorflow as tf

    if tf.inside_function() or dataset.options() == (options := other.options()):
        return dataset
    return dataset.with_options(options)


@dataclass
class _Builder:
    """What builds a recorded pipeline again."""

    recorded: RecordedPipeline
    building: Any = None
    number: Iterator[int] = field(default_factory=itertools.count)
    scopes: list[str] | None = None
    flat: bool = False
    structure: Any = None
    refused: list[CannotChangeError] = field(default_factory=list)
    built: dict[tuple[str, int], tuple[Any, bool, Any]] = field(default_factory=dict)
    """What was built, by what it is and what it reads, with `flat` and `structure` then: several lines may read it."""

    def line(self, chain: Chain, before: Chain) -> Any:
        """Build a line again from its first change on."""
        start = 0
        for call, old in zip(chain.calls, before.calls, strict=False):
            if call.address != old.address or self._is_changed(call, old):
                break
            start += 1
        at: Any = None
        # A source that is not written is what the element around it holds.
        if start and chain.calls[start - 1].op:
            at = self.recorded.dataset_of(str(chain.calls[start - 1].address))
        known = {old.address: old for old in before.calls}
        for call in chain.calls[start:]:
            key = self._signature(call), id(at)
            if key not in self.built:
                self.built[key] = self._call(call, known.get(call.address), at), self.flat, self.structure
            at, self.flat, self.structure = self.built[key]
        return at

    def _signature(self, call: ChainStage) -> str:
        """What a call is, the same in all lines that read the dataset which it gives."""
        seen = self.recorded.stages.keys() & {call.address, *call.replaces}
        made = sorted(id(self.recorded.made(one)) for one in seen)
        inside = {key: [*map(self._signature, inner.calls)] for key, inner in call.inside.items()}
        flags = call.whole_batches, call.flat, call.again, id(call.build)
        return repr((made, inside, call.op, call.arguments, sorted(call.changed), flags))

    def _is_changed(self, call: ChainStage, old: ChainStage) -> bool:
        return bool(call.changed or call.whole_batches or call.again) or any(
            self._is_changed_line(inner, old.inside[key]) for key, inner in call.inside.items()
        )

    def _is_changed_line(self, line: Chain, old: Chain) -> bool:
        return [call.address for call in line.calls] != [call.address for call in old.calls] or any(
            self._is_changed(call, other) for call, other in zip(line.calls, old.calls, strict=True)
        )

    def _call(self, call: ChainStage, old: ChainStage | None, given: Any) -> Any:
        try:
            if call.build is not None:
                return call.build(given)
            if old is None:
                return self._new(call, given)
            if call.whole_batches:
                return self._on_batches(call, given)
            return self._again(call, old, given)
        except CannotChangeError:
            raise
        except Exception as error:
            if self.refused:
                # AutoGraph has made another error of it.
                raise self.refused[0] from error
            what = "it there" if old is not None else "the new stage"
            msg = f"TensorFlow does not accept {what}: {first_line(error)}"
            raise CannotChangeError(call.address or call.op, msg) from error

    def _new(self, call: ChainStage, given: Any) -> Any:
        address = f"{ADDED}.{next(self.number)}"
        if given is not None and call.flat and not self.flat:
            self.structure = given.element_spec
            given = restructured(given, tuple(components(given.element_spec)))
        made = self.building.step(call.op, call.arguments, given, address)
        self.flat = call.flat and not call.replaces
        return restructured(made, self._structure_of(call, made)) if call.replaces else made

    def _structure_of(self, call: ChainStage, made: Any) -> Any:
        """The structure that elements have where flat stages replaced others."""
        structure = self.structure
        for address in call.replaces:
            if not traits(self.recorded.stages[address].op).same_components:
                structure = self.recorded.dataset_of(address).element_spec
        return with_components(structure, components(made.element_spec))

    def _again(self, call: ChainStage, old: ChainStage, given: Any) -> Any:
        address = call.address
        assert address is not None  # noqa: S101 - for the type checker
        recorded, order = self.recorded.call_of(address)
        arguments = self._arguments(call, old, recorded, order, given)
        if "seed" in recorded.parameters and arguments.get("seed") is None:
            arguments["seed"] = self._seed(address)
        return self._set(call, recorded, arguments)

    def _set(self, call: ChainStage, recorded: Call, arguments: dict[str, Any]) -> Any:
        values = {name: call.arguments.get(name) for name in call.changed}
        values = {name: AUTOTUNE_VALUE if value == AUTOTUNE else value for name, value in values.items()}
        unknown = [name for name in values if name not in [*recorded.parameters, *arguments]]
        if unknown and recorded.method == "flat_map":
            # As TensorFlow's API, it has no such arguments: it is then an interleave.
            values = {name: value for name, value in values.items() if value is not None}
            return arguments.pop("self").interleave(**arguments, **values)
        if unknown:
            raise CannotChangeError(call.address, f"{recorded.method} has no argument {unknown[0]}")
        for name, value in values.items():
            arguments.pop(name, None)
            if value is not None:
                arguments[name] = value
        return recorded.again(arguments)

    def _arguments(
        self, call: ChainStage, old: ChainStage, recorded: Call, order: Sequence[int], given: Any
    ) -> dict[str, Any]:
        """The arguments of a call with the datasets and functions that are changed."""
        import tensorflow as tf

        assert call.address is not None  # noqa: S101 - for the type checker
        arguments = self.recorded.given(call.address, recorded)
        inputs = self.recorded.stages[call.address].inputs
        sides = {
            before.calls[-1].address: (call.inside[key], before)
            for key, before in old.inside.items()
            if before.calls[-1].address in inputs
        }
        instead: list[Any] = []
        for dataset, index in zip(datasets_in(arguments), order, strict=True):
            if index < 0:
                instead.append(dataset)
                continue
            line = sides.get(inputs[index])
            new = given if line is None else self.line(*line)
            if self.recorded.is_of(new, inputs[index]):
                instead.append(dataset)
                continue
            returned = self.recorded.calls.objects(self.recorded.made(inputs[index]))
            if returned and returned[-1].element_spec != dataset.element_spec:
                # As in `ragged_batch`, a private class has given the elements that a call returned another structure.
                new = restructured(new, dataset.element_spec)
            instead.append(_with_options_of(new, dataset))
        left = iter(instead)

        def replaced(value: Any) -> Any:
            return next(left) if isinstance(value, tf.data.Dataset) else value

        arguments = {name: tf.nest.map_structure(replaced, value) for name, value in arguments.items()}
        bodies = [
            (inner, key)
            for key, inner in call.inside.items()
            if old.inside[key].calls[-1].address not in inputs and self._is_changed_line(inner, old.inside[key])
        ]
        if bodies:
            changed = {key: inner for inner, key in bodies}
            keys = iter(key for key in old.inside if old.inside[key].calls[-1].address not in inputs)
            for name in _functions_in(arguments):
                arguments[name] = self._wrapped(arguments[name], call.address, keys, changed)
        if self.scopes is not None and call.again:
            for name in _functions_in(arguments):
                arguments[name] = _in_scope(arguments[name], f"pipeprof_{len(self.scopes)}")
            self.scopes.append(call.address)
        return arguments

    def _wrapped(
        self, function: Callable[..., Any], address: str, keys: Iterator[str], changed: Mapping[str, Chain]
    ) -> Callable[..., Any]:
        """A function whose dataset is built again, with the changes inside it."""
        import tensorflow as tf

        key: str | None = None

        def inside(result: Any) -> Any:
            nonlocal key
            if not isinstance(result, tf.data.Dataset):
                return result
            key = next(keys, "") if key is None else key
            if key not in changed:
                return result
            try:
                # What the function has made from the first change on stays in its graph, where nothing reads it; of
                # this TensorFlow runs what has state, a shuffle, a cache or a source, at each call: it makes them.
                recorded = self.recorded.calls.read(result, ops=self.recorded.ops, prefix=f"{join(address, key)}.")
                builder = _Builder(recorded, self.building, scopes=self.scopes, refused=self.refused)
                return builder.line(changed[key], recorded.chain)
            except CannotChangeError as error:
                self.refused.append(error)
                raise

        # AutoGraph neither converts a function of this kind, nor is it off in what it calls.
        rebuild = functools.lru_cache(maxsize=0)(inside)

        def call(*element: Any) -> Any:
            return rebuild(function(*element))

        return call

    def _on_batches(self, call: ChainStage, batched: Any) -> Any:
        import tensorflow as tf

        assert call.address is not None  # noqa: S101 - for the type checker
        recorded, _ = self.recorded.call_of(call.address)
        arguments = self.recorded.given(call.address, recorded)
        traced, rows = self._traced(call.address), arguments.pop("self").element_spec
        spec = self.recorded.dataset_of(call.address).element_spec
        plain = all(isinstance(one, tf.TensorSpec) for one in components(batched.element_spec))
        if plain and (found := batched.unbatch()).element_spec != rows:
            rows, mapped = found.element_spec, recorded.again({**arguments, "self": found})
            made = self.recorded.calls.lines.created(mapped)
            traced = made.function() if made is not None and made.function is not None else None
            spec = mapped.element_spec

        def make(on_batch: Callable[..., Any]) -> Any:
            return self._set(call, recorded, {"self": batched, **arguments, "map_func": on_batch})

        function = arguments["map_func"]
        return map_on_batches(call.address, function, traced, make, rows=rows, element_spec=spec)

    def _traced(self, address: str) -> Any:
        function = self.recorded.made(address).function
        if function is None or (traced := function()) is None:
            raise CannotChangeError(address, "its function was not seen being traced")
        return traced

    def _seed(self, address: str) -> Any:
        """The seed that a call drew which was given none; None where it drew none."""
        for identity in self.recorded.stages[address].nodes:
            if (seeds := self.recorded.created[identity].facts.seeds) is not None:
                return int(seeds[1]) if any(map(int, seeds)) else None
        return None


def _functions_in(arguments: Mapping[str, Any]) -> list[str]:
    import tensorflow as tf

    return [name for name, value in arguments.items() if callable(value) and not isinstance(value, tf.data.Dataset)]


def _in_scope(function: Callable[..., Any], scope: str) -> Callable[..., Any]:
    import tensorflow as tf

    def scoped(*element: Any) -> Any:
        with tf.name_scope(scope):
            return function(*element)

    return scoped


def restructured(dataset: Any, spec: Any) -> Any:
    """Return the same dataset with elements of another structure."""
    import tensorflow as tf

    made = tf.data.experimental.from_variant(tf.data.experimental.to_variant(dataset), spec)
    # It holds no dataset of Python, and so no functions.
    vars(made)[_KEPT_ALIVE] = dataset
    return _with_options_of(made, dataset)
