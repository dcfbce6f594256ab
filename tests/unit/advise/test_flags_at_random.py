"""The `--set` values of edits at random give the data that `apply_to_data` gives."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from unit.advise.specs import view_with
from unit.spec.styled import addresses, edit

from pipeprof.pipelines.edits.edits import SetArgument, VectoriseMap
from pipeprof.pipelines.spec.edits.apply_data import apply_to_data
from pipeprof.pipelines.spec.edits.places import EditError, same
from pipeprof.pipelines.spec.loader import load_spec
from pipeprof.pipelines.spec.yaml.reader import read
from pipeprof.pipelines.spec.yaml.writer import flow
from pipeprof.profiles.advise.edits.overrides import overrides

STAGES: tuple[Any, ...] = (
    {"map": {"ops": [{"tf.cast": {"dtype": "int64"}}]}},
    {"map": {"ops": [{"tf.cast": {"dtype": "int64"}}], "name": "NAME"}},
    {"shuffle": {"buffer_size": 10}},
    {"cache": {}},
    {"batch": {"batch_size": 4, "name": "NAME"}},
    {"unbatch": {}},
    {"take": {"count": 3}},
    {"flat_map": {"source": {"range": {"stop": 2}}, "stages": [{"repeat": {"count": 2}}, {"take": {"count": 9}}]}},
)
SOURCES: tuple[Any, ...] = (
    {"range": {"stop": 20}},
    {"zip": {"datasets": [{"source": {"range": {"stop": 5}}, "stages": [{"skip": {"count": 1}}]}]}},
)


def data_of(rng: Random) -> dict[str, Any]:
    stages = [rng.choice(STAGES) for _ in range(rng.choice((1, 2, 3, 5)))]
    text = flow({"version": 1, "source": rng.choice(SOURCES), "stages": stages})
    for number in range(text.count("NAME")):
        text = text.replace("NAME", f"name-{number}", 1)
    data: dict[str, Any] = read(text).data
    return data


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 1 << 32))
@example(seed=42176)  # A stage gets another name and another argument.
def test_flags_give_the_data_of_the_edits(tmp_path: Path, seed: int) -> None:
    rng = Random(seed)
    data = data_of(rng)
    path = tmp_path / "spec.yaml"
    path.write_text(flow(data), encoding="utf-8")
    view = view_with(path)
    edits = [edit(rng, data) for _ in range(rng.choice((1, 1, 2, 3)))]
    maps = [one for one in addresses(data) if one.count(".") == 1 and next(iter(data["stages"][int(one[7:])])) == "map"]
    if maps and rng.random() < 0.3:
        batches = [index for index, one in enumerate(data["stages"]) if "batch" in one and index > int(maps[0][7:])]
        edits += [VectoriseMap(maps[0], f"stages.{batches[0]}")] if batches else []
    try:
        wanted = apply_to_data(data, edits)
    except EditError:
        assume(condition=False)
    flags = overrides(view, edits)
    assert flags or same(wanted, data), edits
    document = read(path.read_bytes())
    applied, problems = set_flags(document, flags)
    assert not problems, (problems, flags)
    if flags:
        assert same(applied, wanted), (edits, flags)


def set_flags(document: Any, flags: list[str]) -> tuple[Any, list[Any]]:
    """The data with flags, whatever the models say of it: an edit at random may name an argument that is not there."""
    from pipeprof.pipelines.spec.overrides import apply_sets
    from pipeprof.pipelines.spec.yaml.tree import flatten, grow

    root = grow(document)
    problems = apply_sets(root, flags, document.references)
    return flatten(root)[0], problems


def test_a_spec_is_loaded_with_the_flags(tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text(flow({"version": 1, "source": {"range": {"stop": 9}}, "stages": [{"batch": {"batch_size": 2}}]}))
    edits = [SetArgument("stages.0", "batch", "batch_size", 3)]
    loaded = load_spec(path, overrides(view_with(path), edits))
    assert same(loaded.data, apply_to_data(load_spec(path).data, edits))
