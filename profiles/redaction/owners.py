"""Names of the user and the host in texts: as a word, as a part of one, and where only a name can stand."""

from __future__ import annotations

import re
from collections.abc import Iterable

from pipeprof.profiles.redaction.forms import HIDDEN
from pipeprof.profiles.redaction.words import COMMON, words_of

_PUBLIC = words_of(
    """
    root user runner localhost ubuntu debian admin docker vagrant jovyan vscode codespace ec2-user
    """
) | {"nobody"}
"""Names of no person: images and services give them to all."""
_PART = 3
"""Letters of a name that is hidden as a part of words, too."""
_SMALL = words_of(
    """
    ad ai am an as at be by bs cd cm co cp cv db de di do dt el en ex fn fp fs gb go gs he hi hz id if ii im in io
    ip is it iv js kb la le lr ls me mb ml ms mv my na nb nd ng nn no np ns of ok on op or os pb pd ps pt px py qa
    re rm rx sh so st tb tf th ti to tx ui uk um up us ux vi vs wd we xs
    """
)
"""Units, articles and usual abbreviations."""
_STRONG = (
    r"(?<![\w.-]){name}(?=@[\w.-])",
    r"(?<=[\w.-]@){name}(?![\w-])",
    r"(?<=//){name}(?=[:/@])",
    *(
        rf"(?<=\b{key}){{name}}(?![\w-])"
        for key in ("host=", "hostname=", "user=", "username=", "logname=", "hostname: ", "username: ")
    ),
)
"""Places where only the name of a user or a host can stand."""


def pattern_of(names: Iterable[str]) -> re.Pattern[str] | None:
    """The pattern of names in texts; None for none that says anything.

    Names of three letters and more are found in any case and as parts of longer words (``ada_ds``, ``ada-bucket``);
    shorter ones as words of their own; one letter, and words that reports are full of, only where nothing but the name
    of a user or a host can stand (``ada@h``, ``host=h``).
    """
    listed: dict[str, None] = {}
    for name in sorted({name for name in names if name}, key=len, reverse=True):
        lower, word = name.lower(), re.escape(name)
        if lower in _PUBLIC or lower == HIDDEN.strip("()"):
            continue
        if len(name) >= _PART and lower not in COMMON:
            listed[rf"(?<![A-Za-z0-9])(?i:{word})(?![A-Za-z0-9])"] = None
        elif len(name) == 2 and lower not in _SMALL:
            listed[rf"(?<![\w.-]){word}(?![\w-])"] = None
        else:
            listed.update(dict.fromkeys(f"(?i:{place.format(name=word)})" for place in _STRONG))
    return re.compile("|".join(listed)) if listed else None
