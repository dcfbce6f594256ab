"""Statements for tf.data.Options."""

from __future__ import annotations

from typing import Any, Final

from pipeprof.pipelines.to_python.code import Node, flat, listed, scalar

_ENUMERATIONS: Final = {
    "auto_shard_policy": "AutoShardPolicy",
    "autotune_algorithm": "AutotuneAlgorithm",
    "experimental_external_state_policy": "ExternalStatePolicy",
}


def option_lines(target: str, written: dict[str, Any]) -> list[str]:
    """Return the statements that set the written options."""
    lines: list[str] = []
    for name, value in written.items():
        if isinstance(value, dict):
            lines += option_lines(f"{target}.{name}", value)
        elif name in _ENUMERATIONS:
            lines.append(f"{target}.{name} = tf.data.experimental.{_ENUMERATIONS[name]}.{value}")
        else:
            lines.append(f"{target}.{name} = {flat(_option(value))}")
    return lines


def _option(value: Any) -> Node:
    return listed(map(scalar, value)) if isinstance(value, list | tuple) else scalar(value)
