"""Recorded runs by their names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.store import load_profile

RECORDED = Path(__file__).parents[1] / "recorded" / "profiles"


@pytest.fixture
def recorded() -> Callable[[str], Profile]:
    """A recorded profile by name, a new one each time."""
    return lambda name: load_profile(RECORDED / f"{name}.json")
