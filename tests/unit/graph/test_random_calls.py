"""Which pipelines draw random numbers in several calls at a time."""

from typing import Any

import pytest

from pipeprof.pipelines.graph.observe.effects import draws_in_any_order


def node(name: str, owner: str | None = None, *, random: bool | None = False, **arguments: Any) -> Any:
    return {"id": name, "owner": owner, "function": {"random": random}, "arguments": arguments}


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        ([node("map", random=True)], False),
        ([node("map", num_parallel_calls=-1)], False),
        ([node("map", random=None, num_parallel_calls=2)], False),
        ([node("map", random=True, num_parallel_calls=1)], False),
        ([node("map", random=True, num_parallel_calls=None)], False),
        ([node("map", random=True, num_parallel_calls=-1)], True),
        ([node("read", num_parallel_calls=2), node("map", "read", random=True)], True),
        ([node("read"), node("map", "read", random=True)], False),
        ([{**node("range"), "function": None}], False),
    ],
)
def test_calls_at_a_time(nodes: list[Any], expected: bool) -> None:
    assert draws_in_any_order({"nodes": nodes, "root": "map", "reason": None}) is expected  # type: ignore[typeddict-item]
