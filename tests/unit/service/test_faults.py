"""What is said of a tf.data service that gives no element."""

from __future__ import annotations

import pytest

from pipeprof.profiles.document.shared import ErrorFrame
from pipeprof.profiles.service.ask import ServiceState
from pipeprof.profiles.service.faults import cause_of_error, cause_of_silence

AT = "localhost:7500"


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (ServiceState(AT, listens=False), "nothing listens at localhost:7500"),
        (ServiceState("localhost", listens=False), "no port is in localhost, the address of the dispatcher"),
        (ServiceState(AT, listens=True, asked=False), "is unknown"),
        (ServiceState(AT, listens=True), "does not answer as the dispatcher"),
        (ServiceState(AT, True, ()), "no worker is registered at the dispatcher"),
        (
            ServiceState(AT, True, ("a:1", "b:2"), gone=("a:1",)),
            "1 of 2 workers of the tf.data service at localhost:7500 is",
        ),
        (ServiceState(AT, True, ("a:1", "b:2"), ("a:1",), ("b:2",)), "nothing listens at a:1 any more and b:2"),
        (ServiceState(AT, True, ("a:1", "b:2")), "though all of its 2 workers answer: an element may take"),
        (ServiceState(AT, True, ("a:1",)), "in this time, though its worker answers: an element may take longer"),
    ],
)
def test_silence_has_a_cause(state: ServiceState, said: str) -> None:
    assert said in cause_of_silence(state)


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("NotFoundError: Protocol 'xyz' is not available for worker localhost:1", "data_transfer_protocol 'xyz'"),
        ("Worker localhost:8202 is not in the workers list.", "does not know worker localhost:8202"),
        ("No credentials factory has been registered for protocol http. The available types are: [ grpc ]", "http://"),
        ("FailedPreconditionError: Round robin reads require that the dataset", "add repeat() before distribute"),
        ("ValueError: Could not find callback with key=pyfunc_3 in the registry", "Python runs in parse (in.py:7)"),
        ("NotFoundError: Iteration id 2000 not found", "was started anew without its state"),
        (
            "ResourceExhaustedError: Failed to get element: OOM when allocating tensor",
            "has no memory left for an element",
        ),
        (
            "ResourceExhaustedError: Failed to get element: Error in user-defined function passed to MapDataset:2 "
            "transformation with iterator: Iterator::Root::Map: OOM when allocating tensor",
            "has no memory left for an element",
        ),
        (
            "*** Check failure stack trace: ***\n @ grpc::internal::CallOpSendMessage::AddOp()\n"
            " @ tensorflow::data::DataServiceDispatcherClient::RegisterDataset()",
            "the graph of the dataset is larger than 2 GB",
        ),
    ],
)
def test_an_error_of_tensorflows_has_a_cause(message: str, said: str) -> None:
    assert said in (cause_of_error(message, [ErrorFrame("in.py", 7, "parse")]) or "")


def test_other_errors_have_no_cause_in_the_service() -> None:
    assert cause_of_error("InvalidArgumentError: Expected image (JPEG, PNG, or GIF)") is None
    on_worker = (
        "InvalidArgumentError: Failed to get element: Error in user-defined function passed to MapDataset:2 "
        "transformation with iterator: Iterator::Root::Map: Expected image (JPEG, PNG, or GIF)"
    )
    assert cause_of_error(on_worker, [ErrorFrame("in.py", 7, "parse")]) is None
    assert "Python runs in a stage before distribute" in (
        cause_of_error("Could not find callback with key=pyfunc_0") or ""
    )
