"""What a soak shows, in one or two sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeprof.profiles.wording import size

if TYPE_CHECKING:
    from pipeprof.profiles.document.memory import Soak, SoakEnd, SoakOwner

ADVICE = {
    "iterators": "Keep no iterator of an epoch that is over: let the next one take its place.",
    "datasets": "Build the dataset once, before the first epoch, or keep none of the old ones.",
    "traces": "Pass tensors to the tf.function, not Python values that change; give it an input_signature.",
    "python": "Keep numbers instead of arrays, limit how many are kept, or write them to a file.",
    "tensors": "Keep numbers instead of tensors: float(loss), not loss.",
    "native": "Look for a library outside of Python that keeps memory, e.g. with another version of it.",
    "unknown": "Let the soak finish: its last part looks for what is kept and where it is made.",
}
"""What to do, by owner."""
_MADE_ANEW = "Make the tf.function once, before the loop, and keep none of the old ones."
_GREW = {
    "filling": " while the pipeline's buffers filled: soak longer to see a plateau.",
    "garbage": ", and Python's garbage collector freed it in the end: objects that refer to each other stay until it "
    "runs. gc.collect() after an epoch frees them.",
    "unclear": " within a few epochs, which is no evidence of a leak: soak longer.",
}
"""What became of a growth that is no leak for certain, by state."""
_EACH = 0.75
"""Objects in an epoch from which there is one in each."""
_DAY, _HOUR, _MINUTE = 86_400.0, 3600.0, 60.0


def soak_text(soak: Soak) -> str:
    """State plateau or growth, the owner and when memory ends."""
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
        return f"Memory in use grew{amount}{_GREW[soak.state]}"
    return f"The soak of {duration_text(soak.seconds)} was too short to tell plateau from growth: soak longer."


def soak_words(soak: Soak) -> str:
    """State a growth with its owner, without its end."""
    low, high = size(max(0.0, soak.low or 0.0) * _HOUR), size(max(0.0, soak.high or 0.0) * _HOUR)
    owner = f": {owner_text(soak.owner)}" if soak.owner is not None else ""
    return f"memory grows by {_rate(soak)} ({low} to {high} in an hour){owner}"


def _since(soak: Soak) -> str:
    if soak.since_epoch is not None:
        return f" after epoch {max(1, soak.since_epoch)}"
    return f" after {duration_text(soak.since_seconds)}" if soak.since_seconds else ", from the end of the warm-up on"


def _rate(soak: Soak) -> str:
    if soak.bytes_per_epoch is not None:
        return f"{size(max(0.0, soak.bytes_per_epoch))} in each epoch"
    return f"{size(max(0.0, soak.bytes_per_second or 0.0) * _HOUR)} in an hour"


def is_made_anew(owner: SoakOwner) -> bool:
    """Whether what is traced again are tf.functions that are made again and again."""
    return (owner.objects or 0) > (owner.count or 0) / 2


def advice_of(owner: SoakOwner) -> str:
    """Return what to do about what an owner keeps."""
    return _MADE_ANEW if owner.owner == "traces" and is_made_anew(owner) else ADVICE[owner.owner]


def owner_text(owner: SoakOwner) -> str:
    """Name the owner of a growth, with the user's line."""
    place = f"{owner.location.file}:{owner.location.line}" if owner.location is not None else ""
    each = "" if owner.per_epoch is None else f", {_more(owner.per_epoch)}"
    if owner.allocated is not None and owner.allocated != owner.location:
        each += f"; a good part of what stays is allocated at {owner.allocated.file}:{owner.allocated.line}"
    if owner.owner == "iterators":
        where = f" made at {place}" if place else ""
        return f"{owner.count or 0:,} iterators{where} are kept{each}"
    if owner.owner == "datasets":
        where = f" iterated at {place}" if place else ""
        return f"{owner.count or 0:,} datasets{where} are kept{each}"
    if owner.owner == "traces":
        made = f"{owner.objects or 0:,} tf.functions {owner.function} (made at {place}) are kept"
        traced = f"the tf.function {owner.function} ({place}) was traced {owner.count or 0:,} times"
        return f"{made if is_made_anew(owner) else traced}{each}"
    if owner.owner in ("python", "tensors"):
        what = "tensors" if owner.owner == "tensors" else "Python objects"
        inside = ", in a function that the pipeline calls" if owner.in_pipeline else ""
        return f"{what} made at {place} are kept{inside}"
    if owner.owner == "native":
        return "no line of Python keeps it: it is memory of a library outside of Python"
    return "the run ended before its owner was looked for"


def _more(per_epoch: float) -> str:
    """State how many more there are after each epoch, a pass over the dataset. A loop may make several.

    Example:
        >>> _more(1.04), _more(0.2)
        ('1 more in each epoch', '1 more in every 5 passes over the data')
    """
    if per_epoch >= _EACH:
        return f"{per_epoch:.2g} more in each epoch"
    return f"1 more in every {1 / per_epoch:.2g} passes over the data"


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
