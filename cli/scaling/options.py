"""All options of ``pipeprof scale``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pipeprof.cli.options import SharedOptions, Target, Text, Texts, flag, format_of, option, out_of

PROCESSING_MODES = ("distributed_epoch", "parallel_epochs")


@dataclass(frozen=True, kw_only=True)
class ScaleOptions(SharedOptions):
    """All options of ``pipeprof scale``, as typed."""

    target: Target
    worker_cores: Annotated[Text, option("", "N", "Cores of each worker.  [default: those of this machine]")] = None
    workers: Annotated[Text, option("", "N", "Consider this many workers at most.  [default: 8]")] = None
    measure: Annotated[
        Text, option("", "N", "Measure all numbers of workers up to N.  [default: those that decide]")
    ] = None
    mode: Annotated[
        Text,
        option(
            "--processing-mode",
            "|".join(PROCESSING_MODES),
            "How workers share the data: each element comes from one of them in an epoch, or from each.  "
            "[default: distributed_epoch]",
        ),
    ] = None
    price: Annotated[
        Text, option("", "host=X,worker=Y", "What an hour of each costs: the cheapest number of workers is chosen.")
    ] = None
    link: Annotated[
        Text, option("", "RATE", "Bandwidth to the host that trains, e.g. 10Gbit.  [default: no limit]")
    ] = None
    predict_only: Annotated[bool, flag("--predict-only", "Measure the pipeline once, and nothing with workers.")] = (
        False
    )
    seconds: Annotated[Text, option("", "SECONDS", "Measure the pipeline as it is for this long.  [default: 4]")] = None
    budget: Annotated[
        Text,
        option(
            "",
            "SECONDS",
            "How long to measure with workers, and at most half as long for changes without any.  [default: 60]",
        ),
    ] = None
    no_verify: Annotated[bool, flag("--no-verify", "Do not look for changes that gain more without workers.")] = False
    out: Annotated[Texts, out_of("scale")] = None
    form: Annotated[Text, format_of("scale")] = None
