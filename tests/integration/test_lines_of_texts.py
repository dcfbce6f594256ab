"""Lines for many texts at once, and ops for NumPy, pasted into the file: the same elements."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from unit.verify.text_files import ROWS, TEXT, line_of

from pipeprof.pipelines.static.instead.tensors import in_tensors
from pipeprof.profiles.advise.edits.many_texts import texts_in_chunks

pytestmark = pytest.mark.usefixtures("without_autograph")

SHORT, LONG = "a bb x\n\nccc a\nbb\nx y z a bb ccc\na\n", "bb\na a a\n\nccc bb a\na bb\nzz\n"


def elements(text: str, function: str) -> list[Any]:
    namespace: dict[str, Any] = {}
    exec(compile(text, "<pasted>", "exec"), namespace)
    return [tf.nest.map_structure(lambda one: one.tolist(), row) for row in namespace[function]().as_numpy_iterator()]


def pasted(text: str, code: str, first: int, last: int) -> str:
    """The file with code in place of lines of its last function."""
    lines = text.splitlines()
    return "\n".join([*lines[: first - 1], *(f"    {one}" for one in code.splitlines()), *lines[last:]])


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.txt").write_text(SHORT * 20)
    Path("b.txt").write_text(LONG * 20)


def test_buckets_have_the_same_batches() -> None:
    text = TEXT.replace(".shuffle(2000, seed=SEED).repeat()", ".shuffle(1).repeat(2)").replace("[10, 20]", "[2, 4]")
    calls = ("map", "filter", "shuffle", "repeat", "bucket_by_sequence_length", "prefetch")
    line = line_of(Path("pairs.py"), text, *calls, texts=2, made=[[None], [None]])
    found = texts_in_chunks(line, line[1])
    assert found is not None
    first = next(at for at, one in enumerate(text.splitlines(), 1) if "kept = " in one)
    before, after = elements(text, "pairs"), elements(pasted(text, found[1], first, first + 1), "pairs")
    assert len(before) > 3
    assert after == before


@pytest.mark.parametrize("rows", ["tf.pad(tokens, [[0, -tf.size(tokens) % 64]])", "tokens[: tf.size(tokens) // 4 * 4]"])
def test_rows_are_the_same_in_the_same_order(rows: str) -> None:
    size = "4" if "//" in rows else "64"
    text = ROWS.replace("tf.pad(tokens, [[0, -tf.size(tokens) % 64]])", rows).replace("[-1, 64]", f"[-1, {size}]")
    line = line_of(Path("rows.py"), text, "map", "filter", "flat_map", "batch", texts=1, made=[[None]])
    found = texts_in_chunks(line, line[1])
    assert found is not None
    assert "rows_of" in found[1]
    last = next(at for at, one in enumerate(text.splitlines(), 1) if "return lines.map" in one)
    before, after = elements(text, "corpus"), elements(pasted(text, found[1], last, last), "corpus")
    assert len(before) > 3
    assert after == before


def test_pictures_are_turned_as_numpy_turns_them() -> None:
    code = "def one(path):\n    x = np.load(path)\n    x = np.rot90(x, k=K)\n    return x\n"
    made = in_tensors(code, f"import numpy as np\nK = 0\n{code}", {"0": "float32"}, pictures=True)
    assert made is not None
    picture = np.arange(24, dtype=np.float32).reshape(2, 4, 3)
    for turns in range(-1, 5):
        values: dict[str, Any] = {"tf": tf, "K": turns, "x": tf.constant(picture)}
        exec("\n".join(made.ops), values)
        np.testing.assert_array_equal(values["x"].numpy(), np.rot90(picture, turns))


NUMPY = """
def one(path):
    x = np.load(path)
    y = (x - x.mean(axis=0)) / (np.std(x, axis=0, keepdims=True) + 1e-3)
    y = np.clip(y, -1, 1).transpose(1, 0)[::-1]
    y = np.where(y > 0, np.sqrt(np.abs(y)), np.maximum(y, -0.5) * 2)
    z = np.stack([np.flip(y, 1), y.reshape(5, 7) - SHIFT], axis=-1)
    return z, y.astype(np.float64).sum(), x
"""


def test_ops_compute_the_same_as_numpy(tmp_path: Path) -> None:
    text = f"import numpy as np\nimport tensorflow as tf\nSHIFT = np.float64(0.25)\n{NUMPY}"
    np.save(tmp_path / "x.npy", np.random.default_rng(2).normal(size=(7, 5)).astype(np.float32))
    types = ("float32", "float32", "float32")
    made = in_tensors(NUMPY.strip(), text, {str(at): one for at, one in enumerate(types)})
    assert made is not None
    namespace: dict[str, Any] = {}
    exec(text, namespace)
    expected = namespace["one"](tmp_path / "x.npy")
    assert (made.read, made.given) == (("x = np.load(path)",), ("x",))
    namespace["x"] = tf.constant(np.load(tmp_path / "x.npy"))
    exec("\n".join(made.ops), namespace)
    for value, kind, result in zip(expected, types, made.results, strict=True):
        found = eval(result, namespace)
        assert found.dtype == kind
        np.testing.assert_allclose(found.numpy(), value, rtol=1e-4, atol=1e-5)
