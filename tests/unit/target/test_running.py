"""The user's files are run once, as Python would, and nothing is left behind."""

import builtins
import importlib.util
import linecache
import sys
import traceback
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from pipeprof.pipelines.errors import UsageError
from pipeprof.pipelines.target.running import LOADER, delete_generated_files, import_file, leave_defaults, load_function
from pipeprof.pipelines.target.target import parse_target

FILES = {
    "neighbour_of_it.py": "ANSWER = 42\n",
    "made_here.py": "from neighbour_of_it import ANSWER\ndef answer():\n    return ANSWER, __name__\n",
    "json.py": "def loads():\n    return __name__\n",
    "raises.py": "def f(): ...\nraise RuntimeError('while importing')\n",
    "late.py": "f = int('3')\nclass A:\n    class B:\n        @staticmethod\n        def make(): return 'made'\n"
    "    def of_object(self): return 'object'\nobject_ = A()\n",
    "made.py": "class DatasetV2: ...\nclass Mine(DatasetV2):\n    def __eq__(self, other): return other == 'mine'\n"
    "train = Mine()\n",
    "decorated.py": "import functools\ndef twice(function):\n    @functools.wraps(function)\n"
    "    def wrapped(): return 2 * function()\n    return wrapped\n"
    "def closure(n):\n    def inner(): return n\n    return inner\n"
    "@twice\ndef four(): return 2\nfive = closure(5)\nsix = lambda: 6\n",
    "garden/__init__.py": "",
    "garden/tools.py": "seen = []\n",
    "garden/rose.py": "from .tools import seen\nseen.append(__name__)\ndef name(): return __name__\n",
    "alone.py": "import builtins\nbuiltins.seen_alone += 1\n",
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    (tmp_path / "garden").mkdir()
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("made_here.py:answer", (42, "made_here")), ("json.py:loads", "_pipeprof_target_json"),
        ("late.py:A.B.make", "made"), ("late.py:object_.of_object", "object"), ("made.py:train", "mine"),
        ("decorated.py:four", 4), ("decorated.py:five", 5), ("decorated.py:six", 6),
        ("garden.rose:name", "garden.rose"), ("garden/rose.py:name", "garden.rose"),
    ],
)  # fmt: skip
def test_a_function_is_loaded_as_python_would(text, result):
    assert load_function(parse_target(text))() == result


@pytest.mark.parametrize("text", ["late.py:f", "late.py:object_.of_objekt", "json:loads"])
def test_what_is_no_function_after_all(text):
    target = parse_target(text)
    with pytest.raises(UsageError):
        load_function(target)


def test_a_file_runs_once_whatever_the_name_and_not_again_if_it_fails(folder, monkeypatch):
    monkeypatch.setattr(builtins, "seen_alone", 0, raising=False)
    # A file that imports from its own package is imported as a part of it.
    for name in ("garden/rose.py", "alone.py"):
        first = import_file(folder / name, "first_name")
        assert import_file(folder / name, "second_name") is first
    assert (sys.modules["garden.tools"].seen, vars(builtins)["seen_alone"]) == (["garden.rose"], 1)
    with pytest.raises(RuntimeError, match="while importing"):
        load_function(parse_target("raises.py:f"))
    assert "raises" not in sys.modules


def test_flags_that_are_parsed_are_left(monkeypatch):
    flags = SimpleNamespace(is_parsed=lambda: True)
    monkeypatch.setitem(sys.modules, "absl.flags", SimpleNamespace(FLAGS=flags))
    assert leave_defaults() == []


@pytest.mark.parametrize("no_bytecode", [True, False])
def test_of_what_autograph_generates_nothing_is_left_but_the_lines_of_tracebacks(no_bytecode, tmp_path, monkeypatch):
    def load_source(source: str, delete_on_exit: bool) -> tuple[ModuleType, str]:
        assert delete_on_exit
        file = tmp_path / "__autograph_generated_file1x.py"
        file.write_text(source)
        spec: Any = importlib.util.spec_from_file_location(file.stem, file)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module, str(file)

    monkeypatch.setattr(sys, "dont_write_bytecode", no_bytecode)
    monkeypatch.setattr(linecache, "cache", {})
    loader: Any = ModuleType(LOADER)
    for loaded in (None, loader):
        monkeypatch.setitem(sys.modules, LOADER, loaded)
        delete_generated_files()
    assert not hasattr(loader, "load_source")
    loader.load_source = load_source
    delete_generated_files()
    delete_generated_files()
    module, _ = loader.load_source("def fails():\n    raise RuntimeError('fails')  # generated\n", delete_on_exit=True)
    assert list(tmp_path.rglob("*autograph*")) == []
    with pytest.raises(RuntimeError, match="fails") as caught:
        module.fails()
    linecache.checkcache()
    assert "raise RuntimeError('fails')  # generated" in "".join(traceback.format_exception(caught.value))
