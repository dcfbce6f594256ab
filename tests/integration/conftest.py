"""The inputs that integration tests share."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from integration import forked
from integration.example_data import Store

LONGEST = (
    "test_gate", "test_training_findings", "test_training_script", "test_environment_faults", "test_watch",
    "test_service", "test_fix", "test_gate_action", "test_targets", "test_targets_at_refs", "test_deaths",
    "test_verification", "test_data", "test_git_refs", "test_fuzz", "test_guarded",
)  # fmt: skip
"""Modules that take longest come first, so that all processes end at about the same time."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.stem, len(places)))


def pytest_configure() -> None:
    """One process is copied for the commands of all processes that run tests: the first that is asked starts it."""
    forked.listen()


@pytest.fixture(scope="session", autouse=True)
def _own_lock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test waits for another measurement on this machine to end."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("runtime")))
        yield


@pytest.fixture(scope="session", autouse=True)
def _example_data(tmp_path_factory: pytest.TempPathFactory) -> None:
    # The processes of a run have folders in one that they share.
    own = tmp_path_factory.getbasetemp()
    Store.root = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "example-data"
    Store.root.mkdir(exist_ok=True)


@pytest.fixture
def without_autograph() -> Iterator[None]:
    """Functions of the test's pipelines are traced as they are.

    AutoGraph finds and parses a function's file to rewrite its branches and loops, which takes ten times as long as the
    rest of a small pipeline.
    """
    from tensorflow.python.autograph.core import ag_ctx  # do_not_convert does not reach functions of pipelines

    with ag_ctx.ControlStatusCtx(status=ag_ctx.Status.DISABLED):
        yield


@pytest.fixture
def recording() -> Iterator[Any]:
    """The calls of the test are recorded."""
    from integration import changed_datasets

    with changed_datasets.recording() as watch:
        yield watch


@pytest.fixture(autouse=True)
def _garbage_is_collected_between_tests() -> Iterator[None]:
    """No garbage is collected while a pipeline of this process runs.

    A thread of TensorFlow that calls Python may begin a collection. It then holds Python's lock while it deletes
    pipelines of earlier tests, and their deletion waits for threads that wait for the lock: up to two minutes.
    """
    gc.disable()
    yield
    gc.collect(0)  # all that the test has made
    gc.enable()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home of a user without a configuration of git."""
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in list(os.environ):
        if name.startswith("GIT_") or name == "XDG_CONFIG_HOME":
            monkeypatch.delenv(name)
    return tmp_path / "home"
