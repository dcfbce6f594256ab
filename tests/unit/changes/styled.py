"""Specs at random as data, the same data written in any style, and edits that fit it."""

from __future__ import annotations

import copy
import itertools
import re
from pathlib import Path
from random import Random
from typing import Any

import yaml

from pipeprof.pipelines.changes.edits import (
    InsertStage,
    MoveStage,
    NewStage,
    PipelineEdit,
    ReplaceStages,
    SetArgument,
    SetOption,
    VectoriseMap,
)
from pipeprof.pipelines.changes.in_spec import find, value_at
from pipeprof.pipelines.spec.yaml_writer import flow, scalar

STAGES: tuple[tuple[str, Any], ...] = (
    ("batch", {"batch_size": 32}),
    ("batch", {"batch_size": 8, "drop_remainder": True}),
    ("cache", None),
    ("cache", {}),
    ("shuffle", {"buffer_size": 100, "seed": 7, "name": "mix"}),
    ("map", {"ops": [{"tf.cast": {"dtype": "float32"}}, "tf.square"], "num_parallel_calls": "AUTOTUNE"}),
    ("map", {"name": "a: b", "ops": ["tf.abs"]}),
    ("repeat", {"count": None}),
    ("take", {"count": 1_000_000}),
    ("prefetch", {"buffer_size": 2}),
)
MAP: dict[str, Any] = {"map": {"ops": ["tf.abs", {"tf.cast": {"dtype": "int32"}}]}}
MOVES: tuple[list[dict[str, Any]], ...] = (
    [MAP, {"batch": {"batch_size": 4}}],
    [MAP, {"cache": None}, {"batch": {"batch_size": 4}}],
    [MAP, MAP, {"filter": {"ops": [{"tf.math.greater": {"y": 4}}]}}],
)
"""Stages of which one may move over others."""
_CASES = Path(__file__).parents[2] / "integration"
_BUILT = yaml.safe_load((_CASES / "build_cases.yaml").read_text(encoding="utf-8")).values()
_CALLED = yaml.safe_load((_CASES / "call_cases.yaml").read_text(encoding="utf-8")).values()
EVERY_STAGE: tuple[tuple[str, Any], ...] = (
    *(item for case in _BUILT for stage in case.get("stages", ()) for item in stage.items()),
    *(("map", {"ops": case["ops"]}) for case in _CALLED),
)
"""Every kind of a stage, and of a call every form that its value may have."""
EVERY_SOURCE: tuple[tuple[str, Any], ...] = tuple(
    item for case in _BUILT for item in case["source"].items() if item[0] != "zip"
)
"""Sides in lists inside of mappings are of no interest here."""
SOURCES: tuple[tuple[str, Any], ...] = (
    ("range", {"stop": 100}),
    ("list_files", {"file_pattern": ["*.jpg", "data:x/# y"]}),
    ("from_tensors", {"tensors": "it's"}),
)
OPTIONS: tuple[Any, ...] = (
    {"deterministic": True},
    {"threading": {"private_threadpool_size": 4}, "autotune": {"enabled": False, "ram_budget": "1GiB"}},
    None,
    {},
)


def spec(rng: Random) -> dict[str, Any]:
    """The plain data of a spec; not always one that the models accept."""
    data: dict[str, Any] = {"version": 1}
    if rng.random() < 0.5:
        data["name"] = rng.choice(("a", "a pipeline with a long name that is folded", "32", "a\nb", "x # y"))
    data |= pipeline(rng, 2)
    if rng.random() < 0.6:
        data["options"] = rng.choice(OPTIONS)
    if rng.random() < 0.4:
        data["measure"] = {"seconds": 2.5}
    items = list(data.items())
    if rng.random() < 0.3:
        rng.shuffle(items)
    return dict(items)


def pipeline(rng: Random, depth: int, *, source: bool = True) -> dict[str, Any]:
    found: dict[str, Any] = {"source": _source(rng, depth)} if source else {}
    count = rng.choice((0, 1, 1, 2, 3, 5))
    if count or not source or rng.random() < 0.3:
        found["stages"] = [_stage(rng, depth) for _ in range(count or not source)]
        if rng.random() < 0.4:
            found["stages"] += map(copy.deepcopy, rng.choice(MOVES))
    return found


def _source(rng: Random, depth: int) -> dict[str, Any]:
    if depth and rng.random() < 0.3:
        sides = [pipeline(rng, depth - 1) for _ in range(rng.choice((1, 2)))]
        if rng.random() < 0.5:
            return {"zip": {"datasets": sides}}
        return {"zip": {"datasets": {f"side_{index}": side for index, side in enumerate(sides)}}}
    op, arguments = rng.choice(rng.choice((SOURCES, EVERY_SOURCE)))
    return {op: copy.deepcopy(arguments)}


def _stage(rng: Random, depth: int) -> dict[str, Any]:
    if depth and rng.random() < 0.3:
        inner = pipeline(rng, depth - 1, source=rng.random() < 0.7)
        kind = rng.choice(("flat_map", "interleave", "map_func", "concatenate"))
        if kind == "map_func":
            return {"interleave": {"map_func": inner, "cycle_length": 2}}
        if kind == "concatenate" and "source" in inner:
            return {"concatenate": {"dataset": inner}}
        return {"flat_map" if kind == "concatenate" else kind: inner}
    op, arguments = rng.choice(rng.choice((STAGES, EVERY_STAGE)))
    return {op: copy.deepcopy(arguments)}


def addresses(data: Any, at: str = "", here: tuple[Any, ...] = ()) -> list[str]:
    """The addresses of all sources and stages of a pipeline, found by looking for them."""
    found: list[str] = []
    holder = value_at(data, here)
    steps = ["source"] if "source" in holder else []
    steps += [f"stages.{index}" for index in range(len(holder.get("stages") or []))]
    for step in steps:
        address = f"{at}.{step}" if at else step
        found.append(address)
        path = find(data, address)
        (op,) = value_at(data, path)
        arguments = value_at(data, (*path, op)) or {}
        inner: dict[str, tuple[Any, ...]] = {"": ()} if {"source", "stages"} & arguments.keys() else {}
        inner |= {"": ("map_func",)} if "map_func" in arguments else {}
        inner |= {"dataset": ("dataset",)} if "dataset" in arguments else {}
        sides = arguments.get("datasets", {})
        keys = list(sides) if isinstance(sides, dict) else range(len(sides))
        inner |= {f"datasets.{index}": ("datasets", key) for index, key in enumerate(keys)}
        for below, place in inner.items():
            found += addresses(data, f"{address}.{below}" if below else address, (*path, op, *place))
    return found


def op_at(data: Any, address: str) -> str:
    (op,) = value_at(data, find(data, address))
    return str(op)


KINDS = (InsertStage, SetArgument, MoveStage, ReplaceStages, SetOption, VectoriseMap)
SETTINGS = (("deterministic", False), ("threading.private_threadpool_size", 16), ("autotune.enabled", True))
ARGUMENTS = ("batch_size", "buffer_size", "num_parallel_calls", "name", "ops")
VALUES: tuple[Any, ...] = (8, "AUTOTUNE", "x y: z", True, 0.5, "it's", ["tf.abs", {"tf.cast": {"dtype": "int32"}}])
CAST = {"ops": [{"tf.cast": {"dtype": "float16"}}], "num_parallel_calls": 4, "name": "an added map"}
CLIP = {"ops": [{"tf.clip_by_value": {"clip_value_min": 0.25, "clip_value_max": 1}}] * 3}
ADDED = (NewStage("prefetch", {"buffer_size": 2}), NewStage("cache"), NewStage("map", CAST), NewStage("map", CLIP))


def edit(rng: Random, data: Any, *, kinds: tuple[type[PipelineEdit], ...] = KINDS) -> PipelineEdit:
    """An edit that fits the data."""
    known = addresses(data)
    stages = [one for one in known if not one.endswith("source")]
    kind, one, new = rng.choice(kinds), rng.choice(known), rng.choice(ADDED)
    if kind is SetOption:
        return SetOption(*rng.choice(SETTINGS))
    if kind is SetArgument:
        return SetArgument(one, op_at(data, one), rng.choice(ARGUMENTS), rng.choice(VALUES))
    if kind is ReplaceStages and stages:
        source = (NewStage("range", {"stop": 5}),) if one.endswith("source") else ()
        return ReplaceStages((one,), (*source, *rng.choices(ADDED, k=rng.choice((0, 1, 2)))))
    if kind is MoveStage and stages:
        one = rng.choice(stages)
        return MoveStage(one, op_at(data, one), rng.choice([other for other in stages if _line(other) == _line(one)]))
    pairs = [
        (one, other)
        for one, other in itertools.combinations(stages, 2)
        if (op_at(data, one), op_at(data, other)) == ("map", "batch") and _line(one) == _line(other)
    ]
    if kind is VectoriseMap and pairs:
        return VectoriseMap(*min(pairs, key=lambda pair: stages.index(pair[1]) - stages.index(pair[0])))
    return InsertStage(new.op, new.arguments, rng.choice((None, *known)))


def _line(stage: str) -> str:
    return stage.rpartition(".")[0]


class Writer:
    """Writes data in a style that changes from value to value; each comment has a number of its own."""

    def __init__(self, rng: Random, *, comments: float = 0.2, flow_share: float = 0.4) -> None:
        self._rng = rng
        self._comments = comments
        self._flow = flow_share
        self._step = rng.choice((2, 2, 4))
        self._indentless = rng.random() < 0.3
        self.count = 0

    def text(self, data: dict[str, Any]) -> str:
        """A whole spec."""
        rng = self._rng
        if rng.random() < 0.05 and self._flow:
            return flow(data) + rng.choice(("", "\n"))
        lines = self._mapping(data, 0)
        text = "\n".join(lines) + rng.choice(("\n", "\n", "\n\n", "", "\n# the end\n"))
        return text.replace("\n", "\r\n") if rng.random() < 0.1 else text

    def _note(self) -> str:
        self.count += 1
        return f"# note {self.count}: {self._rng.choice(('why', 'a: b', '- batch: {batch_size: 2}', '{[', 'stages:'))}"

    def _before(self, indent: int) -> list[str]:
        lines = []
        if self._rng.random() < self._comments / 2:
            lines.append("")
        while self._rng.random() < self._comments:
            lines.append(f"{' ' * indent}{self._note()}")
        return lines

    def _behind(self) -> str:
        return f"{self._rng.choice((' ', '   '))}{self._note()}" if self._rng.random() < self._comments else ""

    def _mapping(self, data: dict[Any, Any], indent: int) -> list[str]:
        lines: list[str] = []
        for key, value in data.items():
            lines += self._before(indent)
            lines += self._value(f"{' ' * indent}{scalar(key)}:", value, indent, in_list=False)
        return lines

    def _list(self, data: list[Any], indent: int) -> list[str]:
        lines: list[str] = []
        for item in data:
            lines += self._before(indent)
            dash = f"{' ' * indent}-"
            if isinstance(item, dict) and item and self._rng.random() > self._flow / 2:
                first, *rest = self._mapping_after_dash(item, indent)
                lines += [f"{dash} {first.lstrip(' ')}", *rest]
            else:
                lines += self._value(dash, item, indent, in_list=True)
        return lines

    def _mapping_after_dash(self, item: dict[Any, Any], indent: int) -> list[str]:
        (first, *others) = item.items()
        lines = self._value(f"{' ' * (indent + 2)}{scalar(first[0])}:", first[1], indent + 2, in_list=False)
        return [*lines, *self._mapping(dict(others), indent + 2)]

    def _value(self, start: str, value: Any, indent: int, *, in_list: bool) -> list[str]:
        if value is None and self._rng.random() < 0.5:
            return [start + self._behind()]
        if not isinstance(value, dict | list):
            return self._scalar(start, value, indent)
        if not value or in_list or self._rng.random() < self._flow:
            return self._flow_lines(start, value, indent)
        if isinstance(value, dict):
            return [start + self._behind(), *self._mapping(value, indent + self._step)]
        return [start + self._behind(), *self._list(value, indent if self._indentless else indent + self._step)]

    def _flow_lines(self, start: str, value: Any, indent: int) -> list[str]:
        rng = self._rng
        if rng.random() < 0.7 or not value:
            text = flow(value)
            if rng.random() < 0.2:
                text = re.sub(r"([\]}])$", r" \1", re.sub(r"^([\[{])", r"\1 ", text)) if len(text) > 2 else text
            return [f"{start} {text}{self._behind()}"]
        if isinstance(value, list):
            items, opening, closing = [flow(one) for one in value], "[", "]"
        else:
            items, opening, closing = [f"{scalar(key)}: {flow(one)}" for key, one in value.items()], "{", "}"
        pad = " " * (indent + self._step)
        if rng.random() < 0.5:
            lines = [f"{start} {opening}"]
            for number, one in enumerate(items):
                comma = "," if number + 1 < len(items) or rng.random() < 0.5 else ""
                lines += [f"{pad}{self._note()}"] * (rng.random() < self._comments / 2)
                lines.append(f"{pad}{one}{comma}{self._behind()}")
            return [*lines, f"{' ' * max(indent, 1)}{closing}{self._behind()}"]
        first, *others = items
        breaks = ", ", ",\n" + pad
        text = "".join(rng.choice(breaks) + one for one in others)
        end = rng.choice((closing, f",{closing}", f" {closing}"))
        return f"{start} {opening}{first}{text}{end}".split("\n")

    def _scalar(self, start: str, value: Any, indent: int) -> list[str]:
        rng = self._rng
        pad = " " * (indent + self._step)
        if isinstance(value, str) and rng.random() < 0.3 and "'" not in value and "\n" not in value:
            return [f"{start} '{value}'{self._behind()}"]
        if isinstance(value, str) and " " in value and not re.search(r"[\n#:]", value) and rng.random() < 0.3:
            return [f"{start} >-", *(f"{pad}{word}" for word in value.split(" "))]
        return [f"{start} {scalar(value)}{self._behind()}"]
