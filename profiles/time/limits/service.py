"""The tf.data service that a pipeline reads from, as a stage, and as what it waits for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeprof.pipelines.graph.read.service import UNKNOWN, service_facts
from pipeprof.profiles.document.stages import Service

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pipeprof.pipelines.graph.stages import Node
    from pipeprof.profiles.document.stages import Stage

WAITS_FROM = 0.50
"""Share of the waiting that is the service's, from which nothing else of this process is named as the limit."""


def service_of(nodes: Iterable[Node], requests: float | None = None) -> Service | None:
    """The service that the datasets of a stage read from; None where none does.

    Args:
        requests: Requests at a time, as TensorFlow chose them.
    """
    node = next((node for node in nodes if node.traits.remote), None)
    if node is None:
        return None
    facts = service_facts(node.arguments)
    packed = node.arguments.get("compression", UNKNOWN)
    return Service(
        address=facts.address,
        processing_mode=facts.mode,
        job_name=facts.job_name,
        consumer_index=facts.consumer_index,
        num_consumers=facts.num_consumers,
        cross_trainer_cache=facts.cross_trainer_cache,
        target_workers=facts.target_workers,
        max_outstanding_requests=facts.max_outstanding_requests,
        requests=requests,
        compression=None if packed == UNKNOWN else packed or "NONE",
        known=bool(node.inputs),
    )


def describe_service(service: Service) -> str:
    """Name a service in a sentence, with its workers as far as they are known.

    Example:
        >>> describe_service(Service(address="localhost:7500", workers=2))
        'the tf.data service at localhost:7500 (2 workers)'
    """
    workers = "" if service.workers is None else f" ({service.workers:,} worker{'' if service.workers == 1 else 's'})"
    at = f" at {service.address}" if service.address else ""
    return f"the tf.data service{at}{workers}"


def service_words(service: Service) -> str:
    """What a row of a service says of it: how it shares the data, how elements travel, and what is not known of it."""
    requests = service.max_outstanding_requests or service.requests
    said = (
        describe_service(service).removeprefix("the "),
        service.processing_mode,
        f"job {service.job_name}" if service.job_name else None,
        f"consumer {service.consumer_index} of {service.num_consumers}" if service.num_consumers else None,
        "cross-trainer cache" if service.cross_trainer_cache else None,
        f"compression {service.compression}" if service.compression else None,
        f"{requests:g} requests at a time" if requests else None,
        None if service.known else "its stages are n/a: registered by another process",
    )
    return ", ".join(text for text in said if text)


def with_workers(stages: Sequence[Stage], workers: Mapping[str, int]) -> list[Stage]:
    """Return the stages with the workers of the services that they read from.

    Args:
        workers: That were started for the run, by the address of the dispatcher.
    """

    def known(stage: Stage) -> Stage:
        if stage.service is None:
            return stage
        service = stage.service.model_copy(update={"workers": workers.get(stage.service.address or "")})
        return stage.model_copy(update={"service": service, "executed": service_words(service)})

    return [known(stage) for stage in stages]


def waiting_stage(stages: Sequence[Stage] | None, waiting_ms: float) -> Stage | None:
    """The stage that waits for a service most of the time that is waited for data; None where none does.

    Args:
        waiting_ms: Of each step, for the next batch.
    """
    found = [stage for stage in stages or () if stage.service is not None]
    most = max(found, key=waits_ms, default=None)
    return most if most is not None and waits_ms(most) >= WAITS_FROM * waiting_ms > 0 else None


def waits_ms(stage: Stage) -> float:
    """Time per batch that the threads inside it were blocked, all of it where their states are not known."""
    return stage.blocked_ms_per_batch if stage.blocked_ms_per_batch is not None else stage.inside_ms or 0.0
