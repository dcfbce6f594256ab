"""Sentences on memory that grows: a leak of a run, and what a soak has shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeprof.profiles.wording import grows, size

if TYPE_CHECKING:
    from pipeprof.profiles.document.memory import Memory, Soak, SoakEnd

OWNERS: dict[str | None, str] = {
    "stages": "the pipeline's stages hold what stays",
    "python": "Python's heap grows",
    "rest": "it is neither in Python's heap nor in the pipeline's buffers, but TensorFlow's or another library's",
    None: "the run ended before what grows was looked for",
}
_GREW = {
    "filling": ", held by the pipeline's stages, caches and buffers that fill: soak longer to see a plateau.",
    "garbage": ", and Python's garbage collector freed it in the end: objects that refer to each other stay until it "
    "runs. gc.collect() after an epoch frees them.",
    "unclear": " within a few epochs, which is no evidence of a leak: soak longer.",
}
"""What became of a growth that is no leak for certain, by state."""
_DAY, _HOUR, _MINUTE = 86_400.0, 3600.0, 60.0


def leak_text(memory: Memory) -> str:
    """State a leak: growth of memory in the measured steps, and the evidence; empty where there is none."""
    growth = memory.growth
    if growth is None or not growth.leak:
        return ""
    if memory.soak is not None:
        return memory.soak.sentence
    words, grown, over = grows(growth), growth.in_use_bytes or growth.bytes, ""
    if grown and growth.steps:
        over = f": {size(grown)} over the last {growth.steps:,} step{'' if growth.steps == 1 else 's'}"
    return f"{words[0].upper()}{words[1:]}{over}. `pipeprof run --soak 5m` shows what grows and when memory runs out."


def soak_text(soak: Soak) -> str:
    """State plateau or growth, what grows and when memory ends."""
    amount = f" by {_rate(soak)}" if soak.bytes_per_second else ""
    ends = f" {_end_text(soak.ends)}" if soak.ends is not None else ""
    if soak.state == "growth":
        low, high = size(max(0.0, soak.low or 0.0) * _HOUR), size(max(0.0, soak.high or 0.0) * _HOUR)
        return f"Memory grows{amount} ({low} to {high} in an hour): {OWNERS[soak.owner]}.{ends}"
    if soak.state == "plateau":
        return "Memory in use: plateau."
    if soak.state == "slow":
        lasts = f" Memory lasts for {duration_text(soak.ends.seconds)}." if soak.ends is not None else ""
        return f"Memory in use grows{amount}, which is too slow to matter.{lasts}"
    if soak.state in _GREW:
        return f"Memory in use grew{amount}{_GREW[soak.state]}{ends}"
    return f"The soak of {duration_text(soak.seconds)} was too short to tell plateau from growth: soak longer."


def _rate(soak: Soak) -> str:
    if soak.bytes_per_epoch is not None:
        return f"{size(max(0.0, soak.bytes_per_epoch))} in each epoch"
    return f"{size(max(0.0, soak.bytes_per_second or 0.0) * _HOUR)} in an hour"


def _end_text(ends: SoakEnd) -> str:
    low, high = duration_text(ends.low), duration_text(ends.high)
    about = duration_text(ends.seconds)
    return f"Memory runs out in about {about} at this rate ({low} to {high}; limit {size(ends.limit_bytes)})."


def duration_text(seconds: float) -> str:
    """Write a duration in two units.

    Example:
        >>> duration_text(12_030), duration_text(75), duration_text(9), duration_text(200_000)
        ('3 h 20 min', '1 min 15 s', '9 s', '2 d 8 h')
    """
    for unit, name, part, small in ((_DAY, "d", _HOUR, "h"), (_HOUR, "h", _MINUTE, "min"), (_MINUTE, "min", 1.0, "s")):
        if seconds >= unit:
            parts = round(seconds / part)
            whole, rest = divmod(parts, round(unit / part))
            return f"{whole:,} {name} {rest} {small}" if rest else f"{whole:,} {name}"
    return f"{seconds:.0f} s"
