"""What is said of a tf.data service before a run registers anything there, and when it gives no element."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeprof.pipelines.spec.load import load_spec
from pipeprof.profiles.document.shared import ErrorFrame
from pipeprof.profiles.harness import failure
from pipeprof.profiles.harness.failure import cause_of_error, cause_of_silence, what_is_registered

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
    monkeypatch.setattr(failure, "listens", lambda _address: there)
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


SPEC = """
version: 1
source: {range: {stop: 8}}
stages:
"""
SHARED = '  - distribute: {processing_mode: parallel_epochs, service: "h1:5000"}\n'
SERVICE = "service = tf.data.experimental.service\n"


@pytest.mark.parametrize(
    ("stages", "said"),
    [
        (SHARED, "a build of this pipeline registers 1 dataset with the tf.data service h1:5000 and starts 1 job"),
        (SHARED.replace("h1:5000", "local"), None),
        ("  - batch: {batch_size: 2}\n", None),
        (
            '  - apply: {python: "in.py:share"}\n',
            "in.py has calls that register 1 dataset with a tf.data service and start 1 job there",
        ),
    ],
)
def test_a_spec_says_where_it_registers_how_many(tmp_path: Path, stages: str, said: str | None) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text(SPEC + stages)
    function = "def share(d):\n    return d.apply(service.distribute('OFF', 'h1:5000'))\n"
    (tmp_path / "in.py").write_text(SERVICE + function)
    found = what_is_registered(load_spec(path), path)
    assert found is None if said is None else str(found).startswith(said)


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        (
            "from tensorflow.data.experimental import service\nd.apply(service.distribute('OFF', a))",
            ("1 dataset", "1 job"),
        ),
        (f"{SERVICE}x = service.register_dataset(a, d)\nd.apply(service.distribute())", ("2 datasets", "1 job")),
        (f"{SERVICE}service.from_dataset_id('OFF', a, 'id')", ("no datasets", "1 job")),
        ("strategy.experimental_distribute_dataset(d)\ndistribute(d)", None),
        ("tf.data.experimental.service.DispatchServer()", None),
    ],
)
def test_the_text_of_a_function_says_how_many(tmp_path: Path, text: str, numbers: tuple[str, str] | None) -> None:
    path = tmp_path / "in.py"
    path.write_text(text)
    said = what_is_registered(None, path, again="so does each process that tries a change")
    assert (numbers is None) == (said is None)
    for number in numbers or ():
        assert number in (said or "")
    assert said is None or said.endswith("; so does each process that tries a change")
