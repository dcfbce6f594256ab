"""Loops over arrays without loops, and generators by number: what runs gives the same values."""

from __future__ import annotations

import numpy as np
import pytest

from pipeprof.pipelines.static.imports import in_file
from pipeprof.pipelines.static.numbered import numbered, of_a_pool
from pipeprof.pipelines.static.rewritten import (
    all_rounds,
    gathered,
    on_rows,
    same_in_all_rounds,
    takes_any_texts,
    whole_arrays,
)

ROW = np.arange(12, dtype=np.float32).reshape(3, 4)


def loop(values: str, step: str, before: str = "made = 0.0") -> str:
    return f"import numpy as np\n{before}\nfor value in {values}:\n    {step}\n"


@pytest.mark.parametrize(
    ("code", "is_list"),
    [
        (loop("row[:2].ravel().tolist()", "made += value * value"), False),
        (loop("row[0].tolist()", "made += (value - 1) % 3 / half + -2", "half = 2; made = 0.0"), False),
        (loop("row.flat", "made += (value - 1.0) / 2.0"), False),
        (loop("row.flatten()", "made.append(-value * 2.0)", "made = [0]"), True),
    ],
)
def test_a_loop_is_the_same_on_the_whole_array(code: str, is_list: bool) -> None:
    found = whole_arrays(code, [1, 4])
    assert found is not None
    assert (found.first, found.last) == (3, 4)
    slow: dict[str, object] = {"row": ROW}
    exec(code, slow)
    fast: dict[str, object] = {"row": ROW, "np": np}
    exec("\n".join([code.splitlines()[1], *found.lines]), fast)
    np.testing.assert_allclose(np.asarray(fast["made"]), np.asarray(slow["made"]))
    assert ("append" in code) == is_list


@pytest.mark.parametrize(
    "code",
    [
        loop("row.tolist()", "made += f(value)"),
        loop("row.tolist()", "made += other"),
        loop("row.tolist()", "made = made * value"),
        loop("row.tolist()", "made += 0.1 * (value - made)"),
        loop("made.tolist()", "made += value"),
        loop("row.tolist()", "made.append(value * made)"),
        loop("range(9)", "made += value"),
        loop("row.tolist()", "made += value", "made = 0"),
        loop("row.tolist()", "made += value", "made = ''"),
        loop("row.tolist()", "made += value", "made = 0.0; made = f()"),
        loop("row.tolist()", "made += value * vector", "made = 0.0; vector = np.ones(3)"),
        loop("row.tolist()", "made += value * half", "made = 0.0; half = 1; half = f()"),
        loop("row.tolist()", "made += value // 2"),
        loop("row.tolist()", "made += value ** 0.5"),
        loop("row.tolist()", "made += 1 / value"),
        loop("row.tolist()", "made += value @ value"),
        loop("row.tolist()", "made += 2 * 3"),
        loop("row.tolist()", "made += 'a' * value"),
        loop("row.tolist()", "made.append(value * 2)", "made = []"),
        loop("row.flat", "made.append(value)", "made = deque()"),
        loop("row.flat", "made.append(value * 2)", "made = []"),
        loop("row.flat", "made += value ** 2"),
        loop("lines", "made += value"),
        loop("row.tolist()", "made += value\n    other += value"),
        "def (",
    ],
)
def test_what_may_be_something_else_stays(code: str) -> None:
    assert whole_arrays(code, [4]) is None


def generator(body: str) -> str:
    return f"def rows():\n{body}"


def test_a_generators_loop_is_a_function_of_one_item() -> None:
    code = (
        'def rows():\n    """Text."""\n    names = sorted("cab")\n    while True:\n'
        "        for name in shuffled(names):\n"
        "            twice = name * 2\n            yield twice, len(twice)\n"
    )
    made = numbered(code.replace("shuffled", "rng.permutation"), "rows", 7)
    assert made is not None
    assert (made.shuffled, made.endless, made.line) == (True, True, 5)
    assert made.before == ("names = sorted('cab')",)
    namespace: dict[str, object] = {}
    exec("\n".join(made.function), namespace)
    assert namespace[made.name]("a") == ("aa", 2)  # type: ignore[operator]
    plain = numbered("names = [1, 2]\n" + generator("    for name in names:\n        yield name\n"), "rows", 3)
    assert plain is not None
    assert (plain.shuffled, plain.endless, plain.items) == (False, False, "names")


@pytest.mark.parametrize(
    "body",
    [
        "    total = 0\n    for name in names:\n        total += name\n        yield total\n",
        "    for name in names:\n        if name:\n            continue\n        yield name\n",
        "    for name in names:\n        yield name\n        yield name\n",
        "    for name in names:\n        yield name\n        work()\n",
        "    for one, two in names:\n        yield one\n",
        "    while True:\n        yield read()\n",
        "    for name in names:\n        yield name\n    for name in names:\n        work()\n",
    ],
)
def test_a_generator_whose_elements_hang_together_has_none(body: str) -> None:
    assert numbered("names = ['a']\n" + generator(body), "rows", 3) is None
    assert numbered("def (", "rows", 1) is None


@pytest.mark.parametrize(
    "values",
    [
        "range(9)",
        "sorted(found())",
        "glob.glob(pattern)",
        "[1, 2]",
        "rng.permutation(9)",
        "reversed(items)",
        "enumerate(items)",
        "array",
    ],
)
def test_what_certainly_ends_is_a_list(values: str) -> None:
    code = (
        "array = np.load('a.npy')\ndef build():\n    items = sorted(array)\n    def rows():\n"
        f"        for item in {values}:\n            yield item\n"
    )
    assert numbered(code, "rows", 6) is not None


@pytest.mark.parametrize(
    ("before", "kept"),
    [
        ("random.shuffle(paths)", ()),
        ("shuffle(paths)", ()),
        ("rng = np.random.default_rng(3)\n    rng.shuffle(paths)", ("rng = np.random.default_rng(3)",)),
        ("paths = np.random.permutation(9)", ("paths = np.random.permutation(9)",)),
    ],
)
def test_an_order_drawn_before_the_loop_is_that_of_a_shuffle(before: str, kept: tuple[str, ...]) -> None:
    head = "" if "paths =" in before else "paths = sorted(found)\n"
    code = f"import random\nfrom random import shuffle\n{head}def rows():\n    {before}\n    for path in paths:\n"
    made = numbered(f"{code}        yield load(path)\n", "rows", code.count("\n") + 1)
    assert made is not None
    assert (made.before, made.shuffled) == (kept, True)
    again = code.replace("    for", "    while True:\n        for") + "            yield load(path)\n"
    assert numbered(again, "rows", again.count("\n")) is None


@pytest.mark.parametrize(
    ("before", "items", "given"),
    [
        ("order = np.random.permutation(9)", "range(9)", "order[i]"),
        ("order = np.random.permutation(9)", "enumerate(order)", "i"),
        ("random.shuffle(paths)", "range(9)", "paths[i]"),
        ("paths = random.sample(names, 3)", "sorted(paths)", "i"),
        ("np.random.seed(3)", "[1, 2]", "i"),
        ("offset = uniform(0, 9)", "[1, 2]", "i + offset"),
        ("pass", "sorted(random.sample(names, 3))", "i"),
        ("if found:\n        return", "[1, 2]", "i"),
        ("global n\n    n = 3", "[1, 2]", "i"),
    ],
)
def test_other_random_numbers_before_the_loop_and_ways_out_are_none(before: str, items: str, given: str) -> None:
    code = f"import random\nfrom random import uniform\ndef rows():\n    {before}\n    for i in {items}:\n"
    code += f"        yield {given}\n"
    assert numbered(code, "rows", code.count("\n")) is None


@pytest.mark.parametrize(
    "outer", ["order = 3\n", "import mine as order\n", "def order():\n    pass\n", "for order in [1]:\n    pass\n"]
)
def test_a_name_that_means_something_else_outside_of_the_generator_is_none(outer: str) -> None:
    code = "def rows():\n    order = sorted(found)\n    for i in order:\n        yield i\n"
    assert numbered(f"{code}def f(order):\n    pass\n", "rows", 3) is not None
    assert numbered(outer + code, "rows", outer.count("\n") + 3) is None
    pool = "POOL = Pool(4)\ndef rows():\n    order = sorted(found)\n    yield from POOL.imap(load, order)\n"
    assert of_a_pool(pool, "rows", 3) is not None
    assert of_a_pool(outer + pool, "rows", outer.count("\n") + 3) is None


@pytest.mark.parametrize("given", ["n", "*, n", "*n", "**n", "n, /"])
def test_a_generator_with_arguments_is_none(given: str) -> None:
    assert numbered(f"def rows({given}):\n    for i in range(9):\n        yield i + n\n", "rows", 3) is None


@pytest.mark.parametrize("values", ["itertools.count()", "stream", "open(path)", "enumerate(stream)", "zip(items, s)"])
def test_what_may_have_no_end_is_none(values: str) -> None:
    code = f"items = [1]\nstream = read()\ndef rows():\n    for item in {values}:\n        yield item\n"
    assert numbered(code, "rows", 5) is None


STATES = """
import numpy as np
from itertools import islice
from random import uniform
rng = made()
numbers, lines = iter(rng), open(path)
opened = open(path)
given = (one for one in rng)
STORE, SEEN = np.zeros(9), []
def counted(item):
    global n
    n += 1
    return n
def noted(item):
    SEEN.append(item)
    return len(SEEN)
def twice(item):
    return counted(counted(item))
def noisy(item):
    return item + np.random.normal()
own_rng = np.random.default_rng(3)
def drawn(item):
    return item + own_rng.normal()
def plain(item):
    made = []
    made.append(item)
    return made
@functools.lru_cache
def cached(name):
    return np.load(name)
def given_back(name):
    return STORE
def through(name):
    return cached(name)
"""


@pytest.mark.parametrize(
    "line",
    [
        "last.append(item)",
        "item = item + rng.normal()",
        "item = np.random.normal(item)",
        "self.n += 1",
        "seen[item] = True",
        "item = next(others)",
        "return",
        "item = draw()",
        "item = list(islice(numbers, 3))",
        "item = sum(lines)",
        "item = zip(opened, [item])",
        "item = sum(given)",
        "item = counted(item)",
        "item = noted(item)",
        "item = twice(item)",
        "one = last\n        one.append(item)",
        "one = last[0]\n        one[0] = item",
        "one = STORE\n        one += item",
        "one = cached('a')\n        one += item",
        "one = given_back(item)\n        one[0] = item",
        "one = through('a')\n        one *= item",
        "one = np.asarray(STORE)\n        one *= 2",
        "item.append(3)",
        "item = uniform(0, item)",
        "item = noisy(item)",
        "item = drawn(item)",
    ],
)
def test_a_state_from_before_the_loop_is_none(line: str) -> None:
    code = "def rows():\n    last, draw = [], rng.normal\n    for item in [1, 2]:\n        {line}\n"
    place = STATES.count("\n") + 3
    code = f"{STATES}{code}        yield {{given}}\n"
    assert numbered(code.format(line=line, given="item"), "rows", place) is None
    for known in ("x = np.load(item)", "x = plain(item)\n        x += 1", "x = {}\n        x['a'] = x.get('b')"):
        assert numbered(code.format(line=known, given="x.T.copy()"), "rows", place) is not None


def test_numbers_of_one_generator_may_come_in_another_order() -> None:
    code = (
        "import numpy as np\ndef rows():\n    items, rng = sorted(found), np.random.default_rng(3)\n"
        "    for item in items:\n        yield item + rng.normal()\n"
    )
    made = numbered(code, "rows", 5)
    assert made is not None
    assert (made.random, made.shuffled) == (True, False)
    assert numbered(code.replace("np.random.default_rng(3)", "stream"), "rows", 5) is None
    shuffled = code.replace("yield item + rng.normal()", "rng.shuffle(items)\n        yield item")
    assert numbered(shuffled, "rows", 5) is None


@pytest.mark.parametrize(
    "taken",
    [
        "with Pool(4) as pool:\n        yield from pool.imap(load, order)",
        "for row in POOL.imap_unordered(load, order, 8):\n        yield row",
        "pool = multiprocessing.Pool(processes=4)\n    yield from pool.imap(load, order, chunksize=8)",
    ],
)
def test_what_a_pool_makes_is_made_of_its_items(taken: str) -> None:
    code = f"def rows():\n    rng = default_rng()\n    order = rng.permutation(9)\n    {taken}\nPOOL = Pool(4)\n"
    made = of_a_pool(code, "rows", 4)
    assert made is not None
    assert (made.items, made.name, made.shuffled, made.function) == ("order", "load", True, ())
    assert made.before == ("rng = default_rng()", "order = rng.permutation(9)")


@pytest.mark.parametrize(
    ("given", "called"),
    [
        ("functools.partial(load, size=3)", "functools.partial(load, size=3)"),
        ("lambda i: load(i, 2)", "(lambda i: load(i, 2))"),
        ("loader.load", "loader.load"),
    ],
)
def test_a_pool_may_be_given_any_function(given: str, called: str) -> None:
    code = f"order = [1]\npool = ThreadPool(4)\ndef rows():\n    yield from pool.imap({given}, order)\n"
    made = of_a_pool(code, "rows", 4)
    assert made is not None
    assert made.name == called


def test_what_a_generator_does_with_a_result_of_a_pool_is_done_in_the_function() -> None:
    code = (
        "def load(i):\n    return i * 2, i\ndef rows():\n    order = [1, 2]\n    with Pool(4) as pool:\n"
        "        for picture, label in pool.imap(load, order):\n            yield picture / 4, label\n"
    )
    made = of_a_pool(code, "rows", 6)
    assert made is not None
    assert (made.before, made.items, made.keys) == (("order = [1, 2]",), "order", ("0", "1"))
    namespace: dict[str, object] = {"load": lambda i: (i * 2, i)}
    exec("\n".join(made.function), namespace)
    assert namespace[made.name](2) == (1.0, 2)  # type: ignore[operator]
    total = code.replace("yield picture / 4", "total += picture\n            yield total")
    assert of_a_pool(total.replace("    order", "    total = 0\n    order"), "rows", 6) is None


@pytest.mark.parametrize(
    ("given", "same"),
    [
        ("paths", True),
        ("paths, 4", True),
        ("paths, chunksize=4", True),
        ("paths, labels", False),
        ("paths, *others", False),
        ("paths, timeout=3", False),
        ("paths, **settings", False),
    ],
)
def test_a_pool_of_which_results_are_used_has_one_iterable(given: str, same: bool) -> None:
    code = (
        "def rows():\n    paths, labels = [1, 2], [3, 4]\n    with ProcessPoolExecutor(4) as pool:\n"
        f"        for row in pool.map(load, {given}):\n            yield row / 4\n"
    )
    assert (of_a_pool(code, "rows", 5) is not None) is same


@pytest.mark.parametrize(
    "drawn",
    [
        "np.random.default_rng().permutation(9)",
        "random.Random(3).sample",
        "numpy.random.RandomState(1).permutation(np.arange(9))",
        "shuffled(range(9))",
    ],
)
def test_an_order_is_drawn_whatever_its_generator_is_called_on(drawn: str) -> None:
    code = (
        "import random\nimport numpy as np\nfrom numpy.random import permutation as shuffled\npool = Pool(4)\n"
        f"def rows():\n    order = {drawn}\n    yield from pool.imap(load, order)\n"
    )
    made = of_a_pool(code, "rows", 7)
    if drawn.endswith("sample"):
        assert made is None
        return
    assert made is not None
    assert (made.before, made.shuffled) == ((f"order = {drawn}",), True)
    shuffles = code.replace(f"order = {drawn}", "order = list(range(9))\n    random.Random(3).shuffle(order)")
    made = of_a_pool(shuffles, "rows", 8)
    assert made is not None
    assert (made.before, made.shuffled) == (("order = list(range(9))",), True)


@pytest.mark.parametrize(
    "taken",
    [
        "for row in pool.imap(load, order):\n        yield row + np.random.normal()",
        "yield from pool.imap(load, itertools.count())",
        "yield from pool.starmap(load, order)",
        "send(order)\n    yield from pool.imap(load, order)",
        "yield from unknown.imap(load, order)",
        "yield from pool.map(load, order, others)",
        "yield from pool.imap(one_tuple, order)",
        "yield from pool.imap(counted, order)",
        "with Pool(4, begin) as own:\n        yield from own.imap(load, order)",
        "with Pool(4, initializer=begin, initargs=(3,)) as own:\n        yield from own.imap(load, order)",
        "with Pool(4) as own, open(path) as file:\n        yield from own.imap(load, order)",
        "with open(path) as file:\n        yield from pool.imap(load, order)",
        "own = Pool(4)\n    same = own\n    yield from own.imap(load, order)",
    ],
)
def test_what_is_more_than_a_pools_function_is_none(taken: str) -> None:
    code = (
        "SEEN = []\norder = [1]\npool = Pool(4)\ndef one_tuple(i):\n    return i,\ndef counted(i):\n"
        "    SEEN.append(i)\n"
        "    return i\ndef rows():\n"
    )
    assert of_a_pool(f"{code}    yield from pool.imap(load, order)\n", "rows", 10) is not None
    assert of_a_pool(f"{code}    {taken}\n", "rows", 10) is None


@pytest.mark.parametrize(
    ("result", "takes"),
    [
        ("ids.lookup(tf.strings.split(tf.strings.lower(a))), tf.strings.length(b) + 1", True),
        ("tf.strings.to_number(tf.strings.substr(a, 0, 4))", True),
        ("tf.strings.split(a)[:20]", False),
        ("tf.strings.join([a, b])", False),
        ("tf.concat([tf.strings.split(a), tf.strings.split(b)], 0)", False),
        ("tf.cast(a, tf.int64) + 1", False),
        ("[len(a), b]", False),
    ],
)
def test_a_function_of_a_text_takes_many_where_its_calls_do(result: str, takes: bool) -> None:
    code = f'def encode(a, b):\n    """Text."""\n    made = {result}\n    return made\n'
    assert takes_any_texts(code, "encode", 9) is takes
    assert not takes_any_texts(code, "other", 9)


@pytest.mark.parametrize("end", ["        work()\n", "    work()\n"])
def test_what_comes_after_the_loop_is_none(end: str) -> None:
    assert (
        numbered(generator(f"    while True:\n        for name in [1]:\n            yield name\n{end}"), "rows", 3)
        is None
    )


def test_slices_at_an_index_become_gathers() -> None:
    code = "def window(i, first):\n    at = i * 2\n    low = series[at + 2 : at + 2 + size, 0]\n"
    made = gathered(f"{code}    return low, names[i], tf.slice(rows, [at, 1], [9, 3]), labels[first[0]], low[1:]\n")
    assert made is not None
    assert made.splitlines()[2:] == [
        "    low = tf.gather(series, at + 2 + tf.range(size, dtype=at.dtype))[:, 0]",
        "    return (low, tf.gather(names, i), tf.gather(rows, at + tf.range(9, dtype=at.dtype))[:, 1:1 + 3], "
        "tf.gather(labels, first[0]), low[1:])",
    ]
    assert gathered("lambda i: series[i : i + 9]") == "lambda i: tf.gather(series, i + tf.range(9, dtype=i.dtype))"


@pytest.mark.parametrize(
    "taken", ["series[:i]", "series[i : 2 * i]", "series[i : i + 9 : 2]", "series[0, i]", "made(i)", "series[0:9]"]
)
def test_other_slices_stay(taken: str) -> None:
    assert gathered(f"def window(i):\n    return {taken}\n") is None


def rounds(body: str, last: str, over: str = "tf.range(n)") -> str:
    lines = "".join(f"        {line}\n" for line in (*body.splitlines(), last))
    return f"def f(x):\n    best = 0.0\n    for i in {over}:\n{lines}    return best\n"


@pytest.mark.parametrize(
    ("last", "combined"),
    [
        ("best = tf.minimum(best, one)", "best = tf.minimum(best, tf.reduce_min("),
        ("best += one", "best = tf.add(best, tf.reduce_sum("),
    ],
)
def test_rounds_that_do_not_need_each_other_are_one_call(last: str, combined: str) -> None:
    found = all_rounds(rounds("one = x[i]\nfor _ in tf.range(9):\n    one = one * 2", last), "f", 9)
    assert found is not None
    assert (found.first, found.last) == (3, 7)
    assert found.lines[:4] == ("def one_round(i):", "    one = x[i]", "    for _ in range(9):", "        one = one * 2")
    assert found.lines[-1] == f"{combined}tf.vectorized_map(one_round, tf.range(n)), axis=0))"


def test_a_few_rounds_are_a_loop_of_python() -> None:
    found = all_rounds(rounds("", "best = best * x", "tf.range(20)"), "f", 9)
    assert found is not None
    assert found.lines == ("for i in range(20):", "    best = best * x")
    assert all_rounds(rounds("", "best = best * x", "tf.range(2000)"), "f", 9) is None
    assert all_rounds(rounds("if x[i] > 0:\n    break", "best = best * x", "tf.range(20)"), "f", 9) is None


def test_rounds_within_rounds_are_few_together() -> None:
    found = all_rounds(rounds("for _ in tf.range(9):\n    best = best * x", "best = best + x", "tf.range(20)"), "f", 9)
    assert found is not None
    assert found.lines[:2] == ("for i in range(20):", "    for _ in tf.range(9):")


@pytest.mark.parametrize(
    ("body", "last"),
    [
        ("one = best + x[i]", "best = tf.maximum(best, one)"),
        ("one = before + x[i]\nbefore = one", "best = tf.maximum(best, one)"),
        ("one = x[i]", "best = tf.maximum(best, best * one)"),
        ("if x[i] > 0:\n    break\none = x[i]", "best = tf.maximum(best, one)"),
        ("total += x[i]\none = total", "best = tf.maximum(best, one)"),
        ("one = x[i]", "best = tf.concat(best, one)"),
        ("if x[i] > 0:\n    return best\none = x[i]", "best = tf.maximum(best, one)"),
        ("tf.print(i)\none = x[i]", "best = tf.maximum(best, one)"),
        ("seen.append(i)\none = x[i]", "best = tf.maximum(best, one)"),
    ],
)
def test_rounds_that_may_need_the_one_before_stay(body: str, last: str) -> None:
    assert all_rounds(rounds(body, last), "f", 9) is None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("    return best", "    else:\n        best = best + 1\n    return best"),
        ("    return best", "    return best, one"),
        ("    return best", "    return best + i"),
        ("best = 0.0", "best = tf.constant('')"),
        ("best = 0.0", "best = tf.zeros([], tf.string)"),
        ("best = 0.0", "best = ''"),
        ("best = 0.0", "best = []"),
        ("best = 0.0", "best = x"),
    ],
)
def test_rounds_with_more_than_numbers_in_the_end_stay(old: str, new: str) -> None:
    code = rounds("one = x[i]", "best += one")
    assert all_rounds(code, "f", 9) is not None
    assert all_rounds(code.replace("best = 0.0", "best = tf.zeros([3])"), "f", 9) is not None
    assert all_rounds(code.replace(old, new), "f", 9) is None


def test_a_few_rounds_that_end_otherwise_stay() -> None:
    code = rounds("if x[i] > 0:\n    return x", "best = best * x", "tf.range(20)")
    assert all_rounds(code, "f", 9) is None
    code = rounds("", "best = best * x", "tf.range(20)").replace(
        "    return", "    else:\n        best = x\n    return"
    )
    assert all_rounds(code, "f", 9) is None


def test_a_function_that_slices_a_row_slices_a_batch_of_them() -> None:
    found = on_rows("def split(row):\n    return {'x': row[:-2, 0], 'y': row[-1] * 2}\n", "split", 9)
    assert found == "lambda row: {'x': row[:, :-2, 0], 'y': row[:, -1] * 2}"
    rows = np.arange(24).reshape(2, 4, 3)
    made = eval(found)(rows)
    np.testing.assert_array_equal(made["x"], rows[:, :-2, 0])
    np.testing.assert_array_equal(made["y"], rows[:, -1] * 2)


@pytest.mark.parametrize("value", ["row", "row[:-1] + row", "tf.reverse(row[:-1], [0])", "row[:-1].shape"])
def test_a_function_that_does_more_than_slice_stays(value: str) -> None:
    assert on_rows(f"def split(row):\n    return {value}\n", "split", 9) is None


LOOP = """
def f(raw, boxes):
    def one(box):
        {body}
        return tf.slice(full, box, [9, 9, 3])
    return tf.map_fn(one, boxes)
"""


@pytest.mark.parametrize(
    ("body", "moved"),
    [
        ("full = tf.io.decode_jpeg(raw)", ("full = tf.io.decode_jpeg(raw)",)),
        (
            "text = tf.io.read_file(raw)\n        full = tf.io.decode_jpeg(text)",
            ("text = tf.io.read_file(raw)", "full = tf.io.decode_jpeg(text)"),
        ),
        ("full = tf.io.decode_and_crop_jpeg(raw, box)", ()),
        ("full = tf.cast(raw, tf.int32)", ()),
        ("full = tf.io.decode_jpeg(raw)\n        full = full[box:]", ()),
        ("full = tf.io.decode_jpeg(raw[pos])\n        pos += 10", ()),
        ("full = tf.io.decode_jpeg(self.raw)\n        self.raw = box", ()),
        ("full = tf.io.decode_jpeg(raw) + tf.random.normal([9])", ()),
        ("full = tf.image.random_flip_left_right(tf.io.decode_jpeg(raw))", ()),
        ("full = mine.decode_randomly(raw)", ()),
        ("full = tf.io.decode_jpeg(text)\n        text = tf.io.read_file(raw)", ()),
        ("low = full\n        full = tf.io.decode_jpeg(raw)", ()),
        ("if box > 0:\n            return box\n        full = tf.io.decode_jpeg(raw)", ()),
        (
            "a = tf.io.decode_jpeg(raw)\n        b = box\n        full = tf.io.decode_png(raw)",
            ("a = tf.io.decode_jpeg(raw)",),
        ),
    ],
)
def test_what_each_round_of_a_loop_decodes_again(body: str, moved: tuple[str, ...]) -> None:
    found = same_in_all_rounds(LOOP.format(body=body), "f", 9)
    assert (found.lines if found is not None else ()) == moved


@pytest.mark.parametrize(
    "given", ["fn=one, elems=boxes", "elems=boxes, fn=one", "lambda b: one(b), boxes", "one, boxes, dtype=t"]
)
def test_a_round_may_be_given_by_its_name(given: str) -> None:
    code = LOOP.format(body="full = tf.io.decode_jpeg(raw)").replace("one, boxes", given)
    found = same_in_all_rounds(code, "f", 9)
    assert found is not None
    assert found.lines == ("full = tf.io.decode_jpeg(raw)",)
    other = LOOP.format(body="full = tf.io.decode_jpeg(raw)").replace("one, boxes", "lambda b: one(b + 1), boxes")
    assert same_in_all_rounds(other, "f", 9) is None


@pytest.mark.parametrize("given", ["*box", "*, box", "at, /, box", "**box"])
def test_any_argument_of_a_round_is_set_by_it(given: str) -> None:
    code = LOOP.format(body="full = tf.io.decode_jpeg(box)").replace("one(box)", f"one({given})")
    assert same_in_all_rounds(code, "f", 9) is None


@pytest.mark.parametrize("name", ["tensorflow", "flow"])
def test_tensorflow_may_have_another_name_in_the_file(name: str) -> None:
    head = "import tensorflow\n" if name == "tensorflow" else f"import tensorflow as {name}\n"
    code = head + LOOP.format(body="full = tf.io.decode_jpeg(raw)").replace("tf.", f"{name}.")
    found = same_in_all_rounds(code, "f", 10)
    assert found is not None
    assert found.lines == ("full = tf.io.decode_jpeg(raw)",)
    assert in_file(found.lines[0], code) == f"full = {name}.io.decode_jpeg(raw)"


def test_what_each_round_of_a_range_decodes_again() -> None:
    code = (
        "def f(raw):\n    for i in tf.range(n):\n        full = tf.io.decode_png(raw)\n        best = best + full[i]\n"
    )
    found = same_in_all_rounds(code, "f", 9)
    assert found is not None
    assert (found.first, found.lines) == (3, ("full = tf.io.decode_png(raw)",))
