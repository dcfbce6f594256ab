"""Edits in the text of a script: its calls are found from the last one on, wherever it stands."""

from __future__ import annotations

import difflib
import textwrap

import pytest

from pipeprof.pipelines.edits.edits import InsertStage, MoveStage, PipelineEdit, SetArgument, SetOption
from pipeprof.pipelines.static.edit.apply import apply_to_source
from pipeprof.pipelines.static.edit.chain import line_after, reader_after
from pipeprof.pipelines.static.edit.errors import CannotEditSourceError

HEAD = "import tensorflow as tf\n"
STATEMENTS = """\
train = tf.data.Dataset.range(9)
train = train.map(parse)
train = train.batch(4)

@tf.function
def step(x):
    return x

model.fit(train)
"""
IN_FIT = """\
def main():
    train = tf.data.Dataset.range(9).map(parse)
    with strategy.scope():
        model = make()
    model.fit(
        train.batch(4),
        epochs=2,
    )
main()
"""
IN_LOOP = """\
train = tf.data.Dataset.range(9).map(parse)
for epoch in range(3):
    for x in train.batch(4).with_options(options):
        step(x)
"""
ARGUMENTS = """\
def make(count, split="train"):
    if split == "test":
        return None
    return tf.data.Dataset.range(count).map(parse).batch(4)

def main():
    train(make(9))

if __name__ == "__main__":
    main()
"""
CASES = {"statements": STATEMENTS, "fit": IN_FIT, "loop": IN_LOOP, "arguments": ARGUMENTS}
STAGES = {"source": "range", "stages.0": "map", "stages.1": "batch"}
PARALLEL = SetArgument("stages.0", "map", "num_parallel_calls", 2)
PREFETCH = InsertStage("prefetch", {"buffer_size": 1}, "stages.1")


def changed(text: str, *steps: PipelineEdit, call: str = "batch") -> list[str]:
    """The lines that differ after edits that come one after the other."""
    text = HEAD + text
    line = next(number for number, one in enumerate(text.splitlines(), 1) if f".{call}(" in one)
    reader = reader_after(text, "train.py", line, None, call)
    after = apply_to_source(text, reader, STAGES, [[step] for step in steps])
    both = text.splitlines(), after.splitlines()
    return [one for one in difflib.ndiff(*both) if one[0] in "+-"]


def test_statements_of_a_file() -> None:
    assert changed(STATEMENTS, PARALLEL, PREFETCH, SetOption("threading.private_threadpool_size", 4)) == [
        "- train = train.map(parse)",
        "+ train = train.map(parse, num_parallel_calls=2)",
        "+ train = train.prefetch(1)",
        "+ options = tf.data.Options()",
        "+ options.threading.private_threadpool_size = 4",
        "+ train = train.with_options(options)",
    ]


def test_a_dataset_made_in_the_arguments_of_a_call() -> None:
    assert changed(IN_FIT, PREFETCH, SetOption("deterministic", value=False), PREFETCH) == [
        "+     options = tf.data.Options()",
        "+     options.deterministic = False",
        "-         train.batch(4),",
        "+         train.batch(4).prefetch(1).prefetch(1).with_options(options),",
    ]


def test_a_dataset_made_in_the_head_of_a_loop() -> None:
    assert changed(IN_LOOP, PREFETCH) == [
        "-     for x in train.batch(4).with_options(options):",
        "+     for x in train.batch(4).prefetch(1).with_options(options):",
    ]
    with pytest.raises(CannotEditSourceError, match=r"stages\.0 is not one of the calls in train\.py"):
        changed(IN_LOOP, PARALLEL)


def test_a_function_with_arguments_and_several_returns() -> None:
    assert changed(ARGUMENTS, PREFETCH, PARALLEL) == [
        "-     return tf.data.Dataset.range(count).map(parse).batch(4)",
        "+     return tf.data.Dataset.range(count).map(parse, num_parallel_calls=2).batch(4).prefetch(1)",
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("train = [part.batch(4) for part in parts]\nfit(train)\n", r"line 2 of train\.py may make several datasets"),
        ("make = lambda: numbers().batch(4)\nfit(make())\n", "may make several datasets"),
        ("ds = ds.batch(4) if len(ds) else ds.batch(4)\nfit(ds)\n", "does not show the call of batch"),
        (
            "train = numbers().batch(4)\n\ndef main():\n    fit(train)\n",
            r"nothing in train\.py reads train after line 2",
        ),
        ("def make():\n  ds = ds.batch(4)\nmake(", "not valid Python"),
    ],
)
def test_what_the_text_does_not_show_is_refused(text: str, reason: str) -> None:
    with pytest.raises(CannotEditSourceError, match=reason):
        changed(text, PREFETCH)


def test_a_call_that_is_no_stage_of_the_pipeline_is_refused() -> None:
    with pytest.raises(CannotEditSourceError, match=r"the calls in train\.py are not the stages of its pipeline"):
        changed("train = numbers().repeat(4)\nfit(train)\n", PREFETCH, call="repeat")


SPLIT = """\
base = tf.data.Dataset.range(9).map(parse)
held_out = base.take(3)
train = base.batch(4)
print(len(train), train.element_spec)
fit(train, held_out)
"""
SPLITS = """\
made = {}
for split in ("train", "test"):
    ds = tf.data.Dataset.range(9).map(parse)
    ds = ds.batch(4)
    made[split] = ds
fit(made["train"], made["test"])
"""
FOLDS = """\
for fold in range(3):
    ds = tf.data.Dataset.range(9).map(parse).batch(4)
    fit(ds)
"""
CACHE = InsertStage("cache", {}, "stages.0")
UNORDERED = SetOption("deterministic", value=False)


def test_what_another_dataset_is_made_of_as_well_gets_no_other_elements() -> None:
    assert changed(SPLIT, PARALLEL)[-1].endswith(".map(parse, num_parallel_calls=2)")
    assert changed(SPLIT, PREFETCH) == ["+ train = train.prefetch(1)"]
    edits: list[PipelineEdit] = [CACHE, MoveStage("stages.1", "batch", "stages.0")]
    edits.append(SetArgument("stages.0", "map", "deterministic", value=False))
    for edit in edits:
        with pytest.raises(CannotEditSourceError, match=r"stages\.0 is a part of another dataset of train\.py as well"):
            changed(SPLIT, edit)
    both = SPLIT.replace("base.take", "train.take").replace("held_out = train.take(3)\n", "")
    both = both.replace("print(", "held_out = train.take(3)\nprint(")
    assert changed(both, SetOption("threading.private_threadpool_size", 4))
    # What reads it as well gets the same elements.
    assert changed(both, PREFETCH)[0] == "+ train = train.prefetch(1)"
    with pytest.raises(CannotEditSourceError, match=r"stages\.1 is a part of another dataset"):
        changed(both, UNORDERED)
    earlier = SPLIT.replace("held_out = base.take(3)\n", "").replace(", held_out", ", look()")
    with pytest.raises(CannotEditSourceError, match=r"stages\.0 is a part of another dataset"):
        changed("def look():\n    return base.take(3)\n\n" + earlier, CACHE)
    assert changed("def look(base):\n    return base.take(3)\n\n" + earlier, CACHE)


def test_a_loop_that_makes_several_datasets() -> None:
    assert changed(SPLITS, PARALLEL)
    for text in (SPLITS, SPLITS.replace("made[split] = ds", "made.append(ds)")):
        with pytest.raises(CannotEditSourceError, match=r"stages\.0 is a part of another dataset"):
            changed(text, CACHE)
    assert changed(FOLDS, CACHE, UNORDERED)


MADE = """\
def make(name):
    ds = tf.data.Dataset.range(9).map(parse)
    return ds.batch(4)
"""
SEVERAL = {
    "called twice": "fit(make('a'), make('b'))\n",
    "called by what is called twice": "def of_train():\n    return make('a')\n\nfit(of_train(), of_train())\n",
    "an argument": "of_train = functools.partial(make, 'a')\nfit(of_train(), of_train())\n",
    "in a lambda": "of_train = lambda: make('a')\nfit(of_train(), of_train())\n",
    "of itself": "def of(name):\n    return make(name) if name else of('a')\n",
    "made and kept in turn": """\
        made = {}
        for name in ("train", "test"):
            made[name] = make(name).prefetch(1)
        fit(**made)
    """,
    "of a comprehension": """\
        made = [make(name) for name in ("train", "test")]
        fit(*made)
    """,
    "under another name": """\
        for name in ("train", "test"):
            ds = make(name)
            shuffled = ds.shuffle(9)
            made.append(shuffled)
        fit(*made)
    """,
}


def test_the_methods_of_a_class() -> None:
    head = "class Data:\n    SIZE = 3\n\n" + textwrap.indent(MADE.replace("(name)", "(self)", 1), "    ")
    assert changed(head + "fit(Data().make(), Data.SIZE)\n", CACHE)
    for code in ("fit(data.make(), [Data('a'), Data('b')])\n", "made = Data('a')\nfit(made.make(), Data)\n"):
        with pytest.raises(CannotEditSourceError, match=r"stages\.0 is a part of another dataset of make"):
            changed(head + code, CACHE)


def test_what_runs_a_function_once_is_known() -> None:
    assert changed(f"{MADE}\ndef main(_):\n    fit(make('a'))\n\napp.run(main)\n", CACHE)


def test_a_name_of_the_file_stays() -> None:
    text = f"{FOLDS}print(options)\n"
    for bound in ("options = parse()", "import options", "def options(): ...", "from parser import parse as options"):
        assert "+     pipeline_options = tf.data.Options()" in changed(f"{bound}\n{text}", UNORDERED)


def test_options_of_another_dataset_stay() -> None:
    own = "opts = tf.data.Options()\ntrain = tf.data.Dataset.range(9).map(parse).batch(4)\n"
    own += "train = train.with_options(opts)\n"
    assert changed(f"{own}fit(train)\n", UNORDERED) == ["+ opts.deterministic = False"]
    for code in (
        f"{own}test = test.with_options(opts)\nfit(train, test)\n",
        own.replace("= tf.data.Options()", "= common.OPTIONS") + "fit(train)\n",
        own.replace("opts = tf.data.Options()\n", "from common import opts\n") + "fit(train)\n",
    ):
        with pytest.raises(
            CannotEditSourceError, match="the options in line 4 may be those of another dataset as well"
        ):
            changed(code, UNORDERED)


LOOP = "def go(ds):\n    for x in ds:\n        pass\n\nds = a()\n"
CHARACTERS = "s = '\u2028\x0c'\r\nfor x in a():\r\n    pass\r\n"


@pytest.mark.parametrize(
    ("before", "after", "line", "expected"),
    [
        (LOOP, LOOP.replace("a()\n", "b()\nds = c()\n"), 2, 2),
        (CHARACTERS, CHARACTERS.replace("for x in a()", "n = 1\r\nfor x in a().b()"), 2, 3),
        ("model.fit(\n    a(),\n    b,\n)\n", "o = c()\nmodel.fit(\n    a().d(o),\n    b,\n)\n", 1, 2),
        ("(model\n .fit(a()))\n", "o = c()\n(model\n .fit(a().d(o)))\n", 2, 3),
        ("fit(\n    a(),\n)\n", "fit(\n    a().b(),\n)\n", 2, 2),
        ("fit(\n    a()\n)\n", "\n\n\n", 1, None),
    ],
)
def test_a_line_is_found_again(before: str, after: str, line: int, expected: int | None) -> None:
    assert line_after(before, after, line) == expected


def test_text_that_is_not_python() -> None:
    for text, reason in (("def (", "is not valid Python"), ("x = '\0'", "Python"), ("(" * 9000, "Python")):
        with pytest.raises(CannotEditSourceError, match=reason):
            reader_after(text, "train.py", 1, None, "batch")
