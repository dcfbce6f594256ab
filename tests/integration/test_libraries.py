"""A run of a pipeline that a library builds with the user's functions, and with an array as a constant of a graph."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from integration import forked

LIBRARY = """
import functools
import tensorflow as tf

def map_over_dataset(function):
    @functools.wraps(function)
    def wrapped(dataset, *args):
        return dataset.map(lambda element: function(element, *args))  # library: wrapped
    return wrapped

@map_over_dataset
def tokenize(text, offset):
    return text + offset

class _MapFn:
    def __init__(self, function):
        self.function = function

    def _with_arguments(self, *args):
        return self.function(*args)

    def __call__(self, dataset, *args):
        return dataset.map(lambda element: self._with_arguments(element, *args))  # library: object

class Reader:
    def __init__(self, parser):
        self._parser = parser

    def decode(self, row):
        return row + 0

    def read(self, dataset):
        dataset = dataset.map(lambda row: self.decode(row))  # library: method
        return dataset.map(functools.partial(self._parser, by=2))  # library: partial

@_MapFn
def rekey(row):
    return row

def chunk(row):
    return row * 2

def preprocess(dataset):
    dataset = tokenize(dataset, 3)
    dataset = rekey(dataset)
    dataset = dataset.map(chunk)  # library: chunk
    dataset = dataset.filter(lambda row: row >= 0)  # library: lambda
    return dataset.batch(4)  # library: batch
"""
USERS = """
import numpy as np
import tensorflow as tf
from fakeseq import preprocessors

TABLE = np.random.default_rng(0).random((12_000, 250), np.float32)

def lookup(row):
    return tf.gather(TABLE, row % 12_000)  # user: lookup

@preprocessors._MapFn
def shift(row):
    return row + 1

def parse(row, by):
    return row * by

def numbers():
    yield from range(10**9)

def train():
    signature = tf.TensorSpec([], tf.int64)
    dataset = tf.data.Dataset.from_generator(numbers, output_signature=signature)  # user: numbers
    dataset = preprocessors.preprocess(dataset)  # user: preprocess
    dataset = shift(dataset)  # user: shift
    dataset = preprocessors.Reader(parse).read(dataset)  # user: reader
    dataset = dataset.map(lookup)  # user: map
    return dataset.map(lambda row: row + 1)  # user: lambda
"""


def line_of(text: str, comment: str) -> int:
    return next(number for number, line in enumerate(text.splitlines(), 1) if line.endswith(f"# {comment}"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("libraries")
    package = made / "site-packages" / "fakeseq"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "preprocessors.py").write_text(LIBRARY, encoding="utf-8")
    (made / "input.py").write_text(USERS, encoding="utf-8")
    return made


@pytest.fixture(scope="module")
def profile(folder: Path) -> dict[str, Any]:
    code = f"import sys; sys.path.append({str(folder / 'site-packages')!r})\n{forked.COMMAND}"
    words = "run input.py:train --step simulate:10ms --seconds 0.5 --no-verify --quiet --out run.json"
    done = forked.run(words.split(), folder, code)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    return found


def test_stages_have_the_names_of_their_functions_and_the_lines_of_user_and_library(profile: dict[str, Any]) -> None:
    written = [stage for stage in profile["stages"] if stage["origin"] == "written"]
    found = [(one["op"], one["name"], one["location"]["line"]) for one in written]
    inside = line_of(USERS, "user: preprocess")
    assert found == [
        ("from_generator", "numbers", line_of(USERS, "user: numbers")),
        ("map", "tokenize", inside),
        ("map", "rekey", inside),
        ("map", "chunk", inside),
        ("filter", "preprocess", inside),
        ("batch", None, inside),
        ("map", "shift", line_of(USERS, "user: shift")),
        ("map", "decode", line_of(USERS, "user: reader")),
        ("map", "parse", line_of(USERS, "user: reader")),
        ("map", "lookup", line_of(USERS, "user: map")),
        ("map", None, line_of(USERS, "user: lambda")),
    ]
    file = str(Path("fakeseq") / "preprocessors.py")
    made = {
        "wrapped": "wrapped",
        "object": "__call__",
        "chunk": "preprocess",
        "lambda": "preprocess",
        "batch": "preprocess",
        "object again": "__call__",
        "method": "read",
        "partial": "read",
    }
    functions = [None, *made.values(), None, None]
    comments = ["", *(f"library: {comment.removesuffix(' again')}" for comment in made), "", ""]
    assert [stage["library"] for stage in written] == [
        {"file": file, "line": line_of(LIBRARY, comment), "function": function} if function else None
        for function, comment in zip(functions, comments, strict=True)
    ]


def test_the_array_is_described_in_a_finding_and_owned_in_the_ledger(profile: dict[str, Any]) -> None:
    (finding,) = [one for one in profile["findings"] if one["rule"] == "graph-constant"]
    assert finding["stage"] == "stages.8"
    assert "float32[12000,250], used in input.py:" in finding["sentence"]
    (entry,) = [one for one in profile["memory"]["ledger"] if one["owner"] == "source"]
    assert entry["stage"] == "stages.8"
    nbytes = 12_000 * 250 * 4
    assert entry["bytes"] > 5 * nbytes
    assert entry["predicted_bytes"] > 10 * nbytes
