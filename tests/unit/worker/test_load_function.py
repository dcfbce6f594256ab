"""Loading a function's dataset: TensorFlow's version or absence, what was returned, and files read as changed."""

from __future__ import annotations

import importlib
import importlib.machinery
import inspect
import io
import runpy
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeprof.pipelines.errors import UsageError
from pipeprof.profiles.worker.pipeline import (
    NoTensorFlowError,
    describe_returned,
    import_tensorflow,
    read_instead,
    require_tensorflow,
)


def test_a_version_that_is_too_old_is_told_with_what_helps() -> None:
    for version in ("2.18.0", "2.18.1-rc0", "2.21.0", "3.0.0", "2.100.0", "unknown"):
        require_tensorflow(version)
    for version in ("2.17.1", "2.9.0", "1.15.5"):
        with pytest.raises(UsageError) as caught:
            require_tensorflow(version)
        assert str(caught.value) == (
            f"TensorFlow {version} is installed; pipeprof needs 2.18 or newer: pip install 'tensorflow>=2.18'"
        )


class Refuses:
    """Stands in the way of an import."""

    def __init__(self, error: ImportError) -> None:
        self.error = error

    def find_spec(self, name: str, *_arguments: object) -> None:
        if name == "tensorflow":
            raise self.error


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ModuleNotFoundError("No module named 'tensorflow'", name="tensorflow"), "TensorFlow is not installed for "),
        (
            ImportError("libfoo.so: cannot open\nshared object file"),
            "TensorFlow cannot be imported (libfoo.so: cannot open shared object file): repair it, e.g. ",
        ),
        (
            ModuleNotFoundError("No module named 'wrapt'", name="wrapt"),
            "TensorFlow cannot be imported (No module named 'wrapt'): repair it, e.g. ",
        ),
    ],
)
def test_what_cannot_be_imported_is_told_with_what_helps(
    error: ImportError, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Refuses(error), *sys.meta_path])
    with pytest.raises(NoTensorFlowError) as caught:
        import_tensorflow()
    assert str(caught.value).startswith(words)
    assert str(caught.value).endswith(f"{sys.executable} -m pip install 'tensorflow>=2.18'")


def thing(*names: str) -> Any:
    """An object of a class `module.Name`, derived from the others in order."""
    kind: Any = object
    for name in reversed(names):
        module, _, last = name.rpartition(".")
        kind = type(last, (kind,), {"__module__": module})
    return kind()


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (thing("datasets.arrow_dataset.Dataset"), "a Hugging Face dataset; return dataset.to_tf_dataset("),
        (thing("torch.utils.data.dataset.Mine", "torch.utils.data.dataset.Dataset"), "a torch Dataset; pipeprof"),
        (thing("torch.Tensor"), "a torch tensor; wrap it"),
        (thing("tensorflow_datasets.core.x._IterableDataset"), "a dataset as numpy; return the dataset without tfds"),
        (thing("tensorflow.r.RaggedTensor", "tensorflow.c.CompositeTensor"), "a tensor; wrap it with tf.data"),
        (
            thing("tensorflow.d.A", "tensorflow.t.DistributedDatasetInterface", "tensorflow.c.CompositeTensor"),
            "a distributed dataset; return the dataset that goes into the strategy",
        ),
        (thing("tensorflow.x.TensorSpec", "tensorflow.x.TypeSpec"), "the spec of an element; return the dataset"),
        (thing("pandas.core.series.Series"), "a pandas Series; wrap it"),
        (thing("mine.input.Sequence"), "a mine.Sequence; expected"),
        (thing("keras.src.x.Mine", "keras.src.x.PyDataset"), "a Keras PyDataset"),
        (thing("tensorflow.python.NumpyIterator"), "an iterator of a dataset as numpy; return the dataset itself"),
        (thing("keras.src.models.Sequential", "keras.src.layers.Layer"), "a Keras layer or model; return the dataset"),
        ((thing("x.DatasetV2"), None), "a tuple; return the dataset alone"),
        ([], "a list; expected a tf.data.Dataset"),
        (3, "an int; expected"),
    ],
)
def test_what_would_help_is_said(result: Any, words: str) -> None:
    said = describe_returned(result)
    assert said.startswith(words)
    assert "\n" not in said


def test_files_are_imported_and_run_with_their_other_texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(io, "open_code", io.open_code)
    loader = importlib.machinery.SourceFileLoader
    monkeypatch.setattr(loader, "get_code", loader.get_code)
    monkeypatch.syspath_prepend(str(tmp_path))
    script, module, other = (tmp_path / name for name in ("read_script.py", "read_module.py", "read_other.py"))
    for path in (script, module, other):
        path.write_text("value = 1\n")
    function = "\ndef double(x):\n    return 2 * x\nvalue = 2\n"
    read_instead({str(script): "import read_module\nvalue = read_module.value + 1\n", str(module): function})
    assert runpy.run_path(str(script))["value"] == 3
    assert inspect.getsource(importlib.import_module("read_module").double) == "def double(x):\n    return 2 * x\n"
    assert importlib.import_module("read_other").value == 1
    assert {path.read_text() for path in (script, module, other)} == {"value = 1\n"}
