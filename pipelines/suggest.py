"""Suggestions for misspelled names, values and paths."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import Final

CUTOFF: Final = 0.7
_LONGEST: Final = 80
_SHORTEST_START: Final = 4


def suggest(got: object, candidates: Iterable[str]) -> str | None:
    """Return the candidate that ``got`` probably meant, or ``None``.

    Letter case and separators count for nothing; of a dotted name (``tf.io.read_file``) the last part alone is enough
    if only one candidate ends with it; else the spelling decides.

    Example:
        >>> suggest("num_paralel_calls", ["name", "num_parallel_calls", "deterministic"])
        'num_parallel_calls'
    """
    names = list(dict.fromkeys(candidates))
    text = str(got)[:_LONGEST]
    plain = _plain(text)
    if not plain or text in names:
        return None
    by_plain = {_plain(name): name for name in reversed(names)}
    if plain in by_plain:
        return by_plain[plain]
    last = _plain(text.rpartition(".")[2])
    same_end = [name for name in names if _plain(name.rpartition(".")[2]) == last]
    if len(same_end) == 1:
        return same_end[0]
    # What its module is called makes no name alike.
    ends = {name: _plain(dotted.rpartition(".")[2]) for name, dotted in by_plain.items() if "." in dotted}
    close_ends = difflib.get_close_matches(last, {*ends.values()}, n=len(ends) or 1, cutoff=CUTOFF)
    alike = [name for name in by_plain if name not in ends or ends[name] in close_ends]
    longer = [name for name in by_plain if len(plain) >= _SHORTEST_START and name.startswith(plain)]
    close = _closest(plain, alike) or (longer[0] if len(longer) == 1 else None)
    return by_plain[close] if close else None


def suggest_path(got: str, candidates: Iterable[str]) -> str | None:
    """Return the path that ``got`` probably meant.

    Example:
        >>> suggest_path("in/trian.csv", ["test.csv", "train.csv"])
        'in/train.csv'
    """
    names = list(candidates)
    got = got.strip("“”‘’«»")
    folder, slash, name = got.rpartition("/")
    if any("/" in candidate for candidate in names):
        folder, slash, name = "", "", got
    others = [other for other in names if other != name]
    close = _closest(name, others)
    return f"{folder}{slash}{close}" if close else None


def did_you_mean(got: str, candidates: Iterable[str]) -> str:
    """Return `` — did you mean X?``, or an empty text when no candidate is close.

    Example:
        >>> did_you_mean("trian", ["train", "test"])
        ' — did you mean train?'
    """
    close = _closest(got, [candidate for candidate in candidates if candidate != got])
    return f" — did you mean {close}?" if close else ""


def _closest(text: str, names: list[str]) -> str | None:
    return next(iter(difflib.get_close_matches(text[:_LONGEST], names, n=1, cutoff=CUTOFF)), None)


def _plain(text: str) -> str:
    return re.sub(r"[\s_.\-]+", "", text).lower()
