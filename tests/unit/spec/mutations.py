"""Specs that nobody means: any bytes, and good specs with something done to them.

Everything is drawn from one ``random.Random``: a seed is a case.
"""

from __future__ import annotations

import contextlib
import copy
import re
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
    {"shape": [None], "dtype": "string"}, {"batch": {"batch_size": 3}},
    {"window": {"size": 2}}, {"unbatch": None}, {"python": "f.py:f"}, {"probability": 2}, {"range": {"stop": 10**18}},
)  # fmt: skip
ODD_TEXTS = (
    "\t", " ", "  ", "\r", "\n", "\u0085", "\u2028", "\ufeff", "\0", "\x1b[31m", "- ", "-", ": ", ":", "{", "}", "[",
    "]", ",", "#", "&a ", "*a", "!!str ", "!x ", "%YAML 1.1\n", "---\n", "...\n", "? ", "| ", "> ", "'", '"',
    "<<: *a\n", "\\", "${X}", "~", "é", "日本", "\U0001f600", "@", "`", "//", "=", "<<<<<<< HEAD\n", "\ud800",
)  # fmt: skip
NUMBERS = (0, 1, 2, 3, 7, 64, 1000, 10**6, 2**31, 2**40, 2**62)
PATHS = (
    "version", "name", "source", "stages", "stages.0", "stages.0.batch_size", "stages.1.ops.0", "stages.+", "stages.+0",
    "stages+", "stages.9", "measure.seconds", "step", "options.deterministic", "data", "data.photos",
    "source.range.stop", "stages.*", "x-a.b", "", ".", "a..b", "stages.-1", "source.zip.datasets.0", "日本",
)  # fmt: skip


@dataclass
class Case:
    """Files by name, what follows ``pipeprof check spec.yaml``, and the variables that are set."""

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
    make = rng.choices((_spec_alone, _flagged, _filled_in), (10, 3, 1))[0]
    made = make(rng, good, all_specs)
    made.arguments += ["--format", "json"] if rng.random() > 0.9 else []
    return made


def _spec_alone(rng: Random, good: list[bytes], all_specs: list[bytes]) -> Case:
    return Case({"spec.yaml": mutated(rng, rng.choice(good), all_specs)})


def _flagged(rng: Random, good: list[bytes], all_specs: list[bytes]) -> Case:
    spec = rng.choice(good)
    data = _data(spec)
    words: list[str] = []
    for _ in range(rng.randint(1, 4)):
        path = rng.choice(PATHS)
        if data and rng.random() < 0.7:
            path = ".".join(map(str, _place(rng, data)))
        if rng.random() < 0.2:
            path = _typo(rng, path)
        value = _flow(rng.choice(ODD_VALUES)) if rng.random() < 0.7 else rng.choice(ODD_TEXTS)
        words += ["--set", f"{path}{rng.choice(('=', '=', '=', '=', '+=', ''))}{value}".replace("\0", "")]
    return Case({"spec.yaml": mutated(rng, spec, all_specs) if rng.random() < 0.2 else spec}, words)


def _filled_in(rng: Random, good: list[bytes], _all_specs: list[bytes]) -> Case:
    words = rng.choice(good).decode().split(" ")
    for _ in range(rng.randint(1, 3)):
        references = ("${X}", "${X:-3}", '"${X}"', "a${X}b", "${X:-${Y}}", "${", "$${X}")
        words[rng.randrange(len(words))] = rng.choice(references)
    value = str(rng.choice(ODD_VALUES)).replace("\0", "")
    return Case({"spec.yaml": " ".join(words).encode()}, ["--env"], {"X": value})


def mutated(rng: Random, spec: bytes, all_specs: list[bytes]) -> bytes:
    """A spec with one to four things done to it, as text or as data."""
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 4))):
        data = _data(spec) if rng.random() < 0.6 else None
        if place := _place(rng, data):
            _change_at(rng, data, place, all_specs)
            # What is too deep to be written stays as it was.
            with contextlib.suppress(RecursionError):
                spec = _written(rng, data)
        else:
            text = spec.decode(errors="replace")
            spec = changed_text(rng, text, all_specs).encode(errors="surrogatepass")
    return spec


def _data(spec: bytes) -> Any:
    """The data of a text, if it is YAML in which nothing is shared."""
    if b"&" in spec:
        return None
    try:
        return yaml.load(spec, yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader)
    except (yaml.YAMLError, ValueError, TypeError, RecursionError, AttributeError):
        return None


def changed_text(rng: Random, text: str, all_specs: list[bytes]) -> str:
    lines = text.split("\n")
    line, at = rng.randrange(len(lines)), rng.randint(0, len(text))
    match rng.choice(("gone", "indented", "foreign", "sign", "number", "number", "character", "cut", "much")):
        case "gone":
            del lines[line]
        case "indented":
            lines[line] = " " * rng.randrange(12) + lines[line].lstrip()
        case "foreign":
            foreign = rng.choice(all_specs).decode(errors="replace").split("\n")
            first = rng.randrange(len(foreign))
            lines[line:line] = foreign[first : first + rng.randint(1, 6)]
        case "sign":
            lines[line] = lines[line].replace(rng.choice(":-"), "", 1)
        case "number":
            # Other numbers are often right.
            return re.sub(r"(?<=[ \[{])\d+(?=[\s,\]}])", lambda _: str(rng.choice(NUMBERS)), text)
        case "character":
            return text[:at] + rng.choice(ODD_TEXTS) + text[at + rng.choice((0, 0, 1, 1, 5)) :]
        case "cut":
            return text[:at]
        case "much":
            # Deep, long, or many times.
            piece = rng.choice(("[", "{a: ", "- ", "a: ", "&a [*a, ", "x", "é", "\n", "9", " ", "- a\n", "? "))
            return text[:at] + piece * rng.choice((50, 200, 1000)) + text[at:]
    return "\n".join(lines)


def damaged(rng: Random, data: Any, all_specs: list[bytes]) -> Any:
    """A copy of data with one to four things done to it."""
    copied = copy.deepcopy(data)
    for _ in range(rng.randint(1, 4)):
        if place := _place(rng, copied):
            _change_at(rng, copied, place, all_specs)
    return copied


def _place(rng: Random, data: Any) -> tuple[Any, ...]:
    """A way into mappings and lists; empty where there are none."""
    place: tuple[Any, ...] = ()
    while isinstance(data, dict | list) and data and len(place) < 40 and (not place or rng.random() < 0.8):
        key = rng.choice(list(data)) if isinstance(data, dict) else rng.randrange(len(data))
        place, data = (*place, key), data[key]
    return place


def _change_at(rng: Random, data: Any, place: tuple[Any, ...], all_specs: list[bytes]) -> None:
    holder, key = _at(data, place[:-1]), place[-1]
    other = _data(rng.choice(all_specs))
    foreign = other, _place(rng, other)
    match rng.choice(("gone", "typo", "key", "subtree", "deeper", "much", "value")):
        case "gone":
            del holder[key]
        case "typo" if isinstance(holder, dict):
            holder[_typo(rng, str(key))] = holder.pop(key)
        case "key" if isinstance(holder, dict):
            holder["".join(map(str, foreign[1][-1:]))] = holder.pop(key)
        case "subtree":
            holder[key] = copy.deepcopy(_at(*foreign))
        case "deeper":
            for _ in range(rng.choice((1, 1, 2, 5, 30))):
                around = rng.choice(("source", "a", "zip", "ops"))
                holder[key] = [holder[key]] if rng.random() < 0.5 else {around: holder[key]}
        case "much":
            holder[key] = rng.choice(("x" * 5000, "日" * 500, [1] * 500, {str(n): n for n in range(200)}))
        case _:
            holder[key] = copy.deepcopy(rng.choice(ODD_VALUES))


def _at(data: Any, place: tuple[Any, ...]) -> Any:
    for key in place:
        data = data[key]
    return data


def _typo(rng: Random, word: str) -> str:
    at = rng.randint(0, len(word))
    return rng.choice((word[:at] + word[at + 1 :], word[:at] + "e" + word[at:], word.upper(), word + "s", f"tf.{word}"))


def _flow(value: Any) -> str:
    text: str = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10**6)
    return text.removesuffix("\n").removesuffix("\n...")


def _written(rng: Random, data: Any) -> bytes:
    flow, letters = rng.random() < 0.3, rng.random() < 0.5
    text: str = yaml.safe_dump(data, sort_keys=False, default_flow_style=flow, allow_unicode=letters)
    return text.encode(errors="surrogatepass")
