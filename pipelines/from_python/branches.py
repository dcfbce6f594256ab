"""Branches: ``tf.cond`` and ``tf.switch_case`` with the chains of their functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from pipeprof.pipelines.from_python.records import Call, NotExpressible, RecordedBody, RecordedFunction, RecordedTensor


def functions_of(call: Call) -> list[Any]:
    """Return the functions of its branches, in order."""
    if call.name == "tf.cond":
        return [call.arguments.get("true_fn"), call.arguments.get("false_fn")]
    listed = call.arguments.get("branch_fns")
    return list(listed) if isinstance(listed, list | tuple) else [listed]


def decision_calls(call: Call) -> Any:
    """Return the calls that compute which branch is taken."""
    return call.arguments.get("pred" if call.name == "tf.cond" else "branch_index")


def written_branches(
    call: Call, inputs: Sequence[RecordedTensor], decision: str | int, write: Callable[[RecordedBody], list[Any]]
) -> dict[str, Any]:
    """Convert the arguments of the call, without routes.

    Args:
        call: The call.

    Raises:
        NotExpressible: A branch cannot be written.
    """
    chains = [_chain(value, inputs, write) for value in functions_of(call)]
    if call.name == "tf.switch_case":
        return {"branch_fns": chains, "branch_index": [{"select": decision}]}
    names = ("true_fn", "false_fn")
    found = {name: chain for name, chain in zip(names, chains, strict=True) if chain}
    if not found:
        msg = "both of its branches change nothing"
        raise NotExpressible(msg)
    return {"pred": [{"select": decision}], **found}


def _chain(function: Any, inputs: Sequence[RecordedTensor], write: Callable[[RecordedBody], list[Any]]) -> list[Any]:
    body = function.body if isinstance(function, RecordedFunction) else None
    if body is None:
        msg = "pipeprof could not see which calls one of its branches makes"
        raise NotExpressible(msg)
    element: Any = inputs[0] if len(inputs) == 1 else tuple(inputs)
    result = tuple(body.result) if isinstance(body.result, list) else body.result
    return [] if result == element else write(replace(body, element=element, result=result))
