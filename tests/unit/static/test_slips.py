"""Slips in the text of a file: each is found, and its near twin is not."""

from pathlib import Path

import pytest

from pipeprof.pipelines.static.slips import slips_in

HEAD = """
import random
import numpy as np
import tensorflow as tf

RNG = np.random.default_rng(1)
"""


def found(tmp_path: Path, code: str) -> list[tuple[str, str]]:
    file = tmp_path / "input.py"
    file.write_text(HEAD + code)
    return [(slip.kind, slip.text) for slip in slips_in(file)]


@pytest.mark.parametrize(
    ("code", "slip"),
    [
        (
            "def f():\n  a = tf.data.TFRecordDataset('x')\n  b = a.map(len)\n  b.prefetch(2)\n  return b\n",
            ("discarded", "b.prefetch(2)"),
        ),
        ("tf.data.Dataset.range(9).map(lambda x: x * random.random())\n", ("drawn-once", "random.random()")),
        (
            "def g():\n  return RNG.normal()\ndef f(x):\n  return x + g()\nds = tf.data.Dataset.range(9).map(f)\n",
            ("drawn-once", "RNG.normal()"),
        ),
        (
            "def f(ds, n=2):\n  ds.cache()\n  return ds.batch(n)\n"
            "def g():\n  d = tf.data.Dataset.range(9)\n  return f(d.map(len))\n",
            ("discarded", "ds.cache()"),
        ),
        (
            "class A:\n  def __init__(self):\n    self.ds = tf.data.Dataset.range(9)\n  def b(self):\n"
            "    self.ds.shuffle(9)\n    return self.ds\n",
            ("discarded", "self.ds.shuffle(9)"),
        ),
        ("def f(data):\n  data.batch(8)\n  return data.prefetch(1)\n", ("discarded", "data.batch(8)")),
        ("import tensorflow_datasets as tfds\nds = tfds.load('x')\nds.repeat()\n", ("discarded", "ds.repeat()")),
        ("f = lambda x: x * np.random.rand()\ntf.data.Dataset.range(9).map(f)\n", ("drawn-once", "np.random.rand()")),
        (
            "import functools\ndef f(x, n):\n  return x * random.uniform(0, n)\n"
            "ds = tf.data.Dataset.range(9).map(functools.partial(f, n=3))\n",
            ("drawn-once", "random.uniform(0, n)"),
        ),
        (
            "class A:\n  def grow(self, x):\n    return x + RNG.normal()\n  def b(self):\n"
            "    return tf.data.Dataset.range(9).map(self.grow)\n",
            ("drawn-once", "RNG.normal()"),
        ),
        (
            "def a():\n  def f(x):\n    return x\n  return tf.data.Dataset.range(9).map(f)\n"
            "def b():\n  def f(x):\n    return x * np.random.rand()\n  return tf.data.Dataset.range(9).map(f)\n",
            ("drawn-once", "np.random.rand()"),
        ),
    ],
)
def test_a_slip_is_found(tmp_path, code, slip):
    assert slip in found(tmp_path, code)


@pytest.mark.parametrize(
    "code",
    [
        "table = {}\ntable.update(a=1)\nitems = [1]\nitems.insert(0, 2)\n",
        "import pandas as pd\ndf = pd.read_csv('x')\ndf.filter(['a'])\ndf.map(lambda x: x * random.random())\n",
        "ds = tf.data.Dataset.range(9)\nds.save('x')\n",
        "def f(ds):\n  ds.filter(['a'])\n  return ds\nf(table)\n",
        "class A:\n  def map(self, f):\n    self.rows.map(f)\n",
        "class A:\n  def load(self, k):\n    self.cache(k)\n    self.shuffle()\n    return 1\n",
        "def mix(ds):\n  return ds.shuffle(9, seed=np.random.randint(9))\nds = tf.data.Dataset.range(9).apply(mix)\n",
        "class A:\n  def __init__(self):\n    self.ds = tf.data.Dataset.range(9)\n"
        "class B:\n  def f(self):\n    self.ds.shuffle()\n",
        "data = tf.data.Dataset.range(9)\ndef f():\n  data = Deck()\n  data.shuffle()\n",
        "def f(items):\n  def g(items):\n    items.take(2)\n  d = tf.data.Dataset.range(3)\n  return f(d), g([1])\n",
        "def f(x):\n  return tf.numpy_function(lambda v: v * np.random.rand(), [x], tf.float64)\n"
        "ds = tf.data.Dataset.range(9).map(f)\n",
        "def rows():\n  yield np.random.rand()\nds = tf.data.Dataset.from_generator(rows, tf.float32)\n",
        "def a():\n  def f():\n    return np.random.rand()\n  return f()\n"
        "def b():\n  def f(x):\n    return x\n  return tf.data.Dataset.range(9).map(f)\n",
        "def f(x, n):\n  return x * n\nds = tf.data.Dataset.range(9).map(partial(f, n=random.random()))\n",
        "class A:\n  def draw(self):\n    return RNG.normal()\n  def b(self):\n"
        "    return tf.data.Dataset.range(9).map(self.scale(self.draw()))\n",
    ],
)
def test_a_near_twin_is_not(tmp_path, code):
    assert found(tmp_path, code) == []


def test_a_file_that_is_no_python_has_none(tmp_path):
    assert found(tmp_path, "def (") == []
    assert slips_in(tmp_path / "missing.py") == []


def test_only_what_a_function_names_is_read(tmp_path):
    path = tmp_path / "input.py"
    body = "    ds = tf.data.Dataset.range(3)\n    ds.batch(2)\n    return ds\n"
    names = "    return helped(1)\n"
    path.write_text(f"import tensorflow as tf\ndef other():\n{body}def helped(n):\n{body}def made():\n{names}")
    assert [slip.line for slip in slips_in(path)] == [4, 8]
    assert [slip.line for slip in slips_in(path, "made")] == [8]
    assert [slip.line for slip in slips_in(path, "elsewhere")] == [4, 8]
