"""What could stand in place of functions: lengths of what they make of texts, rows that they cut, and ops for NumPy."""

from __future__ import annotations

import pytest

from pipeprof.pipelines.static.instead.lengths import Cut, by_counts, counted, cut, is_of_each
from pipeprof.pipelines.static.instead.tensors import definition_of, in_tensors

IDS = "def ids(a, b):\n    words = tf.strings.split(tf.strings.lower(a))\n    return table.lookup(words), {second}\n"


@pytest.mark.parametrize(
    ("second", "counts"),
    [
        ("tf.strings.split(b)", "tf.strings.split(b).row_lengths()"),
        ("tf.cast(table.lookup(tf.strings.split(b, ',')), tf.int32) + 1", "tf.strings.split(b, ',').row_lengths()"),
        ("tf.strings.unicode_decode(b, 'UTF-8')", "tf.strings.unicode_decode(b, 'UTF-8').row_lengths()"),
        # One number for each text, or as many as another op likes.
        ("tf.strings.length(b)", None),
        ("tf.concat([tf.strings.split(b), ['end']], 0)", None),
        ("b", None),
    ],
)
def test_results_of_texts_are_counted(second: str, counts: str | None) -> None:
    found = counted(IDS.format(second=second), "ids", 9)
    assert (found.counts[1] if found is not None else None) == counts
    if found is not None:
        assert found.counts[0] == "tf.strings.split(tf.strings.lower(a)).row_lengths()"
        assert found.parameters == ("a", "b")
        assert not found.alone


@pytest.mark.parametrize(
    ("given", "value"),
    [
        ("keep", "tf.maximum(n, m) <= LONGEST"),
        ("lambda a, b: tf.size(a) > 3", "n > 3"),
        ("lambda a, b: tf.reduce_sum(a) > 3", None),
        ("lambda a: tf.size(a) > 3", None),
        ("unknown", None),
    ],
)
def test_functions_of_lengths_alone_are_ones_of_counts(given: str, value: str | None) -> None:
    code = "def keep(a, b):\n    longer = tf.maximum(tf.size(a), tf.shape(b)[0])\n    return longer <= LONGEST\n"
    assert by_counts(code, given, 9, ["n", "m"]) == value


@pytest.mark.parametrize(
    ("value", "each"),
    [("n > 4", True), ("tf.logical_and(n > 4, n < 9)", True), ("4 < n < 9", False), ("n > 4 and n < 9", False)],
)
def test_choices_of_python_are_none_of_many(value: str, each: bool) -> None:
    assert is_of_each(value) is each


CHUNK = (
    "def chunk(x):\n    rows = {rows}\n    return tf.data.Dataset.from_tensor_slices(tf.reshape(rows, [-1, {size}]))\n"
)


TURNED = """
def one(path):
    rng = np.random.default_rng(path)
    x = np.load(path)
    x = np.rot90(x, rng.integers(4)) * rng.uniform(0.8, 1.2)
    return x
"""


@pytest.mark.parametrize(
    ("more", "pictures", "read"),
    [
        ("x = np.load(path)", True, ("x = np.load(path)",)),
        # A table has no right angles for ops of pictures.
        ("x = np.load(path)", False, None),
        # What else the generator is asked for needs it.
        ("x = np.load(path)[rng.permutation(3)]", True, None),
    ],
)
def test_a_generator_whose_numbers_ops_draw_goes(more: str, pictures: bool, read: tuple[str, ...] | None) -> None:
    code = TURNED.replace("x = np.load(path)", more).strip()
    made = in_tensors(code, f"import numpy as np\n{code}", {"0": "float32"}, pictures=pictures)
    if read is None:
        assert made is None
        return
    assert made is not None
    assert (made.read, made.given, made.random) == (read, ("x",), True)
    turned = "tf.image.rot90(x, tf.cast(tf.random.uniform([], 0, 4, tf.int64), tf.int32))"
    assert made.ops == (f"x = {turned} * tf.random.uniform([], 0.8, 1.2)",)


@pytest.mark.parametrize(
    ("rows", "size", "found"),
    [
        ("tf.pad(x, [[0, -tf.size(x) % 64]])", "64", Cut("64", padded=True)),
        ("tf.pad(x, [[0, -tf.shape(x)[0] % ROW]])", "ROW", Cut("ROW", padded=True)),
        ("x[: tf.size(x) // 64 * 64]", "64", Cut("64", padded=False)),
        ("tf.pad(x, [[0, -tf.size(x) % 64]], constant_values=1)", "64", None),
        ("tf.pad(x, [[0, -tf.size(x) % 32]])", "64", None),
        ("tf.pad(x, [[-tf.size(x) % 64, 0]])", "64", None),
        ("x[: tf.size(x) // 64 * 64] + 1", "64", None),
        ("x", "64", None),
    ],
)
def test_rows_of_one_length_are_known(rows: str, size: str, found: Cut | None) -> None:
    assert cut(CHUNK.format(rows=rows, size=size), "chunk", 9) == found


@pytest.mark.parametrize(
    ("rest", "found"),
    [(".batch(8, drop_remainder=True)", True), (".batch(8)", False), (".batch(8, drop_remainder=True).map(f)", False)],
)
def test_batches_of_slices_are_rows(rest: str, found: bool) -> None:
    made = cut("", f"lambda x: tf.data.Dataset.from_tensor_slices(x){rest}", 1)
    assert made == (Cut("8", padded=False) if found else None)


READ = "import random\nimport numpy as np\nMEAN = np.ones(3)\n"


def ops_of(body: str, result: str = "x", *types: str) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    lines = "".join(f"    {line}\n" for line in (*body.splitlines(), f"return {result}"))
    code = f"def one(path):\n    x = np.load(path)\n{lines}"
    made = in_tensors(code, f"{READ}{code}", {str(at): kind for at, kind in enumerate(types or ("float32",))})
    assert made is None or made.read[0] == "x = np.load(path)"
    return (made.ops, made.results) if made is not None else None


@pytest.mark.parametrize(
    ("given", "op"),
    [
        ("x - x.mean(axis=0)", "x - tf.reduce_mean(x, axis=0)"),
        ("x / np.std(x, (0, 1), keepdims=True)", "x / tf.math.reduce_std(x, axis=(0, 1), keepdims=True)"),
        ("np.sqrt(np.abs(x))", "tf.math.sqrt(tf.math.abs(x))"),
        ("np.clip(x, 0, 1)", "tf.clip_by_value(x, 0, 1)"),
        ("(x - MEAN) * 2", "(x - tf.cast(MEAN, tf.float32)) * 2"),
        ("np.flip(x, 1)", "tf.reverse(x, [1])"),
        ("np.fliplr(x)", "tf.reverse(x, [1])"),
        ("x.transpose(1, 0)", "tf.transpose(x, [1, 0])"),
        ("x.reshape(4, -1)", "tf.reshape(x, [4, -1])"),
        ("x[::-1, 2:, None]", "x[::-1, 2:, None]"),
        ("np.stack([x, x], axis=-1)", "tf.stack([x, x], -1)"),
        ("x.astype(np.float32)", "tf.cast(x, tf.float32)"),
        ("x + np.random.normal(0, 0.1, x.shape)", "x + tf.random.normal(tf.shape(x), 0, 0.1)"),
        ("x * np.random.uniform(0.8, 1.2)", "x * tf.random.uniform([], 0.8, 1.2)"),
        ("x if random.random() < 0.5 else x[::-1]", None),
    ],
)
def test_numpy_is_written_in_ops(given: str, op: str | None) -> None:
    found = ops_of(f"x = {given}\nx = x * 2")
    assert found is not None
    op = op or "tf.cond(tf.random.uniform([]) < 0.5, lambda: x, lambda: x[::-1])"
    assert found[0][0] == f"x = {op}"


def test_a_choice_is_one_of_ops_and_results_have_their_types() -> None:
    assert ops_of("if np.random.rand() < 0.5:\n    x = x[::-1]") == (
        ("x = tf.cond(tf.random.uniform([]) < 0.5, lambda: x[::-1], lambda: x)",),
        ("x",),
    )
    found = ops_of("y = np.random.randint(5)", "x * 2, y", "float32", "int32")
    assert found == (
        ("y = tf.random.uniform([], 0, 5, tf.int64)",),
        ("tf.cast(x * 2, tf.float32)", "tf.cast(y, tf.int32)"),
    )


@pytest.mark.parametrize(
    "body",
    [
        "x = x + cv2.blur(x)",
        "x = np.linalg.inv(x)",
        "x = np.median(x)",
        "x = x[x > 0]",
        "x = np.std(x, ddof=1)",
        "x = np.where(x > 0)",
        "for i in range(3):\n    x = x * 2",
        "x[0] = 1",
        "x = np.pad(x, 1)",
    ],
)
def test_what_tensorflow_has_not_stays_python(body: str) -> None:
    assert ops_of(body) is None


def test_whole_numbers_are_moved_and_not_computed_with() -> None:
    assert ops_of("x = x[::-1]", "x", "uint8") == (("x = x[::-1]",), ("x",))
    # Numbers of eight bits wrap around.
    assert ops_of("x = x * 2", "x", "uint8") is None


def test_what_comes_after_the_last_statement_of_python_is_ops() -> None:
    code = (
        "def one(path):\n    x = np.load(path)\n    y = json.loads(x.tobytes())\n"
        "    x = x / 255\n    return {'x': x, 'y': y}\n"
    )
    made = in_tensors(code, READ + code, {"x": "float32", "y": "int64"})
    assert made is not None
    assert (made.read, made.given) == (("x = np.load(path)", "y = json.loads(x.tobytes())"), ("x", "y"))
    assert (made.types, made.lines) == (("float32", "int64"), (4, 5))
    assert in_tensors("def one(path):\n    return np.load(path) / 2\n", READ, {"0": "float32"}) is None


def test_a_function_of_a_name_that_is_not_alone_is_not_known() -> None:
    code = "def f(x):\n    return x\n"
    assert definition_of(code, "f") is not None
    assert definition_of(code * 2, "f") is None
    assert definition_of(f"@tf.function\n{code}", "f") is None
