"""What is refused about elements before anything runs: TensorFlow refuses it too, and nothing else is refused."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
import yaml
from integration import example_data
from integration.some_specs import some_spec
from integration.test_elements import _described, _plain
from integration.test_ops_tensorflow import _calls
from unit.inference.flow_cases import ACCEPTED, HEAD, REFUSED, as_spec

from pipeprof.pipelines.build.allowlist import resolve
from pipeprof.pipelines.build.arrays import BuildContext
from pipeprof.pipelines.build.dataset import build, load_arrays
from pipeprof.pipelines.build.pinned import BuildError
from pipeprof.pipelines.check import check_spec, find_element_faults
from pipeprof.pipelines.inference.calls import TRIED, InputTypes, needs, requirements
from pipeprof.pipelines.inference.pipeline import element_specs
from pipeprof.pipelines.inference.tensor.shapes import Nested, Tensor
from pipeprof.pipelines.ops.functions.catalog import function
from pipeprof.pipelines.spec.diagnostics import SpecError
from pipeprof.pipelines.spec.load import LoadedSpec, load_spec

REFUSALS = (TypeError, ValueError, AttributeError, IndexError, KeyError, AssertionError, NotImplementedError)
ERRORS = (*REFUSALS, tf.errors.OpError)
LARGEST_RANK = 5
TEXTS = "import tensorflow as tf\n\n\ndef f(x):\n    return tf.strings.as_string(tf.stack([x, x]))\n"
SOME = 12
"""Elements that are looked at: what TensorFlow refuses in the first of them, or not at all."""


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The inputs of the specs."""
    path = tmp_path_factory.mktemp("made") / "spec.yaml"
    path.write_text(as_spec("source: {range: {stop: 1}}"))
    return example_data.made(load_spec(path))


def _tensorflows_error(loaded: LoadedSpec, made: dict[str, Path], *, run: bool = True) -> Exception | None:
    """What TensorFlow says when it builds the pipeline and gives some of its elements."""
    context = BuildContext(loaded.base_dir, made, 1)
    try:
        load_arrays(loaded.data, context)
        dataset = build(loaded.data, context)
        if run:
            for _ in dataset.take(SOME):
                pass
    except (BuildError, *ERRORS) as error:
        return error
    return None


@pytest.mark.parametrize("name", REFUSED)
def test_tensorflow_refuses_what_is_refused(name: str, tmp_path: Path, made: dict[str, Path]) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text(as_spec(REFUSED[name]))

    assert _tensorflows_error(load_spec(path), made) is not None


@pytest.mark.parametrize("name", ACCEPTED)
def test_tensorflow_runs_what_only_looks_like_it(name: str, tmp_path: Path, made: dict[str, Path]) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text(as_spec(ACCEPTED[name]))
    (tmp_path / "f.py").write_text(TEXTS)

    assert _tensorflows_error(check_spec(path), made) is None


def _placeholder(dtype: str, shape: Any) -> Any:
    return tf.compat.v1.placeholder(tf.as_dtype(dtype), shape)


def _is_dense(value: Any) -> bool:
    return tf.is_tensor(value) and not isinstance(value, tf.SparseTensor | tf.RaggedTensor)


def _stand_in(value: Any) -> Any:
    """A placeholder for an input of a sample call."""
    if isinstance(value, tf.SparseTensor):
        return tf.compat.v1.sparse_placeholder(value.dtype, value.shape)
    if isinstance(value, tf.RaggedTensor):
        return tf.compat.v1.ragged.placeholder(value.dtype, 1)
    return _placeholder(value.dtype, value.shape) if _is_dense(value) else value


class _Call:
    """A call with placeholders of one graph for its inputs."""

    def __init__(self, name: str, given: dict[str, Any]) -> None:
        self.given = given
        self._function, self._graph = resolve(name), tf.Graph()
        with self._graph.as_default():
            self._inputs = {key: _stand_in(value) if key != "key" else value for key, value in given.items()}

    def is_taken(self, /, **changed: Callable[[], Any]) -> bool:
        """Whether TensorFlow takes it, with some of its inputs made otherwise."""
        with self._graph.as_default():
            try:
                self._function(**self._inputs | {key: make() for key, make in changed.items()})
            except ERRORS:
                return False
        return True


def _base(name: str) -> _Call:
    """A call that TensorFlow takes."""
    called = function(name)
    assert called is not None
    calls = (_Call(name, given) for given in itertools.islice(_calls(called), 40))
    return next(call for call in calls if call.is_taken())


def _wrong_inputs(
    parameter: str, need: InputTypes, given: dict[str, Any]
) -> Iterator[tuple[str, dict[str, Callable[[], Any]]]]:
    """Inputs that a need does not allow, alone and with all others of the same dtype."""
    value = given[parameter]
    if "sparse" not in need.kinds:
        yield "sparse", {parameter: lambda: tf.compat.v1.sparse_placeholder(tf.float32, [None, None])}
    if "ragged" not in need.kinds:
        for dtype, rank, row in ((tf.float32, 1, ()), (tf.int64, 2, (3,)), (tf.string, 1, (3,)), (tf.string, 2, ())):
            yield (
                f"ragged {rank} {row}",
                {parameter: lambda made=(dtype, rank, row): tf.compat.v1.ragged.placeholder(*made)},
            )
    yield "mapping", {parameter: lambda: {"a": _stand_in(value)}}
    if "dense" not in need.kinds:
        yield "dense", {parameter: lambda: _placeholder("float32", [2, 2])}
    if not _is_dense(value):
        return
    same = [key for key, other in given.items() if _is_dense(other) and key != "key" and other.dtype == value.dtype]
    groups = [[parameter], same] if same != [parameter] else [same]
    for dtype in TRIED:
        if not need.allows_dtype(dtype):
            for group in groups:
                yield dtype, {key: lambda key=key, dtype=dtype: _placeholder(dtype, given[key].shape) for key in group}
    for rank in range(LARGEST_RANK + 1):
        if not need.allows_rank(rank):
            yield f"rank {rank}", {parameter: lambda rank=rank: _placeholder(value.dtype, [None] * rank)}


@pytest.mark.parametrize("name", sorted(requirements()))
def test_tensorflow_refuses_what_a_function_does_not_take(name: str) -> None:
    call = _base(name)
    taken = {
        (parameter, what)
        for parameter, need in needs(name).items()
        if parameter in call.given
        for what, changed in _wrong_inputs(parameter, need, call.given)
        if call.is_taken(**changed)
    }

    assert not taken


GENERATED = 40
ENDLESS = ("counter", "random: {", "repeat: {}", "repeat:\n")


def _fits(static: Any, traced: Any) -> bool:
    """Whether everything that is said is so; of a shape either all or nothing."""
    if static is None:
        return True
    if isinstance(static, dict):
        return static.keys() == traced.keys() and all(_fits(static[key], traced[key]) for key in static)
    if isinstance(static, tuple):
        return len(static) == len(traced) and all(map(_fits, static, traced))
    if isinstance(static, Nested):
        return isinstance(traced, Nested) and _fits(static.structure, traced.structure)
    return static == traced or (static.shape is None and static == Tensor(traced.dtype, None, traced.kind))


def test_generated_specs_are_refused_only_if_tensorflow_refuses_them(tmp_path: Path, made: dict[str, Path]) -> None:
    refused = accepted = known = 0
    for seed in range(GENERATED):
        text = HEAD + yaml.safe_dump(some_spec(seed), sort_keys=False)
        path = tmp_path / "spec.yaml"
        path.write_text(text)
        try:
            loaded = load_spec(path)
        except SpecError:
            continue
        faults = find_element_faults(loaded.spec, tmp_path)
        strict = element_specs(loaded.spec, loaded.base_dir, strict=True)
        # What has no end may also never give an element.
        error = _tensorflows_error(loaded, made, run=not any(word in text for word in ENDLESS))
        if faults:
            assert error is not None or any(word in text for word in ENDLESS), (faults, text)
            refused += 1
            continue
        accepted += 1
        if isinstance(error, BuildError):
            continue
        last = list(strict)[-1] if not loaded.spec.stages else f"stages.{len(loaded.spec.stages) - 1}"
        dataset = build(loaded.data, BuildContext(loaded.base_dir, made, 1))
        found, traced = _plain(strict[last].structure), _described(dataset.element_spec)
        assert _fits(found, traced), (found, traced, text)
        cardinality = int(dataset.cardinality())
        assert strict[last].cardinality in (None, cardinality), (strict[last].cardinality, cardinality, text)
        known += found == traced

    assert min(refused, accepted, known) >= GENERATED // 10
