"""Calls of their own form: structures, control flow, layers, tables and Python inside a chain."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeprof.pipelines.python.elements import Form

if TYPE_CHECKING:
    from pipeprof.pipelines.ops.opcall import OpCall
    from pipeprof.pipelines.python.calls import Body
    from pipeprof.pipelines.python.code import Node


def special(body: Body, operation: OpCall, element: Form) -> Form | tuple[Node, Form] | None:
    """What such a call gives, or None for a function of the allowlist."""
    del body, operation, element
    return None
