"""Specs that nobody means: any bytes, and good specs with something done to them.

Everything is drawn from one ``random.Random``: a seed is a case (benchmarks/fuzz), and hypothesis can shrink one.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import yaml
from unit.spec.bad_specs import BAD_SPECS, FOLDER

ROOT = Path(__file__).resolve().parents[3]
GOOD = ("examples", "benchmarks/silence", "tests/golden/init")

ODD_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2, 32, 2**31, 2**63 - 1, 2**63, -(2**63) - 1, 10**30, 0.0, 0.5, -1.5, 1e308,
    float("nan"), float("inf"), "", " ", "a", "0", "32", "yes", "no", "null", "AUTOTUNE", "autotune", "float32",
    "float", "tf.cast", "batch", "range", "source", "stages", "data:", "data:x/*", "data:photos", "*", "**", "[", "{",
    "${X}", "${X:-3}", "${", "a.b", ".", "..", "stages.0", "f.py:f", ".py:f", "x.py:", "12ms", "-1ms", "1e400ms",
    "8GiB", "\u0000", "\u202e", "日本語", "é" * 100, "\U0001f600", "\n", "a\nb", "'", '"', "\\", "#", "&a",
    "!!python/none",
    [], [[]], [None], [0], [-1], [1, 2], ["a"], [[1], [2, 3]], {}, {"": None}, {"a": 1}, {"x-a": 1}, {"on": "a"},
    {"source": None}, {"source": {"range": {"stop": 3}}}, {"stages": []}, {"ops": ["tf.cast"]}, {"ops": []},
    {"array": {"shape": [2], "dtype": "float32"}}, {"array": {"shape": [10**9, 10**9]}}, {"npy": "x"}, {"lines": "x"},
    {"ragged": [[1], []]}, {"sparse": {}}, {"shape": [None], "dtype": "string"}, {"batch": {"batch_size": 3}},
    {"window": {"size": 2}}, {"unbatch": None}, {"python": "f.py:f"}, {"probability": 2}, {"range": {"stop": 10**18}},
)  # fmt: skip
ODD_TEXTS = (
    "\t", " ", "  ", "\r", "\n", "\u0085", "\u2028", "\ufeff", "\0", "\x1b[31m", "- ", "-", ": ", ":", "{", "}", "[",
    "]", ",", "#", "&a ", "*a", "!!str ", "!x ", "%YAML 1.1\n", "---\n", "...\n", "? ", "| ", "> ", "'", '"',
    "<<: *a\n", "\\", "${X}", "~", "é", "日本", "\U0001f600", "@", "`", "//", "=", "<<<<<<< HEAD\n", "\ud800",
)  # fmt: skip
PATHS = (
    "version", "name", "source", "stages", "stages.0", "stages.0.batch_size", "stages.1.ops.0", "stages.+", "stages.+0",
    "stages+", "stages.9", "measure.seconds", "step", "options.deterministic", "data", "data.photos",
    "source.range.stop", "stages.*", "x-a.b", "", ".", "a..b", "stages.-1", "source.zip.datasets.0", "日本",
)  # fmt: skip


@dataclass
class Case:
    """One command line over files that are there.

    Attributes:
        files: By name; ``spec.yaml`` is the target.
        arguments: What follows ``pipeprof check spec.yaml``.
        environment: Variables that are set.
    """

    files: dict[str, bytes]
    arguments: list[str] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)


def corpus() -> tuple[list[bytes], list[bytes]]:
    """The good specs of this checkout, and all of them."""
    good = [path.read_bytes() for folder in GOOD for path in sorted((ROOT / folder).rglob("*.yaml"))]
    return good, [*good, *(bad.spec for bad in BAD_SPECS.values())]


def beside() -> dict[str, bytes]:
    """What the specs name and is no input: Python files, of which only the names of functions are read, and data."""
    folders = (*(ROOT / folder for folder in GOOD), FOLDER / "files")
    found = {path.name: path.read_bytes() for folder in folders for path in folder.rglob("*.py")}
    empty = dict.fromkeys(("x.npy", "t.csv", "t.csv.gz", "a.rec"), b"")
    return found | empty | {"f.py": b"def f(x):\n    return x\n"}


def case(rng: Random, good: list[bytes], all_specs: list[bytes]) -> Case:
    """A case: the spec itself, flags or the environment are wrong, or several of them."""
    make = rng.choices((_spec_alone, _flagged, _filled_in, _any_bytes), (10, 3, 1, 1))[0]
    made = make(rng, good, all_specs)
    extra = rng.random()
    made.arguments += ["--format", "json"] if extra > 0.9 else []
    return made


def _spec_alone(rng: Random, good: list[bytes], all_specs: list[bytes]) -> Case:
    return Case({"spec.yaml": mutated(rng, rng.choice(good), all_specs)})


def _flagged(rng: Random, good: list[bytes], all_specs: list[bytes]) -> Case:
    spec = rng.choice(good)
    data = _data(spec)
    words: list[str] = []
    for _ in range(rng.randint(1, 4)):
        path = rng.choice(PATHS)
        if rng.random() < 0.7 and data is not None and (places := list(_places(data))):
            path = ".".join(map(str, rng.choice(places)))
        if rng.random() < 0.2:
            path = _typo(rng, path)
        value = _flow(rng.choice(ODD_VALUES)) if rng.random() < 0.7 else rng.choice(ODD_TEXTS)
        words += ["--set", f"{path}{rng.choice(('=', '=', '=', '=', '+=', ''))}{value}".replace("\0", "")]
    spec = mutated(rng, spec, all_specs) if rng.random() < 0.2 else spec
    return Case({"spec.yaml": spec}, words)


def _filled_in(rng: Random, good: list[bytes], all_specs: list[bytes]) -> Case:
    del all_specs
    text = rng.choice(good).decode()
    words = text.split(" ")
    for _ in range(rng.randint(1, 3)):
        words[rng.randrange(len(words))] = rng.choice(
            ("${X}", "${X:-3}", '"${X}"', "a${X}b", "${X:-${Y}}", "${", "$${X}")
        )
    value = str(rng.choice(ODD_VALUES)).replace("\0", "")
    return Case({"spec.yaml": " ".join(words).encode()}, ["--env"], {"X": value})


def _any_bytes(rng: Random, good: list[bytes], all_specs: list[bytes]) -> Case:
    del good, all_specs
    count = rng.choice((0, 1, 3, 30, 300))
    if rng.random() < 0.5:
        return Case({"spec.yaml": bytes(rng.randrange(256) for _ in range(count))})
    letters = "abz01 :-{}[],#&*!|>'\"%@`?\n\n  \t~é\u2028"
    return Case({"spec.yaml": "".join(rng.choice(letters) for _ in range(count)).encode()})


def mutated(rng: Random, spec: bytes, all_specs: list[bytes]) -> bytes:
    """A spec with one to four things done to it, as text or as data."""
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 4))):
        data = _data(spec) if rng.random() < 0.6 else None
        spec = _changed_text(rng, spec, all_specs) if data is None else _changed_data(rng, data, all_specs)
    return spec


def _data(spec: bytes) -> Any:
    """The data of a text, if it is YAML: texts, numbers, lists and mappings, bounded, nothing shared."""
    try:
        found = yaml.load(spec, yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader)
    except (yaml.YAMLError, ValueError, TypeError, RecursionError, AttributeError):
        return None
    return _bounded(found, [3000], 0)


def _bounded(data: Any, budget: list[int], depth: int) -> Any:
    budget[0] -= 1
    if budget[0] < 0 or depth > 60:
        return None
    if isinstance(data, dict):
        keys = [key if isinstance(key, str | int) else str(key) for key in data]
        return {key: _bounded(inner, budget, depth + 1) for key, inner in zip(keys, data.values(), strict=True)}
    if isinstance(data, list):
        return [_bounded(inner, budget, depth + 1) for inner in data]
    return data if isinstance(data, str | int | float | None) else str(data)


def _changed_text(rng: Random, spec: bytes, all_specs: list[bytes]) -> bytes:
    text = spec.decode(errors="replace")
    changed = rng.choice(_TEXT_CHANGES)(rng, text, all_specs)
    content = changed.encode(errors="surrogatepass")
    if rng.random() < 0.03 and content:
        at = rng.randrange(len(content))
        content = content[:at] + bytes([rng.randrange(256)]) + content[at + 1 :]
    return content


def _lines_changed(rng: Random, text: str, all_specs: list[bytes]) -> str:
    lines = text.split("\n")
    at = rng.randrange(len(lines))
    what = rng.randrange(6)
    if what == 0:
        del lines[at]
    elif what == 1:
        lines.insert(at, lines[rng.randrange(len(lines))])
    elif what == 2:
        other = rng.randrange(len(lines))
        lines[at], lines[other] = lines[other], lines[at]
    elif what == 3:
        lines[at] = " " * rng.randrange(12) + lines[at].lstrip()
    elif what == 4:
        foreign = rng.choice(all_specs).decode(errors="replace").split("\n")
        first = rng.randrange(len(foreign))
        lines[at:at] = foreign[first : first + rng.randint(1, 6)]
    else:
        lines[at] = lines[at].replace(":", "", 1) if rng.random() < 0.5 else lines[at].replace("-", "", 1)
    return "\n".join(lines)


def _characters_changed(rng: Random, text: str, all_specs: list[bytes]) -> str:
    del all_specs
    for _ in range(rng.randint(1, 3)):
        at = rng.randint(0, len(text))
        end = at + rng.choice((0, 0, 1, 1, 5))
        text = text[:at] + (rng.choice(ODD_TEXTS) if rng.random() < 0.7 else "") + text[end:]
    return text


def _numbers_changed(rng: Random, text: str, all_specs: list[bytes]) -> str:
    """Other numbers, which are often right."""
    del all_specs
    found = [match.span() for match in re.finditer(r"(?<=[ \[{])\d+(?=[\s,\]}])", text)]
    for start, end in sorted(rng.sample(found, min(len(found), rng.randint(1, 3))), reverse=True):
        text = text[:start] + str(rng.choice((0, 1, 2, 3, 7, 64, 1000, 10**6, 2**31, 2**40, 2**62))) + text[end:]
    return text


def _cut(rng: Random, text: str, all_specs: list[bytes]) -> str:
    del all_specs
    return text[: rng.randint(0, len(text))]


def _much(rng: Random, text: str, all_specs: list[bytes]) -> str:
    """Much of the same: deep, long, or many times."""
    del all_specs
    at, count = rng.randint(0, len(text)), rng.choice((50, 200, 1000))
    piece = rng.choice(("[", "{a: ", "- ", "a: ", "&a [*a, ", "x", "é", "\n", "9", " ", "- a\n", "? "))
    return text[:at] + piece * count + text[at:]


_TEXT_CHANGES: tuple[Callable[[Random, str, list[bytes]], str], ...] = (
    _lines_changed, _lines_changed, _lines_changed, _numbers_changed, _numbers_changed, _characters_changed,
    _characters_changed, _cut, _much,
)  # fmt: skip


def _changed_data(rng: Random, data: Any, all_specs: list[bytes]) -> bytes:
    places = list(_places(data))
    if not places:
        data = rng.choice(ODD_VALUES)
    else:
        _change_at(rng, data, rng.choice(places), all_specs)
    return _written(rng, data)


def _places(data: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if len(place) > 40:
        return
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, inner in items:
        yield (*place, key)
        yield from _places(inner, (*place, key))


def _change_at(rng: Random, data: Any, place: tuple[Any, ...], all_specs: list[bytes]) -> None:
    holder = data
    for key in place[:-1]:
        holder = holder[key]
    key = place[-1]
    what = rng.randrange(8)
    if what == 0:
        del holder[key]
    elif what == 1 and isinstance(holder, dict):
        holder[_typo(rng, str(key))] = holder.pop(key)
    elif what == 2 and isinstance(holder, dict):
        holder[_some_key(rng, all_specs)] = holder.pop(key)
    elif what == 3:
        holder[key] = _subtree(rng, all_specs)
    elif what == 4:
        depth = rng.choice((1, 1, 2, 5, 70))
        for _ in range(depth):
            holder[key] = (
                [holder[key]] if rng.random() < 0.5 else {rng.choice(("source", "a", "zip", "ops")): holder[key]}
            )
    elif what == 5:
        holder[key] = rng.choice(("x" * 5000, "日" * 500, [1] * 500, {str(n): n for n in range(200)}))
    elif what == 6 and isinstance(holder, list):
        holder.insert(key, copy.deepcopy(rng.choice(holder)))
    else:
        holder[key] = copy.deepcopy(rng.choice(ODD_VALUES))


def _typo(rng: Random, word: str) -> str:
    at = rng.randint(0, len(word))
    return rng.choice((word[:at] + word[at + 1 :], word[:at] + "e" + word[at:], word.upper(), word + "s", f"tf.{word}"))


def _some_key(rng: Random, all_specs: list[bytes]) -> str:
    data = _data(rng.choice(all_specs))
    places = [place for place in _places(data) if isinstance(place[-1], str)]
    return str(rng.choice(places)[-1]) if places else "a"


def _subtree(rng: Random, all_specs: list[bytes]) -> Any:
    data = _data(rng.choice(all_specs))
    places = list(_places(data))
    if not places:
        return None
    for key in rng.choice(places):
        data = data[key]
    return copy.deepcopy(data)


def _flow(value: Any) -> str:
    text: str = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10**6)
    return text.removesuffix("\n").removesuffix("\n...")


class _NoAliases(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        del data
        return True


def _written(rng: Random, data: Any) -> bytes:
    if rng.random() < 0.3:
        return json.dumps(data, default=str, ensure_ascii=False).encode(errors="surrogatepass")
    text: str = yaml.dump(data, Dumper=_NoAliases, sort_keys=False, allow_unicode=rng.random() < 0.5)
    return text.encode(errors="surrogatepass")
