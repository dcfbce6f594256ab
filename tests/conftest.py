"""What every test relies on: a stable terminal, golden files, and a guard that keeps unit tests off the real world.

Nothing here asserts a time, so that modules which measure may run beside others.
"""

from __future__ import annotations

import difflib
import gc
import importlib.abc
import importlib.machinery
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import HealthCheck, settings

TESTS = Path(__file__).parent
GOLDEN = TESTS / "golden"
HEAVY = frozenset({"tensorflow", "keras", "jax", "torch"})

# Set while conftest is imported, not in a fixture: typer and rich read some of these when they are imported, and
# subprocesses started by a test inherit them. typer forces colour on some CI services unless told otherwise.
os.environ.update(COLUMNS="80", TERMINAL_WIDTH="80", TERM="xterm", LANG="C.UTF-8", LC_ALL="C.UTF-8", PYTHONUTF8="1")
os.environ["_TYPER_FORCE_DISABLE_TERMINAL"] = "1"
for _name in (
    "NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "GITHUB_ACTIONS", "GITHUB_BASE_REF",
    "CI_MERGE_REQUEST_TARGET_BRANCH_NAME", "LINES",
):  # fmt: skip
    os.environ.pop(_name, None)

# No test may fail because the machine is slow.
_SLOW = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
# Each run of a developer draws others; CI has the same ones each time. DRAWS says how many others there are to be.
settings.register_profile("default", **_SLOW, max_examples=int(os.environ.get("DRAWS") or 20))
settings.register_profile("ci", **_SLOW, max_examples=25, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") and not os.environ.get("DRAWS") else "default")


class GuardError(BaseException):
    """A unit test reached for what only integration tests may use.

    Not an ``Exception``, so that code which tolerates a missing module or a failing call cannot swallow it.
    """


class _Refuse(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Lets a heavy package be looked up, as a version check does, but not be imported."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        del path, target
        return importlib.machinery.ModuleSpec(fullname, self) if fullname in HEAVY else None

    def exec_module(self, module: ModuleType) -> None:
        msg = f"a unit test imports {module.__name__}: move the test to tests/integration or the import into the worker"
        raise GuardError(msg)


def _refuse(what: str) -> Callable[..., object]:
    def fail(*_args: object, **_kwargs: object) -> object:
        msg = f"a unit test {what}: give the code under test a fake, or move the test to tests/integration"
        raise GuardError(msg)

    return fail


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--update-goldens``."""
    parser.addoption("--update-goldens", action="store_true", help="rewrite tests/golden/* with what the tests produce")


def pytest_collection_finish() -> None:
    """What was imported and collected stays to the end; no search for garbage goes through it again."""
    gc.freeze()
    gc.set_threshold(100_000)


@pytest.fixture
def guard_error() -> type[BaseException]:
    """What the guard raises, for its own tests."""
    return GuardError


@pytest.fixture(scope="module", autouse=True)
def unit_guard(request: pytest.FixtureRequest) -> Iterator[None]:
    """In tests/unit: no TensorFlow, no network, no waiting on the real clock."""
    if TESTS / "unit" not in request.path.parents:
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        for name in HEAVY:
            patch.delitem(sys.modules, name, raising=False)
        patch.setattr(sys, "meta_path", [_Refuse(), *sys.meta_path])
        for call in ("connect", "connect_ex", "bind"):
            patch.setattr(socket.socket, call, _refuse("opens a socket"))
        patch.setattr(socket, "getaddrinfo", _refuse("looks up a host"))
        sleep, refuse = time.sleep, _refuse("sleeps on the real clock")
        patch.setattr(time, "sleep", lambda seconds: refuse() if seconds > 0 else sleep(0))
        yield


@pytest.fixture(scope="session", autouse=True)
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache of synthesised inputs for this session alone, so that no test reads what an earlier run left."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PIPEPROF_CACHE_DIR", str(folder))
        yield folder


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compare text with ``tests/golden/<name>``: ``golden("run-80.txt", text)``.

    A difference fails the test, shows a diff and leaves the text beside the golden file as ``<name>.got``;
    ``pytest --update-goldens`` writes the file instead.
    """
    update = bool(request.config.getoption("--update-goldens"))

    def compare(name: str, text: str) -> None:
        path = GOLDEN / name
        got = path.with_name(path.name + ".got")
        if update:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode())
            got.unlink(missing_ok=True)
            return
        expected = path.read_bytes().decode() if path.exists() else None
        if text == expected:
            got.unlink(missing_ok=True)
            return
        got.parent.mkdir(parents=True, exist_ok=True)
        got.write_bytes(text.encode())
        diff = difflib.unified_diff(
            (expected or "").splitlines(), text.splitlines(), f"golden/{name}", f"golden/{got.name}", lineterm=""
        )
        state = "differs" if expected is not None else "does not exist"
        pytest.fail(
            f"tests/golden/{name} {state}; if the new text is right: pytest --update-goldens\n" + "\n".join(diff),
            pytrace=False,
        )

    return compare
