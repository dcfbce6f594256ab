"""Hot lines by their text: what is built anew, read one row at a time, or sent by processes, and what is not."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import pytest

from pipeprof.pipelines.static.hot_calls import Kept, builders, hot_call

FILE = """
import multiprocessing
import re
import h5py
import numpy as np
import pandas as pd
import transforms as T
from PIL import Image

STORE = h5py.File("a.h5")


def build():
    return [word.lower() for word in words()]


def words():
    return ["A", "B"]


def draw():
    return np.random.rand()


def per_element(x):
    table = build()
    return table[x], draw()


def composed(x):
    return T.Compose([T.Flip(p=0.5)])(x)


def of_argument(x):
    return T.Compose([T.Flip(p=x)])(x)


def split(text):
    return re.compile("a+").split(text)


def rows(order):
    for i in order:
        yield STORE["x"][i]


def blocks(order):
    for i in order:
        yield STORE["x"][i : i + 32]


def one_of(path, i):
    with np.load(path) as stored:
        return stored["x"][i], stored["y"][i]


def direct(path, i):
    return h5py.File(path, "r")["x"][i]


def inside(path, i):
    with h5py.File(path) as f:
        return f["x"][i]


def in_mode(path, i, mode):
    return h5py.File(path, mode)["x"][i]


def of_two(path, i):
    with h5py.File(path) as f, lock:
        return f["x"][i]


def names_of(path, i):
    with np.load(path) as stored:
        return stored.files, stored["x"][i]


def whole(path):
    stored = np.load(path)
    return stored["x"] * 2


def table_of(path, i):
    table = np.load(path, mmap_mode="r")
    return table[i]


def line_of_table(i):
    return pd.read_csv("rows.csv", skiprows=i, nrows=1).to_numpy()


def picture(path):
    return np.asarray(Image.open(path))


def pictures(order):
    with multiprocessing.Pool(4) as pool:
        yield from pool.imap(picture, order)
"""


def line_of(text: str, function: str = "") -> int:
    lines = FILE.splitlines()
    first = next((number for number, line in enumerate(lines) if line.startswith(f"def {function}(")), 0)
    return next(number for number, line in enumerate(lines, 1) if number > first and text in line)


@pytest.mark.parametrize(
    ("function", "text", "kind", "call"),
    [
        ("composed", "T.Compose([T.Flip(p=0.5)])", "built-anew", "T.Compose([T.Flip(p=0.5)])"),
        ("split", "re.compile", "built-anew", "re.compile('a+')"),
        ("rows", 'yield STORE["x"][i]', "one-row", "STORE['x'][i]"),
        ("picture", "Image.open", "opens-file", "Image.open(path)"),
        ("pictures", "yield from pool", "processes", "pool.imap(picture, order)"),
    ],
)
def test_what_a_hot_line_does(function: str, text: str, kind: str, call: str) -> None:
    found = hot_call(FILE, function, line_of(text))
    assert found is not None
    assert (found.kind, found.text, found.function) == (kind, call, function)


@pytest.mark.parametrize(
    ("function", "text"),
    [
        ("of_argument", "T.Compose([T.Flip(p=x)])"),
        ("blocks", "i : i + 32"),
        ("draw", "np.random.rand"),
        ("missing", "np.random.rand"),
        ("whole", "stored = np.load"),
    ],
)
def test_a_near_twin_is_not(function: str, text: str) -> None:
    assert hot_call(FILE, function, line_of(text)) is None


WITH = "`with np.load(path) as stored:`, whose lines move out of it"
ONE = Kept(
    "opened = functools.lru_cache(maxsize=8)(lambda path, array: np.load(path)[array])",
    "opened(path, 'x'), opened(path, 'y')",
    f"`stored['x']`, `stored['y']`, without {WITH}",
    8,
    "in memory",
)


@pytest.mark.parametrize(
    ("function", "text", "kept"),
    [
        ("one_of", "with np.load", ONE),
        ("one_of", 'stored["x"][i]', ONE),
        (
            "direct",
            "h5py.File(path",
            Kept(
                "opened = functools.lru_cache(maxsize=64)(lambda path: h5py.File(path, 'r'))",
                "opened(path)",
                "`h5py.File(path, 'r')`",
                64,
                "open",
            ),
        ),
        (
            "inside",
            "with h5py.File(path",
            Kept(
                "opened = functools.lru_cache(maxsize=64)(lambda path: h5py.File(path))",
                "f = opened(path)",
                "`with h5py.File(path) as f:`, whose lines move out of it",
                64,
                "open",
            ),
        ),
        (
            "table_of",
            "return table[i]",
            Kept(
                "opened = functools.lru_cache(maxsize=8)(lambda path: np.load(path, mmap_mode='r'))",
                "table = opened(path)",
                "`table = np.load(path, mmap_mode='r')`",
                8,
                "in memory",
            ),
        ),
        ("in_mode", "h5py.File(path, mode)", None),
        ("line_of_table", "pd.read_csv", None),
        ("of_two", "with h5py.File(path)", None),
        ("names_of", "with np.load", None),
    ],
)
def test_a_file_that_is_opened_for_a_row_is_opened_once(function: str, text: str, kept: Kept | None) -> None:
    found = hot_call(FILE, function, line_of(text, function))
    assert found is not None
    assert found.kind == "opens-file"
    assert found.instead == (replace(kept, place=f"above line {line_of('def', function)}") if kept else None)


def test_a_function_without_arguments_has_the_lines_of_all_that_it_calls() -> None:
    ((call, lines),) = builders(FILE)
    assert (call.text, call.function) == ("build()", "per_element")
    assert any(line_of('return ["A", "B"]') in part for part in lines)
    assert not any(line_of("table = build()") in part for part in lines)


def test_what_is_no_python_shows_nothing() -> None:
    assert builders("def (") == []
    assert hot_call("def (", "f", 1) is None


def test_a_class_is_built_where_it_is_called_without_arguments() -> None:
    init = "    def __init__(self{}):\n        self.words = {{str(n): n for n in range(9)}}\n"
    code = "class Words:\n" + init + "def encode(x):\n    return Words().words\n"
    ((call, lines),) = builders(code.format(""))
    assert (call.text, call.function, call.line) == ("Words()", "encode", 5)
    assert any(3 in one for one in lines)
    assert builders(code.format(", folder").replace("Words()", "Words(x)")) == []
    assert len(builders(code.format(", folder='a'"))) == 1


def test_the_line_that_starts_processes_counts_with_the_one_that_takes_their_results() -> None:
    code = """
import multiprocessing

def pictures():
    with multiprocessing.Pool(4) as pool:
        yield from pool.imap(load, order)
"""
    found = [hot_call(code, "pictures", line) for line in (5, 6)]
    assert [(call.kind, call.text, call.line) for call in found if call is not None] == [
        ("processes", "pool.imap(load, order)", 6)
    ] * 2


def _visits(count: int, monkeypatch: pytest.MonkeyPatch) -> int:
    """Nodes whose parts are looked at for all builders, and one hot line, of a file whose functions call each other."""
    seen, children = Counter[str](), ast.iter_child_nodes
    functions = (
        f"def table{i}():\n    return [table{i + 1}()]\ndef f{i}(x):\n    return table{i}()[x], re.compile('a')\n"
        for i in range(count)
    )
    code = "import re\n" + "".join(functions) + f"def table{count}():\n    return [1]\n"

    def counting(node: ast.AST) -> Iterator[ast.AST]:
        seen["nodes"] += 1
        return children(node)

    with monkeypatch.context() as patch:
        patch.setattr(ast, "iter_child_nodes", counting)
        found = builders(code)
        assert {call.function for call, _ in found} == {f"f{i}" for i in range(count)}
        before = seen["nodes"]
        assert builders(code) == found
        assert seen["nodes"] == before
        for i in range(count):
            assert hot_call(code, f"f{i}", 4 * i + 5) is not None
    return seen["nodes"]


def test_work_on_a_file_grows_with_its_length_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _visits(160, monkeypatch) < 6 * _visits(40, monkeypatch)


@pytest.mark.parametrize(
    ("body", "opened", "used"),
    [
        (
            "with open(FILES[p]) as f:\n        row = next(itertools.islice(csv.reader(f), r + 1, None))",
            "list(csv.reader(open(path)))",
            "opened(FILES[p])[r + 1]",
        ),
        ("with open(p, 'rb') as f:\n        row = json.load(f)[r]", "json.load(open(path, 'rb'))", "opened(p)[r]"),
        (
            "f = open(p, encoding='utf-8')\n    row = f.readlines()[r]",
            "open(path, encoding='utf-8').readlines()",
            "opened(p)[r]",
        ),
    ],
)
def test_a_file_that_is_read_from_its_start_for_each_row_is_read_once(body: str, opened: str, used: str) -> None:
    code = f"import csv, itertools, json\nFILES = ['a', 'b']\ndef read(p, r):\n    {body}\n    return row\n"
    for line in (4, 5):
        found = hot_call(code, "read", line)
        assert found is not None
        assert (found.kind, found.line) == ("opens-file", 4)
        assert found.instead is not None
        assert found.instead.opened == f"opened = functools.lru_cache(maxsize=8)(lambda path: {opened})"
        assert (found.instead.used, found.instead.place) == (used, "above line 3")


@pytest.mark.parametrize(
    "body",
    [
        "with open(p) as f:\n        row = f.read()",
        "with open(p) as f:\n        f.seek(r)\n        row = f.readlines()[0]",
        "with open(p, 'a') as f:\n        row = f.readlines()[r]",
        "with open('one') as f:\n        row = csv.reader(f, r)[r]",
    ],
)
def test_other_files_are_not(body: str) -> None:
    code = f"import csv\ndef read(p, r):\n    {body}\n    return row\n"
    found = hot_call(code, "read", 3)
    assert found is None or found.instead is None or found.instead.where == "open"


def test_a_comprehension_is_a_line_of_its_function() -> None:
    code = (
        "def encode(text):\n    table = {k: i for i, k in enumerate('ACGT')}\n    return [table[one] for one in text]\n"
    )
    found = hot_call(code, "<dictcomp>", 2)
    assert found is not None
    assert (found.kind, found.function) == ("built-anew", "encode")
