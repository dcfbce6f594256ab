"""`init --from file.py:function`: the spec is valid and gives the same graph as the function."""

from __future__ import annotations

import inspect
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from integration import forked
from integration.described import described, folder_of, words
from integration.example_data import made
from integration.test_examples import EXAMPLES, TARGETS, settings, with_every_call
from integration.test_examples import SPECS as EXAMPLE_SPECS
from integration.test_gallery import SPECS, small

from pipeprof.pipelines.build.context import BuildContext
from pipeprof.pipelines.build.dataset import build, load_arrays
from pipeprof.pipelines.errors import UsageError
from pipeprof.pipelines.from_python.call_recorder import CallRecorder
from pipeprof.pipelines.from_python.graphs import GraphPair, compare
from pipeprof.pipelines.from_python.literals import Folders
from pipeprof.pipelines.from_python.pipeline import Describer
from pipeprof.pipelines.from_python.reading import Recorder
from pipeprof.pipelines.graph.observe.build_hook import BuildHook
from pipeprof.pipelines.spec.loader import load_spec
from pipeprof.pipelines.spec.models import Spec
from pipeprof.pipelines.target.user_files import is_users

WHOLE = {
    "photos": "list_files shuffle map batch prefetch",
    "photos_and_labels": "from_tensor_slices map cache repeat batch",
    "photos_zipped": "zip shuffle batch",
    "records_interleaved": "list_files interleave map shuffle batch prefetch",
    "records_listed": "TFRecordDataset map batch",
    "records_nested": "list_files repeat interleave batch",
    "text": "TextLineDataset skip filter map padded_batch",
    "lengths": "TextLineDataset map filter take enumerate",
    "table": "CsvDataset map batch",
    "mappings": "from_tensor_slices map map batch",
    "windows": "range window flat_map map shuffle batch prefetch",
    "pairs_of_windows": "range map window flat_map unbatch",
    "mixed": "sample_from_datasets concatenate batch",
    "from_a_generator": "from_generator padded_batch",
    "grouped": "range group_by_window",
    "random_numbers": "from_tensor_slices map map batch",
    "flipped": "from_tensor_slices map enumerate map",
    "by_index": "range map window",
    "from_a_folder": "image_dataset_from_directory",
    "looked_up": "TextLineDataset map map bucket_by_sequence_length",
    "layered": "from_tensor_slices map batch map",
    "layered_model": "from_tensor_slices map batch",
    "lines_of_a_table": "TextLineDataset skip map batch",
    "sharded": "range shard assert_cardinality batch snapshot",
    "numbers_first": "range map map batch",
    "measured": "TextLineDataset map bucket_by_sequence_length",
    "same_order_twice": "range shuffle skip concatenate",
    "cached_and_kept": "range cache map snapshot",
    "seeded": "range shuffle map batch",
    "unchanged": "zip map map map batch",
    "changing_its_element": "from_tensor_slices map batch",
    "with_lists": "range map batch",
    "changing_what_it_was_given": "TFRecordDataset map padded_batch",
    "decorated": "zip batch",
    "decorated_inside": "range map batch",
    "of_tensorflow_1": "list_files interleave map ignore_errors shuffle batch prefetch",
}
PARTLY = {
    "with_a_branch": ("range map map batch", "map brighten"),
    "decorated_branch": ("range map map batch", "map: calls as_written.py:brighten as Python"),
    "with_numpy": ("range map batch", None),
    "with_a_call": ("range map map batch", "map: calls as_written.py:brighten as Python"),
    "after_a_function": ("python shuffle batch", "the lambda cannot be written as YAML, since"),
    "around_a_function": ("range apply batch", "the lambda cannot be written as YAML, since"),
    "in_python": ("python batch", "it is a lambda without a name"),
    "local_generator": ("python batch", "it is defined inside local_generator()"),
    "arrays": ("python shuffle batch", "--save-arrays"),
    "with_step": ("range batch", "step"),
    "seeded_in_python": ("python batch", "it is a lambda without a name"),
    "shape_set": ("range shuffle map batch prefetch", "map shaped: stays Python"),
    "used_twice": ("python", "shared by several datasets in the function"),
    "cached_twice": ("python", "shared by several datasets in the function"),
    "called_twice": ("python batch", "shared by several datasets in the function"),
    "with_names": ("python batch", "elements are Pair(int64, int64) and (int64, int64)"),
    "by_an_object": ("python batch", "it is an object (Rows)"),
    "of_ragged": ("python", "tensors is a RaggedTensor"),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What the functions read."""
    with folder_of("as_written.py", tmp_path_factory.mktemp("files")) as folder:
        yield folder


@pytest.fixture(autouse=True)
def unseeded() -> None:
    """Functions that set the seed set it for the whole process."""
    tf.random.set_seed(None)


@pytest.mark.parametrize("name", WHOLE)
def test_a_function_is_told_whole(name: str, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(files)
    answer = described(f"as_written.py:{name}", files)

    assert answer["unsaid"] == []
    assert (answer["equal"], answer["differences"]) == (True, [])
    assert words(answer) == WHOLE[name]


@pytest.mark.parametrize("name", PARTLY)
def test_what_cannot_be_told_stays_in_python(name: str, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(files)
    answer = described(f"as_written.py:{name}", files)

    expected, unsaid = PARTLY[name]
    assert (answer["equal"], answer["differences"]) == (True, [])
    assert words(answer) == expected
    assert unsaid in "\n".join(answer["unsaid"]) if unsaid else answer["unsaid"] == []


def test_names_of_files_that_are_looked_at_are_said_to_be_others(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(files)
    answer = described("as_written.py:class_of_name", files)

    (said,) = answer["warnings"]
    assert "File names in the elements are absolute" in said
    assert "'photos/0/0.jpg'" in said
    assert f"# {said}" in answer["text"]
    assert answer["unsaid"] == []
    # Where nothing looks at the names there is nothing to be said.
    for name in ("photos", "text", "records_interleaved"):
        assert described(f"as_written.py:{name}", files)["warnings"] == []


def test_a_graph_that_cannot_be_compared_is_said_in_the_spec(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(files)
    answer = described("as_written.py:on_a_device", files)

    assert words(answer) == "range batch prefetch_to_device"
    assert answer["equal"] is None
    assert "# Not verified against the graph of the function: " in answer["text"]


def test_a_tensorflow_that_traces_in_another_way_leaves_functions_in_python(
    files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(files)
    monkeypatch.delattr(inspect.getmodule(inspect.unwrap(tf.data.Dataset.batch)), "structured_function")
    answer = described("as_written.py:photos", files)

    assert answer["equal"] is True
    assert words(answer) == WHOLE["photos"]
    assert answer["data"]["stages"][1]["map"] == {"python": "as_written.py:load", "num_parallel_calls": "AUTOTUNE"}
    assert "map load: stays Python: pipeprof could not see which calls it makes" in answer["unsaid"][0]
    assert "this TensorFlow version traces functions in an unknown way" in answer["unsaid"][1]


def test_arrays_are_saved_where_that_is_asked_for(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(files)
    answer = described("as_written.py:arrays", files, arrays="spec")

    assert words(answer) == "from_tensor_slices shuffle batch"
    assert answer["data"]["source"]["from_tensor_slices"]["tensors"] == [{"npy": "spec_1.npy"}, {"npy": "spec_2.npy"}]
    assert np.load(files / "spec_1.npy").shape == (500, 4)
    assert answer["equal"] is True


def test_arrays_replace_no_file_unless_that_is_forced(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(files)
    (files / "mine_1.npy").write_bytes(b"mine")
    with pytest.raises(UsageError, match="exists; use --force"):
        described("as_written.py:arrays", files, arrays="mine")
    assert (files / "mine_1.npy").read_bytes() == b"mine"
    described("as_written.py:arrays", files, arrays="mine", force=True)
    assert np.load(files / "mine_1.npy").shape == (500, 4)


def test_arguments_are_told_and_given_to_python(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(files)
    answer = described("as_written.py:given", files, arguments=[["batch_size", "3"], ["shuffled", "no"]])
    assert answer["data"]["stages"] == [{"batch": {"batch_size": 3}}]
    answer = described("as_written.py:given_in_python", files, arguments=[["batch_size", "3"]])
    assert answer["data"]["source"] == {"python": {"function": "as_written.py:given_in_python(..., batch_size=3)"}}
    assert answer["equal"] is True


def test_paths_are_those_of_the_specs_folder(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(files)
    (files / "specs").mkdir(exist_ok=True)
    answer = described("as_written.py:photos", files / "specs")

    assert answer["data"]["source"]["list_files"]["file_pattern"] == "../photos/*/*.jpg"
    assert answer["equal"] is True


# `from_lists` is left out: TensorFlow takes long to make a tensor of millions of Python's numbers, and does so twice.
@pytest.mark.parametrize("target", [target for target in TARGETS if "lists" not in target])
def test_sources_of_the_examples_stay_in_python(target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "examples"
    shutil.copytree((EXAMPLES / target).parent, folder)
    tables = folder / "tables.py"
    if tables.exists():
        text = tables.read_text()
        assert "BLOCKS, ROWS, COLUMNS = 25," in text
        tables.write_text(text.replace("BLOCKS, ROWS, COLUMNS = 25,", "BLOCKS, ROWS, COLUMNS = 2,"))
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))
    answer = described(target.rpartition("/")[2], tmp_path)

    # Sources that no YAML could hold: arrays of many megabytes, a generator that is no function of the file's.
    assert words(answer).split()[0] == "python"
    assert "map" not in words(answer)
    assert len(answer["unsaid"]) >= 1
    assert answer["equal"] is True


def name_of(path: Path) -> str:
    return path.relative_to(EXAMPLES).as_posix()


@pytest.mark.parametrize("path", with_every_call([*SPECS, *EXAMPLE_SPECS]), ids=name_of)
def test_specs_come_back_from_what_they_build(path: Path, tmp_path: Path) -> None:
    loaded = load_spec(path)
    loaded = small(loaded) if path in SPECS else load_spec(path, settings(loaded.data))
    context = BuildContext(loaded.base_dir, made(loaded))
    load_arrays(loaded.spec, context)
    watch = CallRecorder(tf, layers="keras" in path.read_text(encoding="utf-8"))
    with BuildHook(listener=watch.listen):
        dataset = build(loaded.spec, context)
    assert watch.problem is None
    reader = Recorder(tf, watch, is_users)
    recording = reader.read(dataset)
    saved: dict[int, str] = {}
    describer = Describer(recording, Folders(tmp_path, Path.cwd(), saved))
    data = describer.describe("a").data
    for number, name in saved.items():
        np.save(tmp_path / name, reader.arrays[number])
    spec = Spec.model_validate(data)
    again = BuildContext(tmp_path)
    load_arrays(spec, again)

    assert compare(GraphPair(tf, dataset, 0), GraphPair(tf, build(spec, again), 0)) == ([], [])


def parts() -> Iterator[tf.data.Dataset]:
    yield tf.data.Dataset.range(3)
    yield tf.data.Dataset.range(3, 6)


def joined() -> tf.data.Dataset:
    first, second = parts()
    return first.concatenate(second)


def test_a_generator_that_yields_datasets_is_no_function_that_gives_one() -> None:
    watch = CallRecorder(tf, own=lambda file: file == __file__)
    with BuildHook(listener=watch.listen):
        joined()
    assert watch.problem is None
    assert [call.function.__name__ for call in watch.used] == ["joined"]
    assert [call.public.name for call in watch.seen] == ["range", "range", "concatenate"]


OPTIONS = """
import argparse
import sys
print("PATH", sys.path)
import own
try:
    import beside
except ImportError:
    print("not beside")
if __name__ == "__main__":
    sys.exit()
import tensorflow as tf
parser = argparse.ArgumentParser()
parser.add_argument("--count", type=int, default=5)
OPTIONS = parser.parse_args()
tf.config.threading.set_inter_op_parallelism_threads(2)
def odd(number):
    if number > 3:
        return number
    return -number
def rows():
    return tf.data.Dataset.range(OPTIONS.count).map(odd).batch(2)
def leaves():
    raise SystemExit("no data")
"""
OF_A_PACKAGE = """
import tensorflow as tf
from .tools import size
def rows():
    return tf.data.Dataset.range(9).map(lambda x: x if x > 3 else -x).batch(size)
"""


def test_a_file_finds_what_it_would_as_a_script_and_the_command_says_what_it_did(tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "options.py").write_text(OPTIONS)
    (tmp_path / "project" / "own.py").write_text("")
    for name in ("dill", "beside"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('the wrong one')\n")

    arguments = ["init", "--from", "project/options.py:rows", "--out", "rows.yaml"]
    command = [sys.executable, "-c", "from pipeprof.cli.main import main; main()", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    script = subprocess.run([sys.executable, "project/options.py"], cwd=tmp_path, capture_output=True, text=True)
    (path, alone) = script.stdout.splitlines()
    assert path in done.stdout + done.stderr
    assert alone == "not beside"
    assert alone in done.stdout + done.stderr
    assert "Wrote rows.yaml: a source and 2 stages." in done.stderr
    reason = "project/options.py:17: map odd: stays Python: it has an `if` or a loop that depends on values"
    assert reason in done.stderr
    assert "Verified: TensorFlow builds the same graph" in done.stderr
    assert "Next: pipeprof run rows.yaml" in done.stderr
    loaded = load_spec(tmp_path / "rows.yaml")
    assert loaded.spec.name == "rows"
    assert loaded.data["source"] == {"range": {"stop": 5}}
    left = forked.run(["init", "--from", "project/options.py:leaves", "--out", "leaves.yaml"], tmp_path)
    assert left.returncode == 5
    assert "project/options.py:24: sys.exit('no data')" in left.stderr


def test_a_file_of_a_package_is_imported_as_a_part_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name, text in (("__init__", ""), ("tools", "size = 4"), ("rows", OF_A_PACKAGE)):
        (tmp_path / "garden_of_rows").mkdir(exist_ok=True)
        (tmp_path / "garden_of_rows" / f"{name}.py").write_text(text)
    answer = described("garden_of_rows.rows:rows", tmp_path)
    assert answer["equal"] is True
    assert answer["data"]["source"] == {"python": {"function": "garden_of_rows/rows.py:rows", "without": ["batch"]}}
    # As in a process of its own, where nothing is there yet.
    for name in [name for name in sys.modules if name.startswith("garden_of_rows")]:
        monkeypatch.delitem(sys.modules, name)
    spec = load_spec(tmp_path / "spec.yaml").spec
    assert [batch.shape[0] for batch in build(spec, BuildContext(tmp_path))] == [4, 4, 1]
