"""What functions make anew in each call, in the styles of strangers: made once, the program gives the same."""

from __future__ import annotations

import ast
import re
import sys
import textwrap
from types import SimpleNamespace
from typing import Any

import pytest

from pipeprof.pipelines.static.hot_calls import HotCall, builders, hot_call
from pipeprof.pipelines.static.unchanging import free_names

MADE: list[str] = []


class Thing:
    """Of a library: an object that costs something to make."""

    def __init__(self, *given: Any, **named: Any) -> None:
        MADE.append(type(self).__name__)
        self.given = (*given, *named.values())

    def __call__(self, value: Any) -> Any:
        return (value, *map(str, self.given))

    def __getitem__(self, key: Any) -> Any:
        return self.given[0], key

    def __enter__(self) -> Thing:
        return self

    def __exit__(self, *_: object) -> None:
        self.given = ()

    @classmethod
    def from_file(cls, path: str) -> Thing:
        return cls(path)


class Other(Thing):
    def __repr__(self) -> str:
        return "other"


LIBRARY = SimpleNamespace(Compose=Thing, Flip=Other, Tokenizer=Thing, File=Thing, read_table=Thing)

STYLES = {
    "a call in the body": """
        import library as A
        def element(x):
            return A.Compose([A.Flip(p=0.5)])(x)
        """,
    "a name given once": """
        from library import Tokenizer as Words
        VOCABULARY = 'words.txt'
        def element(x):
            path = str(VOCABULARY)
            words = Words(path)
            return words(x)
        """,
    "a reader of a file": """
        import library as pd
        def element(x):
            return pd.read_table('mean.csv')(x)
        """,
    "a class method": """
        from library import Tokenizer
        class Loader:
            def __init__(self, path):
                self.path = path
            def element(self, x):
                return Tokenizer.from_file(self.path)(x)
        element = Loader('a.txt').element
        """,
    "a closure": """
        import library
        def build(path, size):
            def element(x):
                return library.Compose(path, size)(x)
            return element
        element = build('a', 3)
        """,
    "a function with arguments": """
        import library as A
        def element(x):
            return transforms(224, flip=True)(x)
        def transforms(size, flip):
            return A.Compose([size, flip])
        """,
    "a class of the file": """
        import library as A
        class Encoder:
            def __init__(self, path='a'):
                self.words = A.Tokenizer(path)
        def element(x):
            return Encoder('b').words(x)
        """,
    "a lambda": """
        import library as A
        element = lambda x: A.Compose(3)(x)
        """,
    "an open file": """
        import library as h5
        def element(x):
            with h5.File('rows.h5') as f:
                return f[x]
        """,
    "a table of a loop": """
        NAMES = ['a', 'b', 'c']
        def element(x):
            table = {name: place for place, name in enumerate(NAMES)}
            return table.get(x, -1)
        """,
    "a loop of a generator": """
        import library as A
        def rows():
            for x in ['a', 'b']:
                scale = A.Compose(2)
                yield scale(x)
        element = lambda x: list(rows())
        """,
}


def hot_line(code: str) -> int:
    lines = code.splitlines()
    marks = r"A\.Compose\((?!\[size)|Words\(path|read_table|from_file|library\.Compose|transforms\(224|Encoder\('b"
    marks += r"|h5\.File|table = \{"
    return next(number for number, line in enumerate(lines, 1) if re.search(marks, line))


def function_at(code: str, line: int) -> str:
    before = code.splitlines()[:line]
    if "lambda" in before[-1]:
        return "<lambda>"
    return next(found[1] for one in before[::-1] if (found := re.match(r"\s*def (\w+)", one)))


def found_in(code: str) -> HotCall | None:
    line = hot_line(code)
    return hot_call(code, function_at(code, line), line)


def with_once(code: str, call: HotCall) -> str:
    """The program with the lines at the place that they name."""
    once = call.once
    assert once is not None
    lines = code.splitlines()
    place = re.search(r"(above|below) line (\d+)", once.where)
    assert place is not None
    number = int(place[2])
    indent = re.match(r"\s*" if place[1] == "above" or "__init__" in once.where else "", lines[number - 1])
    assert indent is not None
    if once.used:
        text = lines[call.line - 1]
        if once.replaced.startswith("with "):
            lines[call.line - 1] = re.sub(r"with .*:", once.used, text)
            lines[call.line] = lines[call.line][4:]
        else:
            assert call.text in text
            lines[call.line - 1] = text.replace(call.text, once.used)
    at = number - 1 if place[1] == "above" else number
    lines[at:at] = [indent[0] + one for one in once.lines]
    return "\n".join(lines)


def run(code: str, *values: Any) -> tuple[list[Any], int]:
    """What the program gives, and how many things it made in its calls."""
    namespace: dict[str, Any] = {}
    exec(code, namespace)
    before = len(MADE)
    return [namespace["element"](value) for value in values], len(MADE) - before


@pytest.mark.parametrize("style", STYLES)
def test_what_is_made_once_where_it_says_gives_the_same(style: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "library", LIBRARY)
    code = textwrap.dedent(STYLES[style]).strip()
    call = found_in(code)
    assert call is not None
    assert call.kind == "built-anew"
    changed = with_once(code, call)
    was, made = run(code, "a", "b")
    now, left = run(changed, "a", "b")
    assert now == was, changed
    assert left <= made / 2, changed


@pytest.mark.parametrize(
    "body",
    [
        "return A.Compose([A.Flip(p=x)])(x)",
        "size = len(x)\n    return A.Compose(size)(x)",
        "words = A.Tokenizer('a')\n    words.add(x)\n    return words",
        "words = A.Tokenizer('a')\n    words.seen = x\n    return words",
        "words = A.Tokenizer('a')\n    fill(words, x)\n    return words",
        "return A.Compose(np.random.rand())(x)",
        "return A.Compose(rng.normal())(x)",
        "return A.Compose(next(NUMBERS))(x)",
        "A.Compose('a')\n    return x",
        "file = open('a.txt')\n    return file.read() + x",
        "with open('a.txt') as file:\n        return file.read() + x",
        "with A.File('a.h5') as f:\n        return list(f) + [x]",
        "return noise()[x]",
        "return kept('a')[x]",
        "return counted('a')[x]",
        "return A.now()[x]",
        "return STORE.take('a')[x]",
        "return rows('a', x)",
        "if SEEN is None:\n        store.words = A.Tokenizer('a')\n    return store.words(x)",
        "global WORDS\n    if WORDS is None:\n        WORDS = A.Tokenizer('a')\n    return WORDS(x)",
        "return {one: len(one) for one in SEEN}.get(x)",
        "for one in x:\n        words = A.Tokenizer(one)\n    return words",
        "out = A.Canvas('a')\n    out[x] = 1\n    return out",
    ],
)
def test_a_near_twin_is_silent(body: str) -> None:
    head = (
        "import functools\nimport numpy as np\nimport library as A\nrng = np.random.default_rng(3)\nSTORE = A.open()\n"
        "NUMBERS = iter([1])\nSEEN = []\ndef noise():\n    return rng.normal()\n"
        "@functools.lru_cache\ndef kept(path):\n    return A.Tokenizer(path)\n"
        "def counted(path):\n    SEEN.append(path)\n    return A.Tokenizer(path)\n"
        "def rows(path, x):\n    return [x]\n"
    )
    code = f"{head}def element(x):\n    {body}\n"
    first = head.count("\n") + 2
    for line in range(first, code.count("\n") + 1):
        found = hot_call(code, "element", line)
        assert found is None or found.kind != "built-anew", found
    assert [call.text for call, _ in builders(code) if call.function == "element"] == []


@pytest.mark.parametrize(
    ("imported", "call", "of_element"),
    [
        ("import albumentations as A", "A.Compose([A.HorizontalFlip(p=0.5)])", "A.Compose([A.HorizontalFlip(p=x)])"),
        ("from text import BertTokenizer", "BertTokenizer('vocab.txt')", "BertTokenizer(x)"),
        ("from nltk.tokenize import RegexpTokenizer as Words", "Words('[a-z]+')", "Words(x)"),
        ("import h5py", "h5py.File(PATH, 'r')['x']", "h5py.File(x, 'r')['x']"),
        ("import numpy", "numpy.load(PATH / 'mean.npy')", "numpy.load(PATH / x)"),
        ("from PIL import Image", "Image.open('mask.png').convert('L')", "Image.open(x).convert('L')"),
        ("import pandas as pd", "pd.read_csv(f'{PATH}/labels.csv')", "pd.read_csv(f'{PATH}/{x}.csv')"),
        ("import librosa", "librosa.load('noise.wav', sr=16000)[0]", "librosa.load(x, sr=16000)[0]"),
        ("import json", "json.load(open('labels.json'))", "json.load(open(x))"),
    ],
)
def test_objects_of_any_library_are_seen(imported: str, call: str, of_element: str) -> None:
    code = "{}\nfrom pathlib import Path\nPATH = Path('data')\ndef element(x):\n    return ({}, x)\n"
    found = hot_call(code.format(imported, call), "element", 5)
    assert found is not None
    assert (found.kind, found.text) == ("built-anew", call)
    assert found.once is not None
    assert found.once.where == "above line 4"
    other = hot_call(code.format(imported, of_element), "element", 5)
    assert other is None or other.kind != "built-anew"


def test_an_object_whose_attribute_changes_is_not_the_same() -> None:
    code = (
        "import library as A\nclass Loader:\n    def __init__(self):\n        self.n = 0\n    def element(self, x):\n"
        "        return A.Compose(self.n)(x)\n"
    )
    assert hot_call(code, "element", 6) is not None
    assert hot_call(code + "    def grow(self):\n        self.n += 1\n", "element", 6) is None


def test_what_has_no_place_is_said_without_lines() -> None:
    code = "import library as A\ndef build():\n    def element(x):\n        return A.Compose(size)(x)\n    size = 3\n"
    found = hot_call(code, "element", 4)
    assert found is not None
    assert found.once is None


def test_the_call_that_builds_a_pipeline_has_no_time_of_its_functions() -> None:
    code = (
        "import tensorflow as tf\ndef pipeline():\n    return base().batch(2)\ndef base():\n    def load(i):\n"
        "        return i\n    return tf.data.Dataset.range(3).map(load)\n"
    )
    ((call, lines),) = builders(code)
    assert call.text == "base()"
    assert not any(6 in part for part in lines)


def test_a_generator_makes_once_an_epoch_what_stands_before_its_loop() -> None:
    code = "import library as A\ndef rows():\n    words = A.Tokenizer('a')\n    for x in words:\n        yield x\n"
    assert hot_call(code, "rows", 3) is None


@pytest.mark.parametrize(
    ("body", "same"),
    [
        ("with open(path) as f:\n        word = f.readline()\n        rest = [word for word in f]", False),
        ("word = path\n    rest = [word for word in WORDS]", False),
        ("word = path\n    rest = map(lambda word: word, WORDS)", False),
        ("word, rest = path, {word: 1 for word in WORDS}", False),
        ("try:\n        load(path)\n    except OSError as word:\n        pass", False),
        ("match path:\n        case [*word]:\n            pass", False),
        ("match path:\n        case {1: _, **word}:\n            pass", False),
        ("match path:\n        case str() as word:\n            pass", False),
        ("rest = [word for word in path]", True),
        ("rest = map(lambda word: word, path)", True),
    ],
)
def test_a_name_is_told_from_that_of_a_comprehension(body: str, same: bool) -> None:
    head = "from words import Tokenizer\nword, WORDS = 'a', 'b'\ndef f(path):\n"
    code = f"{head}    {body}\n    return Tokenizer(word)(rest)\n"
    found = hot_call(code, "f", code.count("\n"))
    assert (found is not None and found.text == "Tokenizer(word)") is same


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("x = [a for a in b], a", {"a", "b"}),
        ("x = [a for a in a]", {"a"}),
        ("x = {a: c for a in b for c in a}", {"b"}),
        ("x = (lambda a, d=e: a + d + g), d", {"d", "e", "g"}),
        ("def x(a):\n    k = a\n    return k + m", {"m"}),
        ("def x(a):\n    global k\n    k = a\n    return k", {"k"}),
    ],
)
def test_names_that_are_read_from_outside(code: str, names: set[str]) -> None:
    assert free_names(ast.parse(code).body[0]) == names


@pytest.mark.parametrize(
    ("around", "certain"),
    [
        ("{}", True),
        ("if __name__ == '__main__':\n    {}\n    train(f)", False),
        ("for one in [1]:\n    {}\n    train(f)", False),
        ("with scope():\n    {}\n    train(f)", False),
        ("try:\n    {}\n    train(f)\nexcept OSError:\n    pass", False),
        ("match 1:\n    case 1:\n        {}\n        train(f)", False),
    ],
)
def test_below_a_block_the_program_has_run(around: str, certain: bool) -> None:
    function = "def f(x):\n    return Tokenizer(PATH)(x)\n"
    head, block = "from words import Tokenizer\n", f"{around.format('PATH = str(1)')}\n"
    below, above = (
        hot_call(head + function + block, "f", 3),
        hot_call(head + block + function, "f", 3 + block.count("\n")),
    )
    assert above is not None
    assert above.once is not None
    assert below is not None
    assert (below.once is not None) is certain
