"""The inputs that integration tests share."""

from __future__ import annotations

import ast
import functools
import gc
import linecache
import os
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from integration import forked
from integration.example_data import Store

LONGEST = (
    "test_gate",
    "test_training_findings",
    "test_training_script",
    "test_environment_faults",
    "test_watch",
    "test_service",
    "test_fix",
    "test_gate_action",
    "test_targets",
    "test_targets_at_refs",
    "test_deaths",
    "test_verification",
    "test_data",
    "test_git_refs",
    "test_fuzz",
    "test_guarded",
)
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


@functools.cache
def _statements(source: str) -> list[tuple[int, int]]:
    """First and last lines of a module's statements."""
    body = ast.parse(source).body
    return [
        (min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", ()))]), node.end_lineno or 0)
        for node in body
    ]


@pytest.fixture(scope="module", autouse=True)
def _lambdas_are_read_alone() -> Iterator[None]:
    """AutoGraph parses the statement of a lambda in place of its whole file, which takes longer than all the rest.

    The same lambda is found: lines keep their numbers, and those of other statements are empty.
    """
    if "tensorflow" not in sys.modules:
        yield
        return
    from tensorflow.python.autograph.pyct import parser

    find = parser._parse_lambda

    def find_in_statement(function: Any) -> Any:
        at = function.__code__.co_firstlineno

        def lines(*given: Any) -> list[str]:
            read = linecache.getlines(*given)
            first, last = next(((a, b) for a, b in _statements("".join(read)) if a <= at <= b), (1, len(read)))
            return [text if first <= number <= last else "\n" for number, text in enumerate(read, 1)]

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(parser, "linecache", SimpleNamespace(getlines=lines))
            return find(function)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parser, "_parse_lambda", find_in_statement)
        yield


@pytest.fixture(scope="module", autouse=True)
def _conversions_are_not_looked_at() -> Iterator[None]:
    """The hook that watches a build is not called while AutoGraph rewrites a function, which calls Python a lot.

    Nothing of the pipeline is built there: the rewritten function is called afterwards.
    """
    if "tensorflow" not in sys.modules:
        yield
        return
    from tensorflow.python.autograph.impl import api

    convert = api._convert_actual

    def convert_unseen(*given: Any) -> Any:
        hook = sys.getprofile()
        sys.setprofile(None)
        try:
            return convert(*given)
        finally:
            sys.setprofile(hook)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(api, "_convert_actual", convert_unseen)
        yield


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
