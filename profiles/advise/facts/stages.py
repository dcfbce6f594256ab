"""What a faster pipeline would bring, and which stages run Python: pure functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeprof.pipelines.graph.read.function_facts import PYTHON
from pipeprof.pipelines.meaning.traits import traits

if TYPE_CHECKING:
    from pipeprof.profiles.document.profile import Profile
    from pipeprof.profiles.document.stages import Stage


def pays(profile: Profile) -> bool:
    """Whether a faster pipeline would make the steps faster."""
    verdict, headspace = profile.verdict, profile.headspace
    is_bound = verdict is not None and verdict.bound in {"input", "balanced"}
    return is_bound and (headspace is None or headspace.share >= 0.05)


def runs_python(stage: Stage) -> bool:
    """Whether a stage calls Python, as far as the run has shown."""
    row = traits(stage.op)
    return bool(stage.python) or any(op.op in PYTHON for op in stage.ops or ()) or (row.computes and row.wrapped)
