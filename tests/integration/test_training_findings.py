"""What rules about training scripts need to know, seen in the planted scripts: runs of several scripts each."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from integration import forked

from pipeprof.profiles.advise.rule import rules

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PLANTED = Path(__file__).parent / "training"
PAIRS = tomllib.loads((PLANTED / "pairs.toml").read_text(encoding="utf-8"))
IN_TRAINING = {name for name, rule in rules().items() if rule.in_training}
ONE_AFTER_THE_OTHER = """\
import runpy

# What a script has made is there until the process ends, as if it ran alone.
kept = [runpy.run_path(f"{{name}}.py", run_name="__main__") for name in {names}]
"""
# A name of the module counts as unused only in the script itself: this pair is the text of the script.
ITSELF = "never_iterated"
LOOPS = [name for name, pair in PAIRS.items() if pair["run"] == "loops"]
FITS = [name for name, pair in PAIRS.items() if pair["run"] == "fits"]
# What a step spends, and when an epoch's first batch comes, is known of the main dataset of a run.
ALONE = [name for name, pair in PAIRS.items() if pair["run"] == "alone"]


TRIES = 3


def twin(name: str) -> str:
    return f"{name}_twin"


def run(folder: Path, names: list[str]) -> dict[str, Any]:
    """Run scripts in one process to their end; returns the profile."""
    for file in PLANTED.glob("*.py"):
        shutil.copy(file, folder)
    itself = [name for name in names if name.startswith(ITSELF)]
    text = "".join((PLANTED / f"{name}.py").read_text(encoding="utf-8") for name in itself)
    others = [name for name in names if name not in itself]
    (folder / "train.py").write_text(text + ONE_AFTER_THE_OTHER.format(names=others), encoding="utf-8")
    words = ["run", "train.py", "--to-end", "--no-lock", "--out", "profile.json"]
    done = forked.run(words, folder, forked.AS_FOR_USERS)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads((folder / "profile.json").read_text(encoding="utf-8"))


def planted(folders: pytest.TempPathFactory, names: list[str]) -> dict[str, Any]:
    """Run scripts, again where others had the cores and a finding is missing: what steps spend is not known then."""
    for _ in range(TRIES):
        found = run(folders.mktemp(names[0]), names)
        if sorted(reported(found)) == sorted(expected(names)) or not found["verdict"]["disturbed"]:
            break
    return found


@pytest.fixture(scope="module")
def loops(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return planted(tmp_path_factory, LOOPS)


@pytest.fixture(scope="module")
def loop_twins(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return run(tmp_path_factory.mktemp("loop_twins"), [*map(twin, LOOPS)])


@pytest.fixture(scope="module")
def fits(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return planted(tmp_path_factory, FITS)


@pytest.fixture(scope="module")
def fit_twins(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return run(tmp_path_factory.mktemp("fit_twins"), [*map(twin, FITS)])


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    twins = {name: run(tmp_path_factory.mktemp(name), [name]) for name in map(twin, ALONE)}
    return twins | {name: planted(tmp_path_factory, [name]) for name in ALONE}


def uses(profile: dict[str, Any], script: str, role: str = "loop") -> list[dict[str, Any]]:
    """The datasets that a script iterates."""
    found = profile["training"]["datasets"]
    return [use for use in found if Path(use["file"]).name == f"{script}.py" and use["role"] == role]


def traces(profile: dict[str, Any], script: str) -> list[int]:
    """How often each tf.function of a script was traced."""
    return [use["traces"] for use in profile["training"]["functions"] if Path(use["file"]).name == f"{script}.py"]


def reported(profile: dict[str, Any]) -> list[tuple[str, str, int]]:
    """The rules about trainings that have a finding, each with its place."""
    found = [finding for finding in profile["findings"] if finding["rule"] in IN_TRAINING]
    places = [(finding["rule"], finding["location"] or {}) for finding in found]
    return [(rule, Path(place.get("file", "")).name, place.get("line", 0)) for rule, place in places]


def test_every_pair_is_run() -> None:
    scripts = {path.stem for path in PLANTED.glob("*.py")} - {"slow"}
    assert (
        scripts
        == {*PAIRS, *(f"{name}_twin" for name in PAIRS)}
        == {*LOOPS, *FITS, *ALONE, *map(twin, LOOPS + FITS + ALONE)}
    )


def expected(names: list[str]) -> list[tuple[str, str, int]]:
    pairs = ((name, PAIRS[name]) for name in names)
    return [(pair["rule"], "train.py" if name == ITSELF else f"{name}.py", pair["line"]) for name, pair in pairs]


def test_each_script_has_its_finding_and_no_other(loops: dict[str, Any], fits: dict[str, Any]) -> None:
    assert sorted(reported(loops)) == sorted(expected(LOOPS))
    assert sorted(reported(fits)) == sorted(expected(FITS))


def test_no_twin_has_a_finding(loop_twins: dict[str, Any], fit_twins: dict[str, Any]) -> None:
    assert reported(loop_twins) + reported(fit_twins) == []


@pytest.mark.parametrize("name", ALONE)
def test_a_script_of_its_own_has_its_finding_and_its_twin_none(alone: dict[str, dict[str, Any]], name: str) -> None:
    assert reported(alone[name]) == expected([name])
    assert reported(alone[twin(name)]) == []


def test_datasets_built_again(loops: dict[str, Any], loop_twins: dict[str, Any]) -> None:
    (use,) = uses(loops, "dataset_rebuilt")
    assert (use["datasets"], use["equal"], use["line"]) == (8, True, 14)
    assert use["first_seconds"] > 0.02
    # The three of a curriculum differ, whether they are known as one that follows the other or not.
    assert not any(use["equal"] for use in uses(loop_twins, "dataset_rebuilt_twin"))


def test_traces(loops: dict[str, Any], loop_twins: dict[str, Any]) -> None:
    assert traces(loops, "retracing") == [40]
    assert traces(loop_twins, "retracing_twin") == [1]


def test_saves(loops: dict[str, Any], loop_twins: dict[str, Any]) -> None:
    assert loops["training"]["saves"] == 15
    assert loops["training"]["save_seconds"] > 0
    assert loops["training"]["saver"]["line"] == 15
    assert loop_twins["training"]["saves"] == 2


def test_iterators_in_turn(loops: dict[str, Any], loop_twins: dict[str, Any]) -> None:
    assert [use["together"] for use in uses(loops, "two_consumers")] == [2]
    assert {use["together"] for use in uses(loop_twins, "two_consumers_twin")} == {1}


def test_callbacks(fit_twins: dict[str, Any]) -> None:
    assert fit_twins["training"]["callbacks"] == []


def test_sources(fits: dict[str, Any], fit_twins: dict[str, Any]) -> None:
    training = fits["training"]
    assert (training["source_kind"], training["source"]["name"], training["source"]["line"]) == (
        "PyDataset",
        "Rows",
        14,
    )
    assert fit_twins["training"]["source"] is None


def test_validation(fits: dict[str, Any], fit_twins: dict[str, Any]) -> None:
    assert [use["cached"] for use in uses(fits, "validation_uncached", "validation")] == [False]
    assert [use["cached"] for use in uses(fit_twins, "validation_uncached_twin", "validation")] == [True]
    assert fits["training"]["validations"] > fit_twins["training"]["validations"] > 0
