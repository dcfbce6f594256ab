"""Random specs, profiles and repositories: no traceback, no file outside, no process left.

The cases come from the numbers in `fuzz_seeds.json`, so a failure is the same in every run; the test's name has its
number. They are those that, together, reach every line of the source that three times as many reach; repositories also
have all that `RandomRepository` plants, each beside every other, every setting of git and every link. To look further,
give other numbers: ``FUZZ_SEEDS=1000-1200 pytest tests/integration/test_fuzz.py``.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import sys
from pathlib import Path

import psutil
import pytest
from unit.spec.mutations import changed_text, corpus, damaged, mutated

from pipeprof.cli.main import invoke
from pipeprof.pipelines.errors import PipelineFailedError
from pipeprof.pipelines.spec.diagnostics import SpecError
from pipeprof.pipelines.spec.load import load_spec
from pipeprof.pipelines.target.target import ParsedTarget
from pipeprof.profiles.harness.look import Looker, NotMadeError
from pipeprof.profiles.judge import live
from tests.integration.random_repository import RandomRepository

TESTS = Path(__file__).parents[1]
STORED = json.loads(Path(__file__).with_name("fuzz_seeds.json").read_text())
CASES = 40
"""Of a number."""


def seeds(kind: str) -> list[int]:
    given = os.environ.get("FUZZ_SEEDS")
    if given:
        first, _, last = given.partition("-")
        return list(range(int(first), int(last or first) + 1))
    return STORED[kind]


@pytest.fixture
def place(home, monkeypatch):
    """An empty folder that is the current one, beside a folder for which nothing is meant."""
    for name in ("outside", "tmp", "work"):
        (home.parent / name).mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(home.parent / "tmp"))
    monkeypatch.setattr(live, "measure", lambda *_: None)
    monkeypatch.chdir(home.parent / "work")
    return home.parent


@pytest.fixture
def pipeprof(place, capsys):
    """Run a command, and look at what it left."""

    def run(*arguments):
        before = {name: listed(place / name) for name in ("home", "outside", "tmp")}
        known = children()
        code = invoke([*arguments])
        written = capsys.readouterr()
        assert code in range(7)
        # A profile may hold the traceback of a user's exception.
        assert "Traceback" not in written.err
        assert "internal error" not in written.err
        for name, names in before.items():
            new = [path for path in listed(place / name) - names if not path.startswith(("pipeprof-0", ".cache"))]
            assert not new
        assert children() <= known
        return written.out + written.err

    return run


def children() -> set[int]:
    """Processes that this one has; Linux lists them, elsewhere all processes are asked for their parent."""
    if sys.platform == "linux":
        lists = Path("/proc/self/task").glob("*/children")
        return {int(pid) for listed in lists for pid in listed.read_text().split()}
    return {child.pid for child in psutil.Process().children()}


def listed(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_what_tensorflow_builds_of_specs(place):
    chance = random.Random(1)
    good, every = corpus()
    built = 0
    with Looker() as looker:
        for _ in range(4 * CASES):
            Path("spec.yaml").write_bytes(mutated(chance, chance.choice(good), every))
            with contextlib.suppress(SpecError, PipelineFailedError, NotMadeError):
                looker.look_at(ParsedTarget("spec", Path("spec.yaml")), load_spec(Path("spec.yaml")))
                built += 1
    assert built
    assert [listed(place / name) for name in ("outside", "work")] == [set(), {"spec.yaml"}]


@pytest.mark.parametrize("seed", seeds("profiles"))
def test_profiles(seed, pipeprof):
    chance = random.Random(seed)
    documents = [json.loads(path.read_text()) for path in sorted((TESTS / "recorded" / "profiles").glob("*.json"))]
    _, every = corpus()
    for number in range(CASES):
        text = json.dumps(damaged(chance, chance.choice(documents), every))
        text = changed_text(chance, text, every) if chance.random() < 0.3 else text
        Path("a.json").write_bytes(text.encode(errors="surrogatepass"))
        Path("b.json").write_text(json.dumps(chance.choice(documents)))
        if number % 2:
            pipeprof("compare", "a.json", "b.json")
        else:
            pipeprof("show", "a.json", "--format", chance.choice(["text", "json", "md", "html", "sarif", "github"]))


@pytest.mark.parametrize("seed", seeds("repositories"))
def test_repositories(seed, place, pipeprof, monkeypatch):
    chance = random.Random(seed)
    root = place / "work" / "checkout"
    RandomRepository(root, place / "outside", chance).fill()
    monkeypatch.chdir(root)
    for ref in ("HEAD", "HEAD~1"):
        name = chance.choice(["spec.yaml", "specs/spec.yaml"])
        said = pipeprof("gate", name, "--against", f"git:{ref}", "--no-python")
        assert "root:x:0" not in said
    assert not (place / "outside" / "RAN").exists()
    assert not list(root.glob("**/RAN"))
