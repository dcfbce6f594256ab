"""The inputs that integration tests share."""

from __future__ import annotations

import os

import pytest
from integration.example_data import Store


@pytest.fixture(scope="session", autouse=True)
def _example_data(tmp_path_factory: pytest.TempPathFactory) -> None:
    base = tmp_path_factory.getbasetemp()
    Store.root = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "example-data"
    Store.root.mkdir(exist_ok=True)
