"""The function of a script that makes its dataset: one that does more is never called."""

from __future__ import annotations

import pytest

from pipeprof.pipelines.static.edit.errors import CannotEditSourceError
from pipeprof.profiles.document.base import Location
from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.fix.source_diff import function_of_script

TEXT = "def make():\n    ds = tf.data.Dataset.range(3)\n    return ds.map(parse)\n"
GUARD = "\nif __name__ == '__main__':\n    for batch in make():\n        fit(batch)\n"


def found(text: str, lines: list[int], file: str = "train.py") -> str:
    stages = [
        Stage(id=f"stages.{number}", op="map", origin="written", location=Location(file="data/train.py", line=line))
        for number, line in enumerate(lines)
    ]
    return function_of_script(text, file, stages)


def body(*lines: str) -> str:
    return "\n    ".join(("def make():", *lines)) + "\n" + GUARD


ARRAYS = "def arrays():\n    return np.arange(3)\n\n"


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (TEXT + GUARD, [2, 3]),
        (
            body(
                '"""Make it."""', "import tensorflow as tf", "files = tf.io.gfile.glob('*')", "return Dataset.range(3)"
            ),
            [5],
        ),
        (
            body(
                "opts = tf.data.Options()", "opts.deterministic = False", "return Dataset.range(3).with_options(opts)"
            ),
            [4],
        ),
        (ARRAYS + body("ds = tf.data.Dataset.from_tensor_slices(arrays())", "return ds.batch(len(FILES))"), [6]),
        (body("def parse(x):", "    return fit(x)", "return tf.data.Dataset.range(3).map(parse)"), [4]),
    ],
)
def test_a_function_that_only_makes_the_dataset(text: str, lines: list[int]) -> None:
    assert found(text, lines) == "make"


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (["ds = tf.data.Dataset.range(3)", "for x in ds:", "    step(x)", "return ds"], "line 3, `for x in ds:`"),
        (["ds = tf.data.Dataset.range(3)", "model.fit(ds)", "return ds"], "line 3, `model.fit(ds)`"),
        (["ds = tf.data.Dataset.range(3)", "history = model.fit(ds)", "return ds"], "line 3, `model.fit(ds)`"),
        (["ds = tf.data.Dataset.range(3)", "ds.save('x')", "return ds"], "line 3, `ds.save('x')`"),
        (["ds = tf.data.Dataset.range(3)", "return ds.apply(training)"], "line 3, `ds.apply(training)`"),
        (["ds = tf.data.Dataset.range(3)", "first = [x for x in ds]", "return ds"], "`[x for x in ds]`"),
        (["ds = tf.data.Dataset.range(3)", "first = next(iter(ds))", "return ds"], "line 3, `next(iter(ds))`"),
        (["ds = tf.data.Dataset.range(3)", "with open('log', 'w'):", "    return ds"], "does not end with the return"),
        (["ds = tf.data.Dataset.range(3)", "model.fit(ds)"], "make does not end with the return of its dataset"),
        (["ds = tf.data.Dataset.range(3)", "x = work()", "return ds"], "line 3, `work()`"),
        (["ds = tf.data.Dataset.range(3)", "x = pool.map(work)", "return ds"], "line 3, `pool.map(work)`"),
        (["ds = tf.data.Dataset.range(3)", "tf.io.write_file('a', 'b')", "return ds"], "line 3"),
    ],
)
def test_a_function_that_may_do_more_is_not_called(lines: list[str], reason: str) -> None:
    with pytest.raises(CannotEditSourceError) as error:
        found(body(*lines), [2])
    assert reason in str(error.value)


def test_a_helper_is_looked_at_too() -> None:
    helper = "def work():\n    model.fit(DATA)\n    return 3\n\n"
    with pytest.raises(CannotEditSourceError, match="work may do more than make the dataset"):
        found(helper + body("ds = tf.data.Dataset.range(work())", "return ds"), [6])


@pytest.mark.parametrize(
    ("text", "lines", "file", "reason"),
    [
        (TEXT + GUARD, [3, 6], "train.py", "no function of train.py makes the whole dataset"),
        (TEXT + GUARD, [2], "other.py", "no function of other.py makes the whole dataset"),
        (TEXT + GUARD, [], "train.py", "no function of train.py makes the whole dataset"),
        (TEXT + GUARD.replace("__name__ == '__main__'", "True"), [2, 3], "train.py", "so to import it is to train"),
        (f"{TEXT}model.fit(make())\n{GUARD}", [2, 3], "train.py", "line 4 runs when the file is imported"),
        (f"{TEXT}for x in make():\n    pass\n{GUARD}", [2, 3], "train.py", "line 4 runs when the file is imported"),
        (f"{TEXT}make()\n{GUARD}", [2, 3], "train.py", "line 4 runs when the file is imported"),
        (f"@cached\n{TEXT}{GUARD}", [3, 4], "train.py", "make is decorated"),
        ("def make(:", [1], "train.py", "train.py is not valid Python"),
    ],
)
def test_a_file_that_cannot_be_imported(text: str, lines: list[int], file: str, reason: str) -> None:
    with pytest.raises(CannotEditSourceError) as error:
        found(text, lines, file)
    assert reason in str(error.value)
