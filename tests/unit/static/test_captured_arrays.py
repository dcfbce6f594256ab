"""Arrays in the text of a file that become constants of graphs."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import numpy as np
import pytest

from pipeprof.pipelines.static.captured_arrays import captured_arrays
from pipeprof.pipelines.target.target import ParsedTarget

HEAD = "import functools\nimport os\nfrom pathlib import Path\nimport numpy as np\nimport tensorflow as tf\n"


def captured(folder: Path, text: str, *, function: str = "make", **arguments: str) -> list[tuple[str | None, str, int]]:
    """Names, types with shapes and lines of what is captured; lines count from that after the imports."""
    file = folder / "input.py"
    file.write_text(HEAD + dedent(text), encoding="utf-8")
    found = captured_arrays(ParsedTarget("function", file, function, arguments=tuple(arguments.items())))
    lines = len(HEAD.splitlines())
    return [(one.name, f"{one.array.dtype}{list(one.array.shape)}".replace(" ", ""), one.line - lines) for one in found]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            """\
            TABLE = np.zeros((1000, 250), np.float32)
            def lookup(row):
                return tf.gather(TABLE, row)
            def make():
                return tf.data.Dataset.range(9).map(lookup, num_parallel_calls=tf.data.AUTOTUNE)
            """,
            [("TABLE", "float32[1000,250]", 3)],
            id="global",
        ),
        pytest.param(
            """\
            ROWS = 10 ** 3
            def make(width=250):
                table = np.random.rand(ROWS, width).astype("f4")
                ds = tf.data.Dataset.range(9)
                return ds.shuffle(4).map(lambda row: tf.gather(table, row)).batch(2)
            """,
            [("table", "float32[1000,250]", 5)],
            id="closure",
        ),
        pytest.param(
            """\
            def make():
                return tf.data.Dataset.range(9).filter(lambda row: tf.gather(np.ones(500), row) > 0)
            """,
            [(None, "float64[500]", 2)],
            id="made in the body",
        ),
        pytest.param(
            """\
            def inner(row):
                return tf.data.Dataset.from_tensor_slices(np.arange(600).reshape(-1, 3)).map(lambda one: one + row)
            def make():
                return tf.data.Dataset.range(9).flat_map(inner)
            """,
            [(None, "int64[200,3]", 2)],
            id="source in a flat_map",
        ),
        pytest.param(
            """\
            class Loader:
                def __init__(self, rows):
                    self.table = np.random.default_rng(0).random((rows, 5), np.float32)
                def _find(self, row):
                    row = tf.cast(row, tf.int32)
                    return self._weigh(tf.gather(self.table, row))
                def _weigh(self, value):
                    return value * self.table
                def build(self):
                    return tf.data.Dataset.range(9).map(self._find)
            def make():
                return Loader(300).build()
            """,
            [("self.table", "float32[300,5]", 6), ("self.table", "float32[300,5]", 8)],
            id="attribute of an object",
        ),
        pytest.param(
            """\
            def load():
                return np.full([7, 7], 1.0)
            WEIGHTS = load()
            def scale(table, row):
                return row, table
            def make():
                ds = tf.data.Dataset.range(9)
                ds = ds.map(functools.partial(scale, WEIGHTS))
                return ds
            """,
            [("table", "float64[7,7]", 5)],
            id="partial, returned",
        ),
        pytest.param(
            """\
            TABLE = np.zeros((64, 64))
            def make():
                return tf.data.Dataset.range(9).map(
                    lambda row: tf.cond(row > 3, lambda: TABLE * tf.cast(row, tf.float64), lambda: tf.zeros([64, 64]))
                )
            """,
            [("TABLE", "float64[64,64]", 4)],
            id="branch",
        ),
        pytest.param(
            """\
            TABLE = np.zeros((64, 64))
            def make():
                return tf.data.Dataset.range(9).map(lambda row: tf.constant(TABLE, dtype=tf.float32) + 1)
            """,
            [("TABLE", "float32[64,64]", 3)],
            id="converted to another type",
        ),
        pytest.param(
            """\
            def make(augment=False, noise=True):
                ds = tf.data.Dataset.range(9)
                if augment:
                    ds = ds.map(lambda row: tf.gather(np.ones(100), row))
                if noise:
                    ds = ds.map(lambda row: tf.gather(np.ones(200), row))
                return ds
            """,
            [(None, "float64[200]", 6)],
            id="branches by default",
        ),
        pytest.param(
            """\
            TABLE = np.zeros((64, 64))
            def mean(rows):
                return np.float32(TABLE.mean()) + rows
            def make():
                tensor = tf.constant(TABLE)
                size = len(TABLE)
                ds = tf.data.Dataset.from_tensor_slices(TABLE)
                ds = ds.map(lambda row: tf.numpy_function(mean, [row], tf.float32))
                ds = ds.map(lambda row: row + TABLE.shape[0] + size + TABLE[0, 0])
                return ds.map(lambda row: tf.gather(tensor, row))
            """,
            [],
            id="tensors, slices, shapes and Python functions",
        ),
        pytest.param(
            """\
            from multiprocessing import Pool
            TABLE = np.zeros((64, 64))
            def logged(function):
                return lambda *args: tf.numpy_function(function, args, tf.float64)
            @logged
            def find(row):
                return tf.gather(TABLE, row)
            def make(table, other=None):
                table = table or TABLE
                Pool().map(lambda row: tf.gather(TABLE, row), [1, 2])
                return tf.data.Dataset.range(9).map(find).map(lambda row: tf.gather(table, row))
            """,
            [],
            id="what only a run shows",
        ),
    ],
)
def test_uses_of_arrays_in_traced_functions(tmp_path: Path, text: str, expected: list[tuple[str | None, str, int]]):
    assert captured(tmp_path, text) == expected


TABLES = "import numpy as np\nTABLE = np.zeros((1000, 250), np.float32)\nclass Store:\n    rows = np.ones(70)\n"
LOOKUP = "lambda row: tf.gather({}, row)"


@pytest.mark.parametrize(
    ("imports", "used", "name"),
    [
        ("from tables import TABLE", "TABLE", "TABLE"),
        ("from tables import TABLE as WEIGHTS", "WEIGHTS", "WEIGHTS"),
        ("import tables", "tables.TABLE", "tables.TABLE"),
        ("import tables as t", "t.TABLE", "t.TABLE"),
        ("from package import tables", "tables.TABLE", "tables.TABLE"),
        ("import package.tables", "package.tables.TABLE", "package.tables.TABLE"),
        ("from package.again import TABLE", "TABLE", "TABLE"),
        ("from package import TABLE", "TABLE", "TABLE"),
        ("from names.spaced import TABLE", "TABLE", "TABLE"),
    ],
)
def test_arrays_of_the_users_other_files(tmp_path: Path, imports: str, used: str, name: str) -> None:
    for folder in ("package", "names"):
        (tmp_path / folder).mkdir()
    for file in ("tables.py", "package/tables.py", "names/spaced.py"):
        (tmp_path / file).write_text(TABLES)
    (tmp_path / "package/__init__.py").write_text("from .tables import TABLE\n")
    (tmp_path / "package/again.py").write_text("from . import tables\nTABLE = tables.TABLE\n")
    text = f"""\
    {imports}
    def make():
        return tf.data.Dataset.range(9).map({LOOKUP.format(used)})
    """
    assert captured(tmp_path, text) == [(name, "float32[1000,250]", 3)]


@pytest.mark.parametrize(
    "text",
    [
        """\
        from tables import Store
        def make():
            return tf.data.Dataset.range(9).map(lambda row: tf.gather(Store.rows, row))
        """,
        """\
        from tables import Store
        class Lookup(Store):
            def __init__(self):
                self.table = Store.rows
            def __call__(self, row):
                return tf.gather(self.table, row)
        def make():
            return tf.data.Dataset.range(9).map(Lookup())
        """,
        """\
        import tables
        def make(rows=tables.Store.rows):
            return tf.data.Dataset.range(9).map(functools.partial(lambda rows, row: tf.gather(rows, row), rows))
        """,
        """\
        import tables
        def lookup(row, rows=tables.Store.rows):
            return tf.gather(rows, row)
        def make():
            return tf.data.Dataset.range(9).map(lookup)
        """,
    ],
    ids=["class", "object", "partial", "default"],
)
def test_attributes_and_arguments_of_the_users_other_files(tmp_path: Path, text: str) -> None:
    (tmp_path / "tables.py").write_text(TABLES)
    assert [size for _, size, _ in captured(tmp_path, text)] == ["float64[70]"]


def test_a_use_in_another_file_has_its_place_there(tmp_path: Path) -> None:
    (tmp_path / "tables.py").write_text(
        TABLES + "import tensorflow as tf\ndef look(row): return tf.gather(TABLE, row)\n"
    )
    file = tmp_path / "input.py"
    file.write_text(HEAD + "import tables\ndef make(): return tf.data.Dataset.range(9).map(tables.look)\n")
    (found,) = captured_arrays(ParsedTarget("function", file, "make"))
    assert (found.path, found.line, found.name) == (tmp_path / "tables.py", 6, "TABLE")


@pytest.mark.parametrize(
    "other",
    [
        "from input import make\nTABLE = make\n",
        "TABLE = (\n",
        "import input\nTABLE = input.TABLE\n",
        "from os import *\n",
    ],
    ids=["circle of files", "no Python", "circle of names", "names that only a run shows"],
)
def test_files_that_tell_nothing(tmp_path: Path, other: str) -> None:
    (tmp_path / "tables.py").write_text(other)
    text = """\
    from tables import TABLE
    def make():
        return tf.data.Dataset.range(9).map(lambda row: tf.gather(TABLE, row))
    """
    assert captured(tmp_path, text) == []


def test_a_saved_array_has_the_size_in_its_header(tmp_path: Path) -> None:
    np.save(tmp_path / "table.npy", np.zeros((30, 4), np.int32))
    for path in ("Path(__file__).parent / 'table.npy'", "os.path.join(os.path.dirname(__file__), 'table.npy')"):
        text = f"""\
        FILE = {path}
        def make():
            return tf.data.Dataset.range(9).map(lambda row: tf.gather(tf.constant(np.load(FILE)), row))
        """
        assert captured(tmp_path, text) == [(None, "int32[30,4]", 3)]
    (tmp_path / "table.npy").write_bytes(b"none")
    assert captured(tmp_path, text) == []


def test_arguments_make_parameters_unknown(tmp_path: Path) -> None:
    text = """\
    def make(rows=1000, extra=False):
        if extra:
            return tf.data.Dataset.range(9).map(lambda row: tf.gather(np.zeros(10), row))
        return tf.data.Dataset.range(9).map(lambda row: tf.gather(np.zeros(rows), row))
    """
    assert captured(tmp_path, text) == [(None, "float64[1000]", 4)]
    assert captured(tmp_path, text, rows="7") == []
    assert captured(tmp_path, text, extra="yes") == [(None, "float64[10]", 3), (None, "float64[1000]", 4)]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("def make():\n    return make()\n", id="calls itself"),
        pytest.param("a = b\nb = a\ndef make():\n    return a.map(lambda x: x + b)\n", id="circle of names"),
        pytest.param(
            "a0 = np.zeros(3)\n"
            + "".join(f"a{n} = a{n - 1} + a{n - 1}\n" for n in range(1, 40))
            + "def make():\n    return tf.data.Dataset.range(9).map(lambda x: tf.gather(a39, x))\n",
            id="every name twice",
        ),
        pytest.param(
            "def make():\n    ds = tf.data.Dataset.range(9)\n    return ds" + ".map(lambda x: x + 1)" * 300 + "\n",
            id="long chain",
        ),
        pytest.param("def make():\n    return tf.zeros(" + "+".join(["1"] * 1_500) + ")\n", id="long sum"),
        pytest.param(
            "def make():\n    return tf.data.Dataset.range(9).map(lambda x: x + np.zeros(10**10**9))\n", id="10"
        ),
    ],
)
def test_every_search_ends(tmp_path: Path, text: str) -> None:
    captured(tmp_path, text)
