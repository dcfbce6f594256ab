"""Versions of TensorFlow, and its absence, told with what helps."""

from __future__ import annotations

import sys

import pytest

from pipeprof.pipelines.errors import UsageError
from pipeprof.profiles.worker.pipeline import NoTensorFlowError, import_tensorflow, require_tensorflow


@pytest.mark.parametrize("version", ["2.18.0", "2.18.1-rc0", "2.21.0", "3.0.0", "2.100.0", "unknown"])
def test_what_will_do(version: str) -> None:
    require_tensorflow(version)


@pytest.mark.parametrize("version", ["2.17.1", "2.9.0", "1.15.5"])
def test_what_is_too_old_is_told_with_what_helps(version: str) -> None:
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
