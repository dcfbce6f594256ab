"""The Python that a spec renders as builds the graph that the spec builds, node by node, for every example."""

from __future__ import annotations

import json
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
import yaml
from integration import test_calls as calls
from integration import test_sources as sources
from integration import test_stages as stages
from integration.example_data import made, without_services
from integration.test_examples import EXAMPLES, settings, with_every_call

from pipeprof.pipelines.build.context import BuildContext
from pipeprof.pipelines.build.dataset import build, load_arrays
from pipeprof.pipelines.spec.loader import LoadedSpec, load_spec
from pipeprof.pipelines.target.target import load_function, parse_target
from pipeprof.pipelines.to_python.render import render

SPECS = with_every_call(without_services(EXAMPLES.rglob("*.yaml")))
IGNORE_STATE = 1
NO_WORD = re.compile(r"\W")
# Names that TensorFlow makes up, and the name of the stage, which only a spec gives.
# The texts of assertions that TensorFlow's own functions make name tensors with their scopes.
NAME_IN_TEXT = re.compile(rb"[\w./-]+:\d+")
NAMES = {"_class", "metadata", "token", "shared_name", "container", "f_name", "_input_hostmem", "_output_hostmem"}


@pytest.fixture
def modules() -> Iterator[None]:
    """Whatever is imported from a folder of the test is gone afterwards."""
    before, path = set(sys.modules), list(sys.path)
    yield
    for name in set(sys.modules) - before:
        if "/pytest-" in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]
    sys.path[:] = path


def executed(dataset: tf.data.Dataset) -> Any:
    """The graph as TensorFlow would run it."""
    variant = tf.raw_ops.FinalizeDataset(
        input_dataset=tf.data.experimental.to_variant(dataset),
        has_captured_ref=False,
        output_types=dataset._flat_types,
        output_shapes=dataset._flat_shapes,
    )
    text = tf.raw_ops.DatasetToGraphV2(input_dataset=variant, external_state_policy=IGNORE_STATE).numpy()
    assert text
    return tf.compat.v1.GraphDef.FromString(text)


class Canonical:
    """A graph without names: nodes in order, inputs by position, functions in place of their names."""

    def __init__(self, graph: Any) -> None:
        self._library = {function.signature.name: function for function in graph.library.function}
        self.nodes = self._nodes(graph.node, {})

    def _nodes(self, nodes: Any, arguments: dict[str, str]) -> list[Any]:
        positions = {**arguments, **{node.name: f"#{index}" for index, node in enumerate(nodes)}}
        return [
            (node.op, [place(each, positions) for each in node.input], self._attributes(node.attr, positions))
            for node in nodes
        ]

    def _attributes(self, attributes: Any, positions: dict[str, str]) -> list[Any]:
        found = [(key, self._attribute(attributes[key])) for key in sorted(attributes) if key not in NAMES]
        # Nodes that are to be on the device of another one.
        together = (
            [each.decode().removeprefix("loc:@") for each in attributes["_class"].list.s]
            if "_class" in attributes
            else []
        )
        return [*found, [positions.get(name, "in the calling function") for name in together]]

    def _attribute(self, value: Any) -> Any:
        if value.HasField("func"):
            return self.function(value.func.name)
        if value.HasField("list") and value.list.func:
            return [self.function(each.name) for each in value.list.func]
        if value.HasField("tensor"):
            kind = tf.as_dtype(value.tensor.dtype)
            if kind in (tf.resource, tf.variant):
                # A handle: nothing but its name and place.
                return kind.name
            if kind == tf.string:
                texts = [NAME_IN_TEXT.sub(b"a tensor", text) for text in value.tensor.string_val]
                return str(value.tensor.tensor_shape), texts, value.tensor.tensor_content
            array = tf.make_ndarray(value.tensor)
            return kind.name, array.shape, array.tobytes()
        return value.SerializeToString(deterministic=True)

    def function(self, name: str) -> Any:
        """A function's arguments, nodes and results."""
        found = self._library[name]
        arguments = {each.name: f"arg{index}" for index, each in enumerate(found.signature.input_arg)}
        positions = {**arguments, **{node.name: f"#{index}" for index, node in enumerate(found.node_def)}}
        results = [place(found.ret[each.name], positions) for each in found.signature.output_arg]
        types = [each.type for each in (*found.signature.input_arg, *found.signature.output_arg)]
        return types, self._nodes(found.node_def, arguments), results


def ordered(inputs: Iterable[str]) -> list[str]:
    """Inputs in their order, and after them what is only waited for, which TensorFlow sorts by its name."""
    several = list(inputs)
    return [each for each in several if each[0] != "^"] + sorted(each for each in several if each[0] == "^")


def place(text: str, positions: dict[str, str]) -> str:
    """An input by the position of the node it comes from."""
    control = text.startswith("^")
    name, colon, output = text.removeprefix("^").partition(":")
    return ("^" if control else "") + positions[name] + colon + output


def differences(first: Any, second: Any, where: str = "") -> Iterator[str]:
    if isinstance(first, list | tuple) and isinstance(second, list | tuple):
        if len(first) != len(second):
            yield f"{where}: {len(first)} and {len(second)}: {outline(first)} / {outline(second)}"
            return
        for index, (one, other) in enumerate(zip(first, second, strict=True)):
            yield from differences(one, other, f"{where}/{index}")
    elif first != second:
        yield f"{where}: {str(first)[:200]} / {str(second)[:200]}"


def outline(nodes: Any) -> list[str]:
    return [str(node[0])[:60] if isinstance(node, tuple) else str(node)[:60] for node in nodes]


def seeded() -> None:
    """Both sides draw the same seeds."""
    random.seed(1)
    tf.keras.utils.set_random_seed(1)


def from_spec(loaded: LoadedSpec, folders: dict[str, Path]) -> tf.data.Dataset:
    context = BuildContext(loaded.base_dir, folders)
    load_arrays(loaded.spec, context)
    seeded()
    return build(loaded.spec, context)


def from_python(text: str, path: Path) -> tf.data.Dataset:
    path.write_text(text, encoding="utf-8")
    seeded()
    return load_function(parse_target(f"{path}:make_dataset"))()


def check_equal(loaded: LoadedSpec, folders: dict[str, Path], file: Path) -> str:
    text = render(loaded, folders, file.parent)
    written = Canonical(executed(from_spec(loaded, folders))).nodes
    rendered = Canonical(executed(from_python(text, file))).nodes
    assert list(differences(written, rendered)) == [], text
    assert written
    return text


EVERYTHING = EXAMPLES.parent / "tests" / "golden" / "python" / "everything.yaml"


@pytest.fixture(scope="module")
def tidy() -> Iterator[list[Path]]:
    """Files of which ruff's linter and formatter must have nothing to say; they look at all of them at the end."""
    files: list[Path] = []
    yield files
    beside = json.dumps(sorted({str(file.parent) for file in files}))
    for arguments in (["check", "--select", "E,F,I", "--ignore", "E501"], ["format", "--diff"]):
        command = [sys.executable, "-m", "ruff", *arguments, "--isolated", "--no-cache", "--line-length", "100"]
        ran = subprocess.run([*command, "--config", f"src={beside}", *files], capture_output=True, text=True)
        assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.usefixtures("modules")
@pytest.mark.parametrize("path", SPECS, ids=lambda path: str(path.relative_to(EXAMPLES)))
def test_an_example_builds_the_same_graph(path, tmp_path, tidy):
    folder = tmp_path / "beside"
    shutil.copytree(path.parent, folder)
    spec = folder / path.name
    loaded = load_spec(spec, settings(load_spec(spec).data))
    check_equal(loaded, made(loaded), folder / "rendered.py")
    tidy.append(folder / "rendered.py")


@pytest.mark.usefixtures("modules")
def test_every_kind_of_call_and_stage_builds_the_same_graph(tmp_path, tidy):
    spec = tmp_path / "everything.yaml"
    shutil.copy(EVERYTHING, spec)
    check_equal(load_spec(spec), {}, tmp_path / "rendered.py")
    tidy.append(tmp_path / "rendered.py")


@pytest.mark.usefixtures("modules")
def test_the_comparison_sees_what_differs(tmp_path):
    spec = tmp_path / "spec.yaml"
    text = (
        "version: 1\nsource: {range: {stop: 4}}\nstages:\n- map: {ops: [{tf.add: {y: 1}}]}\n- batch: {batch_size: 2}\n"
    )
    spec.write_text(text)
    rendered = render(load_spec(spec), {}, tmp_path)
    written = Canonical(executed(from_spec(load_spec(spec), {}))).nodes
    for number, (old, new) in enumerate(
        [(" + 1", " + 2"), (" + 1", " - 1"), ("batch(2)", "batch(3)"), ("range(4)", "range(5)")]
    ):
        assert old in rendered
        changed = Canonical(executed(from_python(rendered.replace(old, new), tmp_path / f"changed_{number}.py"))).nodes
        assert list(differences(written, changed)) != [], new


@pytest.mark.usefixtures("modules")
def test_a_file_elsewhere_finds_the_functions_of_the_spec(tmp_path):
    folder = tmp_path / "beside"
    shutil.copytree(EXAMPLES / "generator", folder)
    (tmp_path / "out").mkdir()
    check_equal(load_spec(folder / "in_parallel.yaml"), {}, tmp_path / "out" / "rendered.py")


files_of_sources = sources.folder
files_of_calls = calls.folder


# A dataset on a device is read by a function that TensorFlow cannot write down.
NOT_SERIALISED = {"devices"}


def check_parts(folder: Path, source: Any, stages: list[Any], name: str) -> Path:
    """A spec of these parts, in a folder that has the files it names; the Python that it becomes."""
    path = folder / "spec.yaml"
    spec = {"version": 1, "source": source, "stages": stages}
    path.write_text(yaml.safe_dump(spec, sort_keys=False, allow_unicode=True), encoding="utf-8")
    file = folder / f"rendered_{NO_WORD.sub('_', name)}.py"
    check_equal(load_spec(path), {}, file)
    return file


@pytest.mark.usefixtures("modules", "without_autograph")
@pytest.mark.parametrize("name", sorted(stages.CASES.keys() - NOT_SERIALISED))
def test_stages_build_the_same_graph(name, tmp_path, tidy):
    (tmp_path / "functions.py").write_text(stages.FUNCTIONS)
    source, steps, _ = stages.CASES[name]
    tidy.append(check_parts(tmp_path, source, steps, name))


@pytest.mark.usefixtures("modules", "without_autograph")
@pytest.mark.parametrize("name", sources.CASES)
def test_sources_build_the_same_graph(name, files_of_sources, tidy):
    source, steps, _ = sources.CASES[name]
    tidy.append(check_parts(files_of_sources, source, steps, name))


@pytest.mark.usefixtures("modules")
@pytest.mark.parametrize("name", [*calls.RESULTS, *(f"drawn {name}" for name in calls.DRAWS)])
def test_calls_build_the_same_graph(name, files_of_calls, tidy):
    tensors, ops, _ = calls.RESULTS[name] if name in calls.RESULTS else calls.DRAWS[name.removeprefix("drawn ")]
    steps = [{"map": {"ops": ops}}]
    tidy.append(check_parts(files_of_calls, {"from_tensors": {"tensors": tensors}}, steps, name))
