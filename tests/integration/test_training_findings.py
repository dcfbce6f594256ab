"""What a run sees of the planted training scripts that findings are about: two runs of several scripts each.

Whether there is one depends on times: `benchmarks/training` shows that, script by script, and of healthy twins.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from integration import forked

from pipeprof.profiles.advise.findings.training import TRAINING

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PLANTED = Path(__file__).parents[2] / "benchmarks" / "training" / "findings"
PAIRS = tomllib.loads((PLANTED / "pairs.toml").read_text(encoding="utf-8"))
IN_TRAINING = {check.name for check in TRAINING}
ONE_AFTER_THE_OTHER = """\
import runpy

# What a script has made is there until the process ends, as if it ran alone.
kept = [runpy.run_path(f"{{name}}.py", run_name="__main__") for name in {names}]
"""
# A name of the module counts as unused only in the script itself: this pair is the text of the script.
ITSELF = "never_iterated"
LOOPS = [name for name, pair in PAIRS.items() if pair.get("run") == "loops"]
FITS = [name for name, pair in PAIRS.items() if pair.get("run") == "fits"]


def run(folder: Path, names: list[str]) -> dict[str, Any]:
    """Run scripts in one process to their end; returns the profile."""
    for file in PLANTED.glob("*.py"):
        shutil.copy(file, folder)
    itself = [name for name in names if name.startswith(ITSELF)]
    text = "".join((PLANTED / f"{name}.py").read_text(encoding="utf-8") for name in itself)
    others = [name for name in names if name not in itself]
    (folder / "train.py").write_text(text + ONE_AFTER_THE_OTHER.format(names=others), encoding="utf-8")
    words = ["run", "train.py", "--to-end", "--no-verify", "--out", "profile.json"]
    done = forked.run(words, folder, forked.AS_FOR_USERS)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads((folder / "profile.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def loops(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return run(tmp_path_factory.mktemp("loops"), LOOPS)


@pytest.fixture(scope="module")
def fits(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return run(tmp_path_factory.mktemp("fits"), FITS)


def uses(profile: dict[str, Any], script: str, role: str = "loop") -> list[dict[str, Any]]:
    """The datasets that a script iterates."""
    found = profile["training"]["datasets"]
    return [use for use in found if Path(use["file"]).name == f"{script}.py" and use["role"] == role]


def traces(profile: dict[str, Any], script: str) -> list[int]:
    """How often each tf.function of a script was traced."""
    return [use["traces"] for use in profile["training"]["functions"] if Path(use["file"]).name == f"{script}.py"]


def reported(profile: dict[str, Any]) -> list[tuple[str, str, int]]:
    """The findings about the training, each with its place."""
    found = [finding for finding in profile["findings"] if finding["rule"] in IN_TRAINING]
    places = [(finding["rule"], finding["location"] or {}) for finding in found]
    return [(rule, Path(place.get("file", "")).name, place.get("line", 0)) for rule, place in places]


def test_findings_are_those_of_the_scripts(loops: dict[str, Any], fits: dict[str, Any]) -> None:
    for profile, names in ((loops, LOOPS), (fits, FITS)):
        pairs = [(name, PAIRS[name]) for name in names]
        files = [(pair, "train.py" if name == ITSELF else f"{name}.py") for name, pair in pairs]
        assert {*reported(profile)} <= {(pair["rule"], file, pair["line"]) for pair, file in files}


def test_what_depends_on_no_time_is_found(loops: dict[str, Any], fits: dict[str, Any]) -> None:
    assert ("unused-dataset", "train.py", PAIRS[ITSELF]["line"]) in reported(loops)
    assert ("waits-for-results", "callback_waits.py", PAIRS["callback_waits"]["line"]) in reported(fits)


def test_what_the_findings_are_about_is_counted(loops: dict[str, Any], fits: dict[str, Any]) -> None:
    (use,) = uses(loops, "dataset_rebuilt")
    assert (use["datasets"], use["equal"], use["line"]) == (12, True, 16)
    assert 0 < use["build_seconds"] < use["seconds"]
    assert traces(loops, "retracing") == [40]
    assert loops["training"]["saves"] == 15
    assert loops["training"]["save_seconds"] > 0
    assert loops["training"]["saver"]["line"] == 15
    assert [use["together"] for use in uses(loops, "two_consumers")] == [2]
    assert [use["cached"] for use in uses(fits, "validation_uncached", "validation")] == [False]
    assert fits["training"]["validations"] > 0
