from __future__ import annotations

from pathlib import Path

import pytest

from pipeprof.pipelines.errors import UsageError
from pipeprof.profiles.worker.versions import OLDEST, require_tensorflow

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("version", ["2.18.0", "2.18.1-rc0", "2.21.0", "3.0.0", "2.100.0", "unknown"])
def test_what_will_do(version: str) -> None:
    require_tensorflow(version)


@pytest.mark.parametrize("version", ["2.17.1", "2.9.0", "1.15.5"])
def test_what_is_too_old_is_told_with_what_helps(version: str) -> None:
    with pytest.raises(UsageError) as caught:
        require_tensorflow(version)
    assert str(caught.value) == (
        f"TensorFlow {version} is installed; pipeprof needs 2.18 or newer: pip install 'tensorflow>=2.18'"
    )


def test_it_is_the_oldest_that_the_package_asks_for_and_that_is_tested() -> None:
    oldest = ".".join(map(str, OLDEST))
    assert f'"tensorflow>={oldest}"' in (ROOT / "pyproject.toml").read_text()
    assert f"tensorflow=={oldest}.*" in (ROOT / "Makefile").read_text()
