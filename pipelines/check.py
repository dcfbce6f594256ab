"""A spec that is read and checked."""

from __future__ import annotations

from pipeprof.pipelines.changes.in_spec import changed_spec as check_changed
from pipeprof.pipelines.spec.load import load_spec as check_spec

__all__ = ["check_changed", "check_spec"]
