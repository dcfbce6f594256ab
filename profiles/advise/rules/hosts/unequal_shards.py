"""``unequal-shards``: hosts that get much more data than others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pipeprof.profiles.advise.rule import Rule, Threshold
from pipeprof.profiles.document.sharding import HostShare, Sharding
from pipeprof.profiles.propose.proposal import Proposal
from pipeprof.profiles.view.view import PipelineView
from pipeprof.profiles.wording import percent, size


class UnequalShards(Rule):
    """Files that do not divide evenly.

    Seen:
        With --hosts, each host gets its own files, and the host with the most data gets more than its part: the number
        of files is no multiple of the number of hosts, or their sizes differ. It is judged by records where they can
        be counted, else by bytes, else by files.

    Why:
        Every step waits for all hosts. The host with the most records decides how many steps an epoch has; the others
        train on empty batches when theirs have ended, or the epoch ends early and the rest is never read. With one
        large file of six, three hosts did 260 steps in place of 100.

    Fix:
        Write the data as files of one size, as many as a multiple of the number of hosts: deal the records out to the
        files in turns. The order of the files then does not matter.

    Ignore when:
        The pipeline repeats without end and an epoch has a given number of steps: then some data are seen more often,
        and no host waits.
    """

    name = "unequal-shards"
    title = "Give every host the same amount of data"
    family = "correctness"
    semantics = "values"
    about_hosts = True
    yields_to = ("too-few-files",)
    thresholds = (
        Threshold(
            "largest-share",
            1.1,
            "times the mean",
            "of the host with the most: an epoch has so many times the steps of one with equal parts",
        ),
    )

    def check(self, view: PipelineView) -> Iterable[Proposal]:
        """Judge by the parts of the hosts."""
        told = view.sharding
        if told is None or told.applied not in ("FILE", "own") or told.fails is not None:
            return
        judged = _judged(told.shares)
        if judged is None:
            return
        unit, amounts = judged
        mean = sum(amounts) / len(amounts)
        most = max(amounts)
        if not mean or most / mean < self.threshold("largest-share"):
            return
        host = amounts.index(most)
        yield Proposal(
            stage=told.at[0] if told.at else None,
            sentence=_sentence(told, unit, amounts, host),
            recommendation=(
                f"Write the data as files of one size, their number a multiple of {told.hosts:,}: deal the records out"
                " to the files in turns."
            ),
            evidence={
                "hosts": told.hosts,
                "largest_over_mean": most / mean,
                f"most_{unit}": most,
                f"least_{unit}": min(amounts),
                **({"files": told.files} if told.files is not None else {}),
            },
        )


def _judged(shares: Sequence[HostShare]) -> tuple[str, list[int]] | None:
    """What is compared, and how much of it each host gets."""
    for unit in ("records", "bytes", "files"):
        amounts = [getattr(share, unit) for share in shares]
        if amounts and None not in amounts:
            return unit, amounts
    return None


def _sentence(told: Sharding, unit: str, amounts: Sequence[int], host: int) -> str:
    most, mean = amounts[host], sum(amounts) / len(amounts)
    texts = {"bytes": size(most), "records": f"{most:,} records", "files": f"{most:,} files"}
    steps = [share.steps for share in told.shares if share.steps is not None]
    ends = ""
    if len(steps) == len(told.shares) and max(steps) > min(steps):
        ends = f" An epoch has {max(steps):,} steps there and {min(steps):,} on the host with the fewest."
    return (
        f"Host {host} of {told.hosts:,} gets {texts[unit]}, {most / mean:.3g} times the mean:"
        f" {percent(most / sum(amounts))} of the data.{ends} Every step waits for all hosts."
    )
