"""Growth of a build, told from a certain size on."""

from __future__ import annotations

from pipeprof.profiles.protocol.channel import Changes
from pipeprof.profiles.worker.services import SEND_BYTES, BuildWatch


def test_growth_is_told_once_for_each_step_of_it() -> None:
    resident = iter([SEND_BYTES, 2 * SEND_BYTES - 1, 2 * SEND_BYTES, 2 * SEND_BYTES + 1, None, 3 * SEND_BYTES])
    sent: list[Changes] = []
    watch = BuildWatch(lambda **changes: sent.append(changes), lambda: next(resident))
    told = []
    for _ in range(5):
        watch.look()
        told.append(len(sent))

    assert told == [0, 1, 1, 1, 2]
    assert sent == [{"grows": True}] * 2
