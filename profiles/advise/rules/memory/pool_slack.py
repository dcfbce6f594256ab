"""``pool-slack``: TensorFlow's pool keeps much of what the pipeline freed."""

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

_SYSTEM: dict[str, str] = {"TF_ONEDNN_USE_SYSTEM_ALLOCATOR": "true"}


class PoolSlack(Rule):
    """Freed tensors that TensorFlow's pool does not return.

    Seen:
        At the peak, TensorFlow's pool held much memory in which there was no tensor: copies of sources that were freed,
        or gaps between tensors.

    Why:
        On x86, TensorFlow takes tensors above 256 KiB from a pool that never returns memory. After a dataset over a 400
        MB array was gone, the process kept 427 MB more than before it; with the system's allocator 8 MB. The peak falls
        only where the pool's gaps are a part of it, which a try shows.

    Fix:
        Set TF_ONEDNN_USE_SYSTEM_ALLOCATOR=true in the environment of the process, before it starts. Values stay the
        same. TF_ENABLE_ONEDNN_OPTS=0 does the same, but also switches off kernels, and the last digits of values
        change: pipeprof does not try it.

    Ignore when:
        The process builds one dataset and keeps it: the pool is used again.
    """

    name = "pool-slack"
    title = "Let TensorFlow return freed tensors to the system"
    family = "memory"
    semantics = "same"
    reports_untried = False
    thresholds = (SLACK_BYTES, SLACK_SHARE)

    def diagnose(self, view: PipelineView) -> Iterable[Proposal]:
        """Judge by the ledger of the peak."""
        nbytes = slack_bytes(view, "pool")
        wanted = not_set(view, _SYSTEM)
        if not wanted or not matters(view, nbytes):
            return
        yield Proposal(
            sentence=f"At the peak, TensorFlow's pool held {size(nbytes)} that no tensor used.",
            recommendation="Set TF_ONEDNN_USE_SYSTEM_ALLOCATOR=true in the environment of the process.",
            evidence={"slack_bytes": nbytes},
            edits=environment_edits(wanted),
            predicted=Prediction(f"at most -{size(nbytes)}", peak_rss_delta_bytes=-nbytes),
        )
