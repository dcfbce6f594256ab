"""Disturbed measurements: other processes took cores while the worker's threads waited for one.

Waiting alone says little: a thread that wakes up on a free core waits as well, and so do more threads of the worker
than there are cores. Other processes alone say little either, if the worker had its core at any time. What the worker
lost to them is at most the smaller of the two: the cores that they used, and its threads that waited for one; and of
that the part of the cores that was in use: a thread does not wait for another process while a core is free.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeprof.profiles.constants import DISTURBED_FROM
from pipeprof.profiles.document.messages import Message
from pipeprof.profiles.time.limits.cores import cores_in_use, cores_were_free, scheduled_on
from pipeprof.profiles.wording import cores_text, percent

if TYPE_CHECKING:
    from pipeprof.profiles.document.shared import Contention
    from pipeprof.profiles.document.subject import Host

DISTURBED = "disturbed"
"""Code of the warning."""


@dataclass(frozen=True)
class Disturbance:
    """Other users of the cores.

    Attributes:
        waited: Of the time in which the worker's threads wanted a core, the part without one.
    """

    who: str
    waited: float

    def message(self) -> Message:
        """Write the warning."""
        who = f"{self.who[0].upper()}{self.who[1:]}"
        text = (
            f"{who}, and the worker's threads waited for a core {percent(self.waited)} of the time in which they "
            "wanted one: times are too long, and shares and findings may be wrong. Measure again on a free machine."
        )
        return Message(code=DISTURBED, message=text)


def lost_cores(contention: Contention | None, host: Host) -> float | None:
    """Return the cores that the worker's threads waited for while other processes used them, at most.

    `None` where the system does not count them.
    """
    if contention is None:
        return None
    used, waited, others = contention.worker_cores, contention.runnable_wait_share, contention.others_cores
    if used is None or others is None or waited is None or not waited < 1:
        return None
    if cores_were_free(contention, scheduled_on(host)):
        return 0.0
    # A core that others use is lost only while no other one is free.
    in_use = cores_in_use(contention, scheduled_on(host))
    return (1.0 if in_use is None else in_use) * min(others, used * waited / (1 - waited))


def find_disturbance(contention: Contention | None, host: Host) -> Disturbance | None:
    """Find out whether other processes made the measurement much slower.

    Cores that one thread lost are the part of the time for which it stood still; of several threads, what counts is
    the part of all the CPU time that they wanted.

    Args:
        host: For the cores that the worker may run on.
    """
    if contention is None:
        return None
    waited = contention.runnable_wait_share or 0.0
    stolen = contention.steal_share or 0.0
    if stolen >= DISTURBED_FROM:
        return Disturbance(f"the hypervisor took {percent(stolen)} of the CPU time", waited)
    lost, used = lost_cores(contention, host), contention.worker_cores
    if lost is None or used is None or lost < DISTURBED_FROM * max(1.0, used + lost):
        return None
    others = min(contention.others_cores or 0.0, scheduled_on(host))
    return Disturbance(f"other processes used {others:.1f} of {cores_text(scheduled_on(host))}", waited)
