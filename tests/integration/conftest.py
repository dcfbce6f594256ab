"""The inputs that integration tests share."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator

import pytest
from integration.example_data import Store


@pytest.fixture(scope="session", autouse=True)
def _example_data(tmp_path_factory: pytest.TempPathFactory) -> None:
    base = tmp_path_factory.getbasetemp()
    Store.root = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "example-data"
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
