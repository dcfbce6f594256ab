"""What a soak shows, in one or two sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeprof.profiles.wording import size

if TYPE_CHECKING:
    from pipeprof.profiles.document.memory import Soak, SoakEnd

ADVICE: dict[str | None, str] = {
    "stages": "Bound what the pipeline holds: a smaller shuffle, or a cache of data that has an end.",
    "python": "Keep numbers instead of arrays, limit how many are kept, or write them to a file; Python's tracemalloc "
    "names the lines that made them.",
    "rest": "Keep no iterator, dataset, tf.function or tensor of an epoch that is over (float(loss), not loss); memray "
    "names what allocates the memory of a library.",
    None: "Let the soak finish: its last part looks for what grows.",
}
"""What to do, by what grows."""
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


def soak_text(soak: Soak) -> str:
    """State plateau or growth, what grows and when memory ends."""
    if soak.state == "growth":
        words = soak_words(soak)
        ends = f" {_end_text(soak.ends)}" if soak.ends is not None else ""
        return f"{words[0].upper()}{words[1:]}.{ends}"
    if soak.state == "plateau":
        return f"Memory in use: plateau{_since(soak)}."
    return _no_answer(soak)


def _no_answer(soak: Soak) -> str:
    """State a growth that is no leak, or not yet."""
    amount = f" by {_rate(soak)}" if soak.bytes_per_second else ""
    if soak.state == "slow":
        lasts = f" Memory lasts for {duration_text(soak.ends.seconds)}." if soak.ends is not None else ""
        return f"Memory in use grows{amount}, which is too slow to matter.{lasts}"
    if soak.state in _GREW:
        ends = f" {_end_text(soak.ends)}" if soak.ends is not None else ""
        return f"Memory in use grew{amount}{_GREW[soak.state]}{ends}"
    return f"The soak of {duration_text(soak.seconds)} was too short to tell plateau from growth: soak longer."


def soak_words(soak: Soak) -> str:
    """State a growth and what grows, without its end."""
    low, high = size(max(0.0, soak.low or 0.0) * _HOUR), size(max(0.0, soak.high or 0.0) * _HOUR)
    return f"memory grows by {_rate(soak)} ({low} to {high} in an hour): {OWNERS[soak.owner]}"


def _since(soak: Soak) -> str:
    if soak.since_epoch is not None:
        return f" after epoch {max(1, soak.since_epoch)}"
    return f" after {duration_text(soak.since_seconds)}" if soak.since_seconds else ", from the end of the warm-up on"


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
