"""Targets: specs and functions, found without importing anything."""

from __future__ import annotations

import builtins
import sys
from pathlib import Path

import pytest

from pipeprof.pipelines.errors import UsageError
from pipeprof.pipelines.target.bindings import bindings_of
from pipeprof.pipelines.target.target import ParsedTarget, import_file, load_function, module_name_of, parse_target

SOURCE = """
import never_installed
from other import imported as known_as
CONSTANT = 3
made = make()
if CONSTANT:
    def conditional(): ...
def train_data(): ...
class NotThis: ...
async def later(): ...
def train_eval():
    def inner(): ...
"""

ELIF = "if y == 0:\n    pass\n" + "".join(f"elif y == {n}:\n    pass\n" for n in range(20_000))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    (tmp_path / "flowers.yaml").write_text("version: 1\n")
    (tmp_path / "input_pipeline.py").write_text(SOURCE)
    (tmp_path / "empty.py").write_text("")
    (tmp_path / "wrong.py").write_text("def f(:\n")
    return tmp_path


def test_specs_and_functions(folder: Path) -> None:
    assert parse_target("flowers.yaml") == ParsedTarget("spec", Path("flowers.yaml"))
    target = parse_target(f"{folder}/input_pipeline.py:train_data")
    assert target == ParsedTarget("function", folder / "input_pipeline.py", "train_data")
    assert str(target) == f"{folder}/input_pipeline.py:train_data"


def test_functions_are_found_without_running_the_file(folder: Path) -> None:
    found = bindings_of(folder / "input_pipeline.py").callables()
    assert found == ["known_as", "made", "conditional", "train_data", "later", "train_eval"]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("flower.yaml", ["flower.yaml: no such file", "did you mean flowers.yaml?"]),
        ("input_pipelin.py:train_data", ["no such file", "did you mean input_pipeline.py?"]),
        ("input_pipeline.py", ["input_pipeline.py:function", "it defines conditional, train_data, later, train_eval"]),
        ("input_pipeline.py:", ["input_pipeline.py:function", "train_data"]),
        ("input_pipeline.py:train_dat", ["'train_dat'", "did you mean train_data?"]),
        ("input_pipeline.py:zzz", ["'zzz'", "it defines conditional, train_data"]),
        (
            "input_pipeline.py:CONSTANT",
            ["'CONSTANT' is not a function: see input_pipeline.py:4", "it defines conditional"],
        ),
        ("input_pipeline.py:NotThis", ["NotThis is a class (input_pipeline.py:9), not a function"]),
        ("input_pipeline.py::train_data", ["did you mean input_pipeline.py:train_data?"]),
        ("input_pipeline:train_dat", ["no function 'train_dat' in input_pipeline — did you mean train_data?"]),
        ("input_pipeline.train_data", ["did you mean input_pipeline.py:train_data?"]),
        ("./input_pipeline:train_data", ["did you mean ./input_pipeline.py:train_data?"]),
        (
            "notebook.ipynb:train_data",
            ["notebook.ipynb is a notebook", "save a function that returns a dataset in a Python file"],
        ),
        ("notebook.ipynb", ["notebook.ipynb is a notebook", 'with pipeprof.watch("out.json"):']),
        ("empty.py", ["it defines no functions"]),
        ("flowers", ["'flowers'", "expected spec.yaml (or .yml), file.py:function or", "did you mean flowers.yaml?"]),
        ("", ["expected spec.yaml"]),
        (".", ["folder"]),
    ],
)
def test_what_is_wrong_is_said_in_one_line(folder: Path, text: str, parts: list[str]) -> None:
    del folder
    with pytest.raises(UsageError) as caught:
        parse_target(text)
    for part in parts:
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_syntax_error_is_shown_with_its_line_and_a_caret(folder: Path) -> None:
    (folder / "wrong.py").write_text("if 1:\n    def f(:\n        pass\n")
    with pytest.raises(UsageError) as caught:
        parse_target("wrong.py:f")
    assert str(caught.value) == "wrong.py:2:11: SyntaxError: invalid syntax\n    2 | def f(:\n      |       ^"


@pytest.mark.parametrize("code", ["-" * 100_000 + "1", "not " * 100_000 + "1", "lambda: " * 100_000 + "1", ELIF])
def test_a_file_that_is_too_deep_for_the_parser_is_named(folder: Path, code: str) -> None:
    (folder / "deep.py").write_text(f"{code}\n")
    with pytest.raises(UsageError, match=r"^deep\.py: nested too deeply for Python's parser"):
        parse_target("deep.py:f")


def test_of_a_very_long_line_a_part_is_shown(folder: Path) -> None:
    (folder / "wrong.py").write_text(f"x = {'1' * 100}{'.a()' * 5000}\n")
    with pytest.raises(UsageError) as caught:
        parse_target("wrong.py:f")
    _, line, caret = str(caught.value).splitlines()
    assert len(line) < 200
    assert line[caret.index("^") :].startswith((".a()", "1.a()"))


def test_a_link_that_leads_nowhere_is_said(folder: Path) -> None:
    for name in ("br.yaml", "br.py"):
        (folder / name).symlink_to(f"none/{name}")
        with pytest.raises(UsageError) as caught:
            parse_target("br.yaml" if name == "br.yaml" else "br.py:f")
        assert str(caught.value) == f"{name} is a link to none/{name}, which does not exist"


def test_a_function_is_loaded_with_its_folder_on_the_path(folder: Path) -> None:
    (folder / "neighbour_of_it.py").write_text("ANSWER = 42\n")
    (folder / "made_here.py").write_text(
        "from neighbour_of_it import ANSWER\ndef answer():\n    return ANSWER, __name__\n"
    )
    function = load_function(parse_target("made_here.py:answer"))
    assert function() == (42, "made_here")
    assert load_function(parse_target("made_here.py:answer")) is function


def test_a_file_that_has_the_name_of_a_module_hides_nothing(folder: Path) -> None:
    (folder / "json.py").write_text("def data():\n    return __name__\n")
    assert module_name_of(folder / "json.py") != "json"
    assert load_function(parse_target("json.py:data"))() == "_pipeprof_target_json"
    assert not hasattr(sys.modules["json"], "data")


def test_what_the_file_raises_passes_through(folder: Path) -> None:
    (folder / "raises.py").write_text("def f(): ...\nraise RuntimeError('while importing')\n")
    with pytest.raises(RuntimeError, match="while importing"):
        load_function(parse_target("raises.py:f"))
    assert "raises" not in sys.modules


def test_a_name_that_is_no_function_after_all(folder: Path) -> None:
    (folder / "late.py").write_text("f = int('3')\n")
    with pytest.raises(UsageError, match=r"f is not a function \(int\) after the file has run"):
        load_function(parse_target("late.py:f"))


MANY_WAYS = """
import tensorflow as tf
import functools
from functools import partial
annotated: Callable = partial(one)
first, second = pair()
from_table = TABLE["train"]
chosen = one if here else two
path = ROOT / "x"
try:
    import missing
except ImportError:
    def fallback(): ...
finally:
    def always(): ...
with device:
    def within(): ...
for name in names:
    def looped(): ...
if __name__ == "__main__":
    def script(): ...
    args = parse()
else:
    def imported(): ...
"""


def test_however_a_name_is_bound_at_the_top_level(folder: Path) -> None:
    (folder / "ways.py").write_text(MANY_WAYS)
    assert bindings_of(folder / "ways.py").callables() == [
        "partial", "annotated", "first", "second", "from_table", "chosen", "fallback", "always", "within", "looped",
        "imported",
    ]  # fmt: skip


def test_what_only_a_script_defines_says_so(folder: Path) -> None:
    (folder / "ways.py").write_text(MANY_WAYS)
    with pytest.raises(UsageError, match=r"^ways\.py:21 defines script only when it runs as a script: move it out"):
        parse_target("ways.py:script")


@pytest.mark.parametrize(
    "text",
    [
        "from other import *",
        "for n in 'ab':\n    globals()['train_' + n] = make(n)",
        "import sys\nsetattr(sys.modules[__name__], 'train_a', make())",
        "def __getattr__(name): ...",
        "exec(SOURCE)",
    ],
)
def test_a_name_that_only_running_the_file_binds_is_left_for_then(folder: Path, text: str) -> None:
    (folder / "open.py").write_text(f"{text}\n")
    assert parse_target("open.py:train_a").function == "train_a"
    with pytest.raises(UsageError, match="no function"):
        parse_target("open.py:train_a()")


CLASSES = """
class Slow(Dataset):
    def __new__(cls, n=3): ...
    def method(self): ...
class Plain:
    @staticmethod
    def static(): return "static"
    @classmethod
    def of_class(cls): return cls.__name__
    @property
    def train(self): ...
    def other(self): return "other"
plain = Plain()
"""


@pytest.mark.parametrize(
    ("function", "words"),
    [
        ("Plain", "Plain is a class (classes.py:5), not a function: write a function that creates the object"),
        ("Plain.train", "'Plain.train' (classes.py:11) needs an instance of its class: write a function"),
        ("Plain.statc", "no method 'statc' in the class Plain (classes.py:5) — did you mean static?"),
        ("Slow.method", "'Slow.method' (classes.py:4) needs an instance"),
    ],
)
def test_a_class_is_no_function(folder: Path, function: str, words: str) -> None:
    (folder / "classes.py").write_text(CLASSES)
    with pytest.raises(UsageError) as caught:
        parse_target(f"classes.py:{function}")
    assert str(caught.value).startswith(words)


def test_what_needs_no_object_or_has_one_is_called(folder: Path) -> None:
    (folder / "classes.py").write_text(f"Dataset = object\n{CLASSES}")
    called = {name: load_function(parse_target(f"classes.py:{name}")) for name in ("Plain.static", "plain.other")}
    assert [function() for function in called.values()] == ["static", "other"]
    assert load_function(parse_target("classes.py:Plain.of_class"))() == "Plain"
    assert load_function(parse_target("classes.py:Slow"))() is None
    with pytest.raises(UsageError, match=r"plain\.nothing is not defined after the file has run$"):
        load_function(parse_target("classes.py:plain.nothing"))
    with pytest.raises(UsageError, match=r"not defined after the file has run — did you mean other\?$"):
        load_function(parse_target("classes.py:plain.othr"))


def test_a_file_of_a_package_is_asked_for_by_its_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "garden" / "beds").mkdir(parents=True)
    (folder / "garden" / "__init__.py").write_text("from .beds import rose\ndef train(): ...\n")
    (folder / "garden" / "beds" / "__init__.py").write_text("")
    (folder / "garden" / "beds" / "rose.py").write_text("import os\nfrom ..tools import water\ndef train(): ...\n")
    (folder / "garden" / "guarded.py").write_text(
        "try:\n    from . import a\nexcept ImportError:\n    a = 1\ndef f(): ..."
    )
    (folder / "loose.py").write_text("from .tools import water\ndef train(): ...\n")
    said = "uses a relative import, so the file cannot run on its own: use"
    for text, words in [
        ("garden/beds/rose.py:train", f"garden/beds/rose.py:2 {said} garden.beds.rose:train"),
        ("garden/__init__.py:train", f"garden/__init__.py:1 {said} garden:train"),
        ("loose.py:train", f"loose.py:1 {said} package.module:train, from the folder that contains the package"),
    ]:
        with pytest.raises(UsageError) as caught:
            parse_target(text)
        assert str(caught.value) == words
    assert parse_target("garden.beds.rose:train").module == "garden.beds.rose"
    assert parse_target("garden/guarded.py:f").function == "f"
    monkeypatch.chdir(folder / "garden")
    with pytest.raises(UsageError, match=f"use garden.beds.rose:train, from {folder}$"):
        parse_target("beds/rose.py:train")


def test_a_class_within_a_class_is_looked_at_once_the_file_has_run(folder: Path) -> None:
    (folder / "nested.py").write_text(
        "class Flowers:\n    class Roses:\n        @staticmethod\n        def train(): return 'roses'\n"
    )
    assert load_function(parse_target("nested.py:Flowers.Roses.train"))() == "roses"
    with pytest.raises(UsageError, match=r"not defined after the file has run — did you mean train\?$"):
        load_function(parse_target("nested.py:Flowers.Roses.trian"))


def test_a_file_runs_once_whatever_the_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "garden").mkdir()
    (folder / "garden" / "__init__.py").write_text("")
    (folder / "garden" / "tools.py").write_text("seen = []\n")
    (folder / "garden" / "rose.py").write_text("from .tools import seen\nseen.append(__name__)\n")
    (folder / "alone.py").write_text("import builtins\nbuiltins.seen_alone = getattr(builtins, 'seen_alone', 0) + 1\n")
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(builtins, "seen_alone", 0, raising=False)
    for name in ("garden", "garden.tools", "garden.rose", "first_name", "second_name"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    # A file that imports from its own package is imported as a part of it.
    rose = import_file(folder / "garden" / "rose.py", "second_name")
    assert rose.seen == ["garden.rose"]
    assert import_file(folder / "garden" / "rose.py", "first_name") is rose
    alone = import_file(folder / "alone.py", "first_name")
    assert import_file(folder / "alone.py", "second_name") is alone
    assert vars(builtins)["seen_alone"] == 1


def test_a_dataset_that_the_file_makes_is_as_good_as_a_function(folder: Path) -> None:
    (folder / "made.py").write_text("class DatasetV2: ...\nclass Mine(DatasetV2): ...\ntrain = Mine()\n")
    function = load_function(parse_target("made.py:train"))
    assert type(function()).__name__ == "Mine"
