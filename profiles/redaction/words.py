"""Ordinary values: numbers, and words of the language of specs and reports. Hiding them would shred a report."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path


def words_of(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


COMMON = words_of(Path(__file__).with_name("words.txt").read_text(encoding="utf-8"))
"""Words that people name users, hosts, folders and variables' values with, and that reports are full of."""
_PARTS = 3
_NUMBER = re.compile(
    r"[+-]?(?:0[xXoObB][0-9a-fA-F_]{1,16}|(?:\d[\d_,x]*\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?\s?(?:[A-Za-z]{1,3}|%|ms/step)?)"
    r"|[vV]?\d{1,4}(?:[.:/-]\d{1,5}){1,5}(?:[ T]\d{1,2}:\d\d(?::\d\d(?:\.\d{1,6})?)?)?Z?"
)
"""A number with a unit, a size, a date, a time or a version."""
_LETTERS = re.compile(r"[A-Za-z]+")
_DIGITS = re.compile(r"\d{4,}")


def is_ordinary(value: str, *, secret: bool) -> bool:
    """Whether a value may stand in a report: a number, or words of the language.

    Args:
        secret: The variable is named as secrets are: then only one word is ordinary, and no digits follow it.

    Example:
        >>> is_ordinary("spec.yaml", secret=False), is_ordinary("projectx-9931", secret=False)
        (True, False)
    """
    if _NUMBER.fullmatch(value):
        return True
    parts = _LETTERS.findall(value)
    if secret:
        return parts == [value] and _is_word(value)
    # Letters that are no word, next to digits and signs, are what secrets are made of.
    long = [part for part in parts if len(part) > 2]
    few = 0 < len(parts) <= _PARTS and 0 < len(long) >= len(parts) - 1
    return few and value.isascii() and not _DIGITS.search(value) and all(map(_is_word, long))


def _is_word(word: str) -> bool:
    return word.lower() in COMMON or word.lower() in _language()


@cache
def _language() -> frozenset[str]:
    """The words of the schemas of specs and profiles; made only for a value that is nothing but words."""
    from pipeprof.pipelines.spec.schema import spec_schema
    from pipeprof.profiles.document.profile import Profile

    texts = (json.dumps(schema) for schema in (spec_schema(), Profile.model_json_schema()))
    return frozenset(word for text in texts for word in _LETTERS.findall(text.lower()) if len(word) > 2)
