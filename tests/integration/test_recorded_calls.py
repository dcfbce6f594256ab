"""However datasets are put together: the recorded calls are the stages of the graph, and can all be made again."""

from __future__ import annotations

import pytest
import tensorflow as tf
from integration.changed_datasets import BUILDING, assert_addresses, first
from integration.test_constructs import CONSTRUCTS, NAMES

from pipeprof.pipelines.changes.chain import CannotChangeError
from pipeprof.pipelines.changes.in_calls import build_again
from pipeprof.pipelines.meaning.traits import traits
from pipeprof.profiles.worker.pipeline import call_target

pytestmark = pytest.mark.usefixtures("without_autograph")

UNSEEN = {"two_traced"}
"""A function of TensorFlow's made the datasets: their calls cannot be made outside of it."""


@pytest.mark.parametrize("name", NAMES)
def test_all_calls_are_made_again(name: str) -> None:
    tf.random.set_seed(5)
    called = call_target(f"{CONSTRUCTS}:{name}")
    calls = called.watch.calls
    assert called.watch.note is None
    assert_addresses(called.dataset, called.watch)
    recorded = calls.read(called.dataset)
    chain = recorded.chain.copy()
    for line in chain.lines():
        for call in line.calls:
            # Arrays are not kept alive; datasets of them are used as they are.
            call.again = not traits(call.op).in_memory
    if name in UNSEEN:
        with called.watch, pytest.raises(CannotChangeError, match="was not seen"):
            build_again(recorded, chain, BUILDING)
        return
    with called.watch:
        again = build_again(recorded, chain, BUILDING)
    assert again.element_spec == called.dataset.element_spec
    assert again.options() == called.dataset.options()
    assert_addresses(again, called.watch)
    assert [*calls.read(again).stages] == [*recorded.stages]
    assert first(again) == first(called.dataset)
