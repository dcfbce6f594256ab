"""``heap-slack``: glibc's heap keeps much of what was freed."""

from __future__ import annotations

from collections.abc import Iterable

from pipeprof.profiles.advise.environment import (
    SLACK_BYTES,
    SLACK_SHARE,
    environment_edits,
    matters,
    not_set,
    slack_bytes,
)
from pipeprof.profiles.advise.rule import Rule
from pipeprof.profiles.propose.proposal import Prediction, Proposal
from pipeprof.profiles.view.view import PipelineView
from pipeprof.profiles.wording import size

_GLIBC: dict[str, str] = {"MALLOC_ARENA_MAX": "2", "MALLOC_TRIM_THRESHOLD_": "131072"}


class HeapSlack(Rule):
    """Freed memory in glibc's arenas.

    Seen:
        At the peak, glibc's heap held much memory that nothing used any more.

    Why:
        glibc keeps what is freed in arenas, up to eight for each core, and returns it only from their ends. Strings and
        small tensors of many threads leave gaps there. On 2 cores MALLOC_ARENA_MAX made no difference (579 and 575 MB),
        on machines with many cores it can: a try shows it.

    Fix:
        Set MALLOC_ARENA_MAX=2 and MALLOC_TRIM_THRESHOLD_=131072 in the environment of the process, before it starts;
        or, where jemalloc or tcmalloc is installed, load it first with LD_PRELOAD. Values stay the same.

    Ignore when:
        The process is about to use the memory again.
    """

    name = "heap-slack"
    title = "Let the allocator return freed memory"
    family = "memory"
    semantics = "same"
    reports_untried = False
    thresholds = (SLACK_BYTES, SLACK_SHARE)

    def diagnose(self, view: PipelineView) -> Iterable[Proposal]:
        """Judge by the ledger of the peak."""
        nbytes, library = slack_bytes(view, "heap"), view.facts.allocator if view.facts is not None else None
        wanted = not_set(view, {"LD_PRELOAD": library} if library is not None else _GLIBC)
        if not wanted or not matters(view, nbytes) or "LD_PRELOAD" in (view.facts.environment if view.facts else ()):
            return
        words = " and ".join(f"{name}={value}" for name, value in wanted.items())
        yield Proposal(
            sentence=f"At the peak, glibc's heap held {size(nbytes)} that nothing used any more.",
            recommendation=f"Set {words} in the environment of the process.",
            evidence={"slack_bytes": nbytes},
            edits=environment_edits(wanted),
            predicted=Prediction(f"at most -{size(nbytes)}", peak_rss_delta_bytes=-nbytes),
        )
