"""What is said of a tf.data service that gives no element."""

from __future__ import annotations

import pytest

from pipeprof.profiles.document.shared import ErrorFrame
from pipeprof.profiles.service import service
from pipeprof.profiles.service.service import cause_of_error, cause_of_silence

AT = "localhost:7500"


@pytest.mark.parametrize(
    ("address", "there", "said"),
    [
        ("localhost:7500", False, "nothing listens at localhost:7500"),
        ("localhost", False, "no port is in localhost, the address of the dispatcher"),
        ("localhost:7500", True, "the tf.data service at localhost:7500 gave no element in this time"),
    ],
)
def test_silence_has_a_cause(monkeypatch: pytest.MonkeyPatch, address: str, there: bool, said: str) -> None:
    monkeypatch.setattr(service, "listens", lambda _address: there)
    assert said in cause_of_silence(address)


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
