"""``file.py:``: what is written about functions, and modules found without being run."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pipeprof.pipelines.errors import UsageError
from pipeprof.pipelines.target.listing import describe, listed_functions
from pipeprof.pipelines.target.modules import find_module, top_folder
from pipeprof.pipelines.target.target import load_function, parse_target
from pipeprof.pipelines.target.user_files import is_users

SOURCE = """\
raise RuntimeError("not to be run")
import tensorflow as tf
from elsewhere import imported

def helper(x):
    return x

def annotated(split: str, n=3) -> tf.data.Dataset:
    return anything()

def pair() -> tuple[tf.data.Dataset, Callable]:
    return a, b

def spec() -> tf.data.DatasetSpec:
    return x

def numbers() -> int:
    return tf.data.Dataset.range(3)

def chained():
    return read().map(helper).batch(2)

def assigned(files):
    ds = tf.data.TFRecordDataset(files)
    if files:
        ds = ds.map(helper)
    return ds, helper

def keras():
    return tf.keras.utils.image_dataset_from_directory("x")

def eval_dataset():
    return secret()

def data_printer():
    print(1)

def rows():
    yield 1

def lists():
    return [1].map(helper)

def outer():
    def inner():
        return tf.data.Dataset.range(3)
    return 3

made = make()
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    (tmp_path / "pipelines_here.py").write_text(SOURCE)
    package = tmp_path / "garden" / "beds"
    package.mkdir(parents=True)
    (tmp_path / "garden" / "__init__.py").write_text("raise RuntimeError('imported')\n")
    (package / "roses.py").write_text("def data():\n    return __name__\n")
    return tmp_path


def test_what_speaks_for_a_dataset_is_told(folder: Path) -> None:
    found = {one.name: (one.sign, one.why) for one in listed_functions(folder / "pipelines_here.py")}
    assert found == {
        "annotated": ("annotation", "annotated -> tf.data.Dataset"),
        "pair": ("annotation", "annotated -> tuple[tf.data.Dataset, Callable]"),
        "chained": ("body", "returns ….batch(…) (line 21)"),
        "assigned": ("body", "returns tf.data.TFRecordDataset(…) (line 27)"),
        "keras": ("body", "returns tf.keras.utils.image_dataset_from_directory(…) (line 30)"),
        "eval_dataset": ("name", "guessed from its name"),
        "imported": ("none", "imported, or created by a call"),
        "helper": ("none", "no sign"),
        "spec": ("none", "annotated -> tf.data.DatasetSpec"),
        "numbers": ("none", "annotated -> int"),
        "data_printer": ("none", "no sign"),
        "rows": ("none", "async, or a generator"),
        "lists": ("none", "no sign"),
        "outer": ("none", "no sign"),
        "made": ("none", "imported, or created by a call"),
    }


def test_what_returns_what_another_one_makes_is_found_too(folder: Path) -> None:
    (folder / "more.py").write_text(
        "import logging, tensorflow as tf\nfrom functools import partial\nfrom pathlib import Path\n"
        "from mine import helper\n"
        "log = logging.getLogger()\nAUTOTUNE = tf.data.AUTOTUNE\nROOT = Path()\n"
        "def last(): return middle()\n"
        "def middle(): return first(3)\n"
        "try:\n    import x\n    def first(n): return x(n)\n"
        "except ImportError:\n    def first(n): return SlowDataset(n).map(f)\n"
        "small = partial(first, 3)\nsame = last\nby_lambda = lambda n: first(n)\nmade = first(3)\n"
        "class Thing: ...\nthing = Thing()\nother = helper(3)\n"
    )
    found = {one.name: (one.sign, one.why) for one in listed_functions(folder / "more.py")}
    assert found == {
        "last": ("body", "returns middle(…) (line 8)"),
        "middle": ("body", "returns first(…) (line 9)"),
        "first": ("body", "returns ….map(…) (line 14)"),
        "small": ("body", "is first with arguments"),
        "same": ("body", "is last"),
        "by_lambda": ("body", "returns first(…)"),
        "made": ("body", "is first(…), created when the file is imported"),
        "helper": ("none", "imported, or created by a call"),
        "other": ("none", "imported, or created by a call"),
    }


def test_a_short_name_for_tensorflows_class_is_followed(folder: Path) -> None:
    (folder / "short.py").write_text(
        "import tensorflow as tf\nfrom tensorflow.data import Dataset as DS\nD = tf.data.Dataset\n"
        "SIZE = tf.float32.size\n"
        "def ranged(): return D.range(3)\n"
        "def mapped(): return DS.from_tensors(3).map(f).take(2)\n"
        "def taken_apart(): return x.map(f).rebatch(4)\n"
        "def scanned(): return D.range(3).scan(0, f)\n"
        "def size(): return SIZE.max()\n"
    )
    found = {one.name: one.why for one in listed_functions(folder / "short.py")}
    assert found == {
        "ranged": "returns D.range(…) (line 5)",
        "mapped": "returns ….take(…) (line 6)",
        "taken_apart": "returns ….rebatch(…) (line 7)",
        "scanned": "returns ….scan(…) (line 8)",
        "size": "no sign",
    }


def test_the_list_in_words(folder: Path) -> None:
    said = describe("pipelines_here.py", listed_functions(folder / "pipelines_here.py")).splitlines()
    assert said[0] == "Functions that probably return a dataset (from the source, nothing was run):"
    assert said[1] == "  pipelines_here.py:annotated     annotated -> tf.data.Dataset; needs --arg split=…"
    assert said[-2:] == [
        "Not listed: helper, spec, numbers, data_printer, rows, lists, outer.",
        "Not inspected, because imported or created by a call: imported, made.",
    ]


def test_a_file_without_any_says_so(folder: Path) -> None:
    (folder / "none.py").write_text("def main():\n    pass\n")
    (folder / "empty.py").write_text("")
    said = describe("none.py", listed_functions(folder / "none.py"))
    assert said == "No function in none.py declares that it returns a dataset. Functions: main.\n"
    assert describe("empty.py", listed_functions(folder / "empty.py")) == "empty.py defines no functions.\n"


def test_a_module_is_found_and_its_packages_are_not_run(folder: Path) -> None:
    assert find_module("garden.beds.roses") == folder / "garden" / "beds" / "roses.py"
    target = parse_target("garden.beds.roses:data")
    assert (target.module, target.function, str(target)) == ("garden.beds.roses", "data", "garden.beds.roses:data")
    assert "garden" not in sys.modules
    assert find_module("json.decoder").name == "decoder.py"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("gardn.beds.roses:data", ["no module gardn in", "did you mean garden?"]),
        ("garden.beds.rose:data", ["no module garden.beds.rose in", "did you mean roses?"]),
        ("garden.beds.roses.red:data", ["garden.beds.roses is a module, not a package"]),
        ("garden.beds:data", ["a folder without an __init__.py"]),
        ("sys:exit", ["not a Python file"]),
        ("garden.beds.roses:dat", ["no function 'dat'", "did you mean data?"]),
        ("spec.yaml:data", ["expected spec.yaml (or .yml), file.py:function or package.module:function"]),
    ],
)
def test_a_module_that_is_not_there(folder: Path, text: str, parts: list[str]) -> None:
    del folder
    with pytest.raises(UsageError) as caught:
        parse_target(text)
    assert all(part in str(caught.value) for part in parts), str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_module_is_imported_by_its_name(folder: Path) -> None:
    (folder / "garden" / "__init__.py").write_text("")
    assert load_function(parse_target("garden.beds.roses:data"))() == "garden.beds.roses"


def test_another_module_of_the_same_name_is_not_taken_for_it(folder: Path) -> None:
    (folder / "json.py").write_text("def loads(): ...\n")
    with pytest.raises(UsageError, match=r"but Python imports .* by that name: rename one"):
        load_function(parse_target("json:loads"))


def test_whose_files_are_whose(folder: Path) -> None:
    assert is_users(str(folder / "pipelines_here.py"))
    assert not is_users(pytest.__file__)
    assert not is_users(sys.modules["json"].__file__)
    assert not is_users(find_module("pipeprof.pipelines.target.target").__fspath__())
    assert not is_users("<string>")
    assert not is_users("/tmp/__autograph_generated_fileabc.py")
    assert top_folder("garden.beds.roses", folder / "garden/beds/roses.py") == (folder / "garden").resolve()


def test_what_an_installer_put_anywhere_is_not_the_users(folder: Path) -> None:
    """As ``pip install --target`` does, also into the folder that the user's own file lies in."""
    (folder / "tfds" / "core").mkdir(parents=True)
    for file in ("tfds/__init__.py", "tfds/core/__init__.py", "tfds/core/load.py", "six.py", "tfds_of_mine.py"):
        (folder / file).write_text("")
    (folder / "tfds-4.9.dist-info").mkdir()
    (folder / "tfds-4.9.dist-info" / "RECORD").write_text(
        "tfds/__init__.py,sha256=x,1\ntfds/core/load.py,,\nsix.py,,\n"
    )
    assert [file for file in ("tfds/core/load.py", "six.py", "tfds/__init__.py") if is_users(str(folder / file))] == []
    assert is_users(str(folder / "tfds_of_mine.py"))
    assert is_users(str(folder / "garden" / "beds" / "roses.py"))
