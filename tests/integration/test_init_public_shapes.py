"""`init --from file.py:function` on pipelines of the shapes that public code has.

Of each: which stages stay stages, and what the Python part before them ends with. Each spec is valid, is editable by
`--set`, and gives the function's elements.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import tensorflow as tf
from integration.described import described, folder_of, words

from pipeprof.cli.main import invoke
from pipeprof.pipelines.build.context import BuildContext
from pipeprof.pipelines.build.dataset import build, load_arrays
from pipeprof.pipelines.build.pin_errors import BuildError
from pipeprof.pipelines.spec.loader import load_spec
from pipeprof.profiles.worker.load_function import call_target


class Shape(NamedTuple):
    """A function's spec: its source and stages, the end of its Python part, and the reason."""

    stages: str
    python: str | None = None
    reason: str | None = None


IF = "it has an `if` or a loop that depends on values"
SHAPES = {
    "image_folder": Shape("image_dataset_from_directory map cache prefetch"),
    "by_factory": Shape("from_tensor_slices map cache repeat batch prefetch", None, f"stays Python: {IF}"),
    "by_local_closure": Shape("python cache shuffle batch prefetch", "map", "defined inside by_local_closure()"),
    "sharded_images": Shape("list_files interleave map shuffle repeat batch with_options prefetch", None, IF),
    "sharded_small_images": Shape("TFRecordDataset map batch prefetch", None, IF),
    "loader_class": Shape("python filter shuffle batch prefetch", "map", "a method of an object (Loader)"),
    "loader_rows": Shape("TFRecordDataset map batch"),
    "loader_evaluation": Shape("TFRecordDataset map filter batch", None, IF),
    "Split.train": Shape("TextLineDataset skip map padded_batch prefetch", None, IF),
    "text_with_table": Shape("TextLineDataset map map filter padded_batch prefetch"),
    "text_with_a_learned_table": Shape("python cache prefetch", "map", "a lambda without a name"),
    "generator_source": Shape("python cache shuffle batch prefetch", "from_generator", "inside generator_source()"),
    "records_by_lambda": Shape("list_files interleave shuffle batch prefetch"),
    "windows": Shape("python window flat_map shuffle map batch prefetch", "from_tensor_slices", "--save-arrays"),
    "windows_by_keras": Shape("python map prefetch", "timeseries_dataset_from_array", "--save-arrays"),
    "zipped": Shape("zip cache shuffle batch prefetch", None, IF),
    "sampled": Shape("python take batch prefetch", "sample_from_datasets", IF),
    "balanced": Shape("sample_from_datasets map take batch"),
    "in_memory": Shape("python shuffle map batch prefetch", "from_tensor_slices", "--save-arrays"),
    "seeded": Shape("python shuffle batch shuffle prefetch", "map", "a lambda without a name"),
    "seeded_by_keras": Shape("image_dataset_from_directory map shuffle batch prefetch"),
    "seed_of_its_own": Shape("python batch map prefetch", "map", "a lambda without a name"),
    "tail": Shape("python repeat repeat batch cache prefetch", "map", "a lambda without a name"),
    "applied": Shape("range batch apply unbatch batch", None, "a lambda without a name"),
    "by_bucket": Shape("python bucket_by_sequence_length map prefetch", "map", "defined inside by_bucket()"),
}
# Their sources need arrays, which may be saved.
SAVED = {
    "windows": "from_tensor_slices window flat_map shuffle map batch prefetch",
    "windows_by_keras": "timeseries_dataset_from_array map prefetch",
    "in_memory": "from_tensor_slices shuffle map batch prefetch",
}
FUNCTIONS = {
    "by_factory": (0, "make_preprocess(factor=2.0, limit=0.4)"),
    "sharded_images": (1, "parse_image(..., size=8, training=True)"),
    "sharded_small_images": (0, "parse_small"),
    "loader_evaluation": (1, "Loader.positive"),
    "Split.train": (1, "Split.decode"),
    "applied": (1, "normalise(..., mean=2.0)"),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What the functions read."""
    with folder_of("public_shapes.py", tmp_path_factory.mktemp("files")) as folder:
        yield folder


@pytest.fixture(autouse=True)
def _at_home(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Functions that set the seed set it for the whole process."""
    monkeypatch.chdir(files)
    tf.random.set_seed(None)


def plain(element: Any) -> Any:
    """An element as lists."""
    if isinstance(element, dict):
        return {key: plain(value) for key, value in element.items()}
    if isinstance(element, tuple):
        return tuple(map(plain, element))
    return np.asarray(element).tolist()


def elements(dataset: Any) -> list[Any]:
    return [plain(element) for element in dataset]


def reseeded() -> None:
    random.seed(3)
    np.random.seed(3)
    tf.random.set_seed(None)


def built(path: Path, *overrides: str) -> Any:
    loaded = load_spec(path, list(overrides))
    context = BuildContext(loaded.base_dir)
    load_arrays(loaded.spec, context)
    return build(loaded.spec, context)


@pytest.mark.parametrize("name", SHAPES)
def test_the_stages_after_the_last_one_that_python_must_make_stay_stages(name: str, files: Path, capfd) -> None:
    shape = SHAPES[name]
    answer = described(f"public_shapes.py:{name}", files)

    assert words(answer) == shape.stages
    assert (answer["python"] or "").partition(" (")[0] == (shape.python or "")
    assert bool(answer["unsaid"]) == (shape.reason is not None)
    if shape.reason is not None:
        assert any(shape.reason in reason for reason in answer["unsaid"])
        assert not any(". " in reason for reason in answer["unsaid"])
    stages = answer["data"]["stages"]
    if shape.python is not None:
        assert answer["data"]["source"]["python"]["function"] == f"public_shapes.py:{name}"
    if name in FUNCTIONS:
        index, function = FUNCTIONS[name]
        assert next(iter(stages[index].values()))["python"] == f"public_shapes.py:{function}"
    # Seeds drawn anew in each call give other elements as well.
    if name == "seed_of_its_own":
        assert answer["why"] == f"public_shapes.py:{name} builds another graph in each call (random seed)"
    else:
        assert (answer["equal"], answer["differences"]) == (True, [])
        reseeded()
        expected = elements(call_target(f"public_shapes.py:{name}").dataset)
        reseeded()
        assert elements(built(files / "spec.yaml")) == expected
    last = next(iter(stages[-1]))
    argument = "buffer_size" if last == "prefetch" else "batch_size"
    change = f"stages.{len(stages) - 1}.{argument}=7"
    assert invoke(["check", "spec.yaml", "--set", change]) == 0, capfd.readouterr()
    assert vars(load_spec(files / "spec.yaml", [change]).spec.stages[-1])[argument] == 7


@pytest.mark.parametrize("name", SAVED)
def test_arrays_are_written_where_that_is_asked_for(name: str, files: Path) -> None:
    answer = described(f"public_shapes.py:{name}", files, arrays=f"{name}_array", force=True)

    assert words(answer) == SAVED[name]
    assert (answer["unsaid"], answer["equal"], answer["python"]) == ([], True, None)
    saved = sorted(path.name for path in files.glob(f"{name}_array_*.npy"))
    assert saved
    assert all(file in answer["text"] for file in saved)
    assert elements(built(files / "spec.yaml")) == elements(call_target(f"public_shapes.py:{name}").dataset)


def test_arguments_are_filled_in(files: Path) -> None:
    answer = described("public_shapes.py:loader_class", files, arguments=[["batch_size", "2"]])

    source = answer["data"]["source"]["python"]
    assert source["function"] == "public_shapes.py:loader_class(..., batch_size=2)"
    assert source["without"] == ["filter", "shuffle", "batch", "prefetch"]
    assert elements(built(files / "spec.yaml", "stages.2.batch_size=5"))[0]["label"] != []


def test_a_function_that_ends_with_other_stages_is_an_error(files: Path) -> None:
    described("public_shapes.py:tail", files)
    text = (files / "spec.yaml").read_text(encoding="utf-8")
    (files / "spec.yaml").write_text(text.replace("[repeat, repeat,", "[repeat, shuffle,"), encoding="utf-8")
    with pytest.raises(BuildError, match=r"tail ends with repeat, repeat, batch, cache, prefetch, with_options"):
        built(files / "spec.yaml")
