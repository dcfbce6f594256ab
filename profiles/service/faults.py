"""What is wrong with a tf.data service, in words: why a pipeline that reads from one gets no element."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from pipeprof.pipelines.tables import read_table
from pipeprof.profiles.document.shared import ErrorFrame
from pipeprof.profiles.service.ask import ServiceState, split_address
from pipeprof.profiles.wording import as_typed, listed


@dataclass(frozen=True)
class Symptom:
    """Row of the table of TensorFlow's messages.

    Attributes:
        said: Matches the message; its groups go into the sentence.
        cause: The sentence, without a full stop.
    """

    said: re.Pattern[str]
    cause: str


@cache
def _faults() -> tuple[Symptom, ...]:
    rows: Sequence[Mapping[str, str]] = read_table("pipeprof.profiles.service", "faults")
    return tuple(Symptom(re.compile(row["said"], re.DOTALL), row["cause"]) for row in rows)


def cause_of_error(message: str, python: Sequence[ErrorFrame] = ()) -> str | None:
    """The cause behind an error of TensorFlow's about a service; None where it is about something else.

    Args:
        message: All of it, not only its first line.
        python: Where stages call Python that the workers would have to run.
    """
    for fault in _faults():
        found = fault.said.search(message)
        if found is not None:
            places = [f"{frame.function} ({as_typed(frame.file)}:{frame.line})" for frame in python]
            return fault.cause.format(*found.groups(), python=listed(places or ["a stage before distribute"]))
    return None


def cause_of_silence(state: ServiceState) -> str:
    """Why no element comes from a service that reports no error, without a full stop.

    TensorFlow waits for ever in all of these cases.
    """
    at = f"the tf.data service at {state.address}"
    if not state.listens:
        nothing = "nothing listens at" if split_address(state.address) is not None else "no port is in"
        return f"{nothing} {state.address}, the address of the dispatcher of the tf.data service"
    if not state.asked:
        return f"{at} gives no element; who its workers are is unknown"
    if state.workers is None:
        return f"what listens at {state.address} does not answer as the dispatcher of a tf.data service does"
    if not state.workers:
        return f"no worker is registered at the dispatcher of {at}: start one with its address"
    if state.gone or state.silent:
        gone = [f"nothing listens at {name} any more" for name in state.gone]
        silent = [
            f"{name} accepts connections but does not answer (stopped, or without a core?)" for name in state.silent
        ]
        lost = len(state.gone) + len(state.silent)
        return (
            f"{lost} of {len(state.workers)} workers of {at} {'is' if lost == 1 else 'are'} lost, and TensorFlow waits "
            f"for ever for the rest of what they had: {listed([*gone, *silent])}"
        )
    # They were asked after the pipeline had waited for all of its time: on a busy machine an element may be on its way.
    answer = "its worker answers" if len(state.workers) == 1 else f"all of its {len(state.workers)} workers answer"
    return f"{at} gave no element in this time, though {answer}: an element may take longer (--timeout)"
