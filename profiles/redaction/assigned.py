"""Secrets that follow their name: ``password: x``, ``clientSecret=x``, ``--token x``, ``'PGPASSWORD': 'x'``."""

from __future__ import annotations

import re

from pipeprof.profiles.redaction.forms import HIDDEN
from pipeprof.profiles.redaction.names import strength
from pipeprof.profiles.redaction.words import words_of

_NAME = re.compile(
    r"(?<![\w.-])-{0,2}(?P<name>[A-Za-z_][\w.-]{0,99})"
    r"(?:\\?[\"']\]?\s{0,3}(?:=>|:=|==?|:)\s{0,3}|\s{0,3}(?:=>|:=|==?|:)\s{0,3}|(?P<flag>\s{1,3})(?=\S))"
)
_SPOKEN = re.compile(
    r"(?<![\w-])(?:api|access|account|secret|private|auth|authentication|authorization|bearer|client|connection|encryption"
    r"|refresh|security|session|shared|signing|storage|subscription|pass)"
    r"[ ](?:access\s)?(?:key|token|secret|string|phrase|code|cookie)s?[\"']?\s{0,3}[:=]\s{0,3}",
    re.IGNORECASE,
)
_SECOND = re.compile(r"[ ](?:key|token|secret|string|phrase|code|cookie)s?[\"']?\s{0,3}[:=]", re.IGNORECASE)
"""The second of the two words: what has none need not be searched for the first."""
_QUOTED = re.compile(
    r"[bBrRuUfF]{0,2}(?:\\\"(?P<a>(?:(?!\\\").)*?)(?:\\\"|$)|\"(?P<b>(?:[^\"\\\n]|\\.)*\\?)(?:\"|$)"
    r"|\\'(?P<c>(?:(?!\\').)*?)(?:\\'|$)|'(?P<d>(?:[^'\\\n]|\\.)*\\?)(?:'|$))",
    re.MULTILINE,
)
"""To its end, or to that of the line: nothing makes it fail, so nothing is read twice."""
_PLAIN = re.compile(r"(?:\(redacted\)|[^\s\"'<>,;&|\\)\]}])+")
_GROUPED = re.compile(r"[(\[][^()\[\]\n]{0,300}[\"'][^()\[\]\n]{0,300}[)\]]")
_SCHEME = re.compile(
    r"[\"']?(?:(?P<one>Basic|Bearer|Token|ApiKey|Api-Key|Negotiate|NTLM|SSWS|GoogleLogin|OAuth|Splunk|GenieKey|Bot|Key)"
    r"\s{1,3}(?:\(redacted\)|[^\s\"',;])+"
    r"|(?P<all>Digest|Hawk|AWS4-HMAC-SHA256|AWS|SharedKey(?:Lite)?|Signature|OAuth|SharedAccessSignature|GOOG4-\S+)"
    r"\s[^\n\"]{1,4000}|(?:\(redacted\)|[^\s\"',;])+)",
    re.IGNORECASE,
)
_CALL = re.compile(r"[A-Za-z_][\w.]*[(\[]")
_ATTRIBUTE = re.compile(r"(?:self|cls|os|args|config|settings|env|cfg|opts|options|ctx|sys|flags|FLAGS)\.[\w.]+")
_REFERENCE = re.compile(
    r"\$?\{.*|\$\(.*|\$[A-Z_][A-Z0-9_]*|%\(\w+\)?s?|%[a-z]|<[^<>]*>?|\*+|\.{3}|…|[(\[].*", re.DOTALL
)
_NO_VALUE = words_of(
    """
    none null nil true false undefined str bytes int float bool string text optional any object secretstr type
    required final missing invalid wrong incorrect not is was are expected unexpected empty unset set given and or
    the a an of for to in with from by if must see no yes default unknown denied expired rejected accepted valid
    changed needed in on at
    """
)
_METAVAR = re.compile(r"[A-Z][A-Z_]+$")
_MIXED = re.compile(r"\d|[a-z][A-Z][a-z]*[A-Z]|[^\w.,:;!?-]")
_ALNUM = re.compile(r"[A-Za-z0-9]")
_SECRET_TYPE = re.compile(r"Secret[A-Z][a-z]+")
_LEAST = 6
_LOOK = 8
_LONG, _SOME, _MANY = 16, 3, 16
"""Characters of a token after a word, digits that it has, and digits of one without letters."""


def hide_assigned(text: str) -> str:
    """A text without values that follow the name of a secret."""
    parts: list[str] = []
    position = 0
    for found in _NAME.finditer(text):
        if found.start() < position:
            continue
        name = found["name"]
        sure = strength(name)
        if not sure:
            continue
        flag = found["flag"] is not None
        if flag and not text.startswith("-", found.start()):
            end = _end_of_spaced(text, found.end(), name, sure=sure)
        else:
            end = _end_of_value(text, found.end(), name, sure=sure, separator=found[0][-4:], flag=flag)
        if end is not None:
            parts += [text[position : found.end()], HIDDEN]
            position = end
    return _hide_spoken("".join(parts) + text[position:])


def _hide_spoken(text: str) -> str:
    if _SECOND.search(text) is None:
        return text
    parts: list[str] = []
    position = 0
    for found in _SPOKEN.finditer(text):
        if found.start() < position:
            continue
        end = _end_of_value(text, found.end(), "secret", sure=3, separator=":", flag=False)
        if end is not None:
            parts += [text[position : found.end()], HIDDEN]
            position = end
    return "".join(parts) + text[position:]


def _end_of_value(text: str, at: int, name: str, *, sure: int, separator: str, flag: bool) -> int | None:
    """End of a value to hide; None if it is no secret."""
    if name.lower().endswith("authorization"):
        return _end_of_scheme(text, at)
    quoted = _QUOTED.match(text, at)
    if quoted is not None:
        value = next((one for one in quoted.group("a", "b", "c", "d") if one is not None), "")
        likely = _is_sure(sure) or (_ALNUM.search(value) is not None if sure > 1 else _looks_secret(value))
        return quoted.end() if likely and _is_value(value, name) else None
    grouped = _GROUPED.match(text, at)
    if grouped is not None:
        return grouped.end() if _is_sure(sure) or "auth" in name.lower() else None
    plain = _PLAIN.match(text, at)
    if plain is None or plain[0].startswith(HIDDEN):
        return plain.end() if plain else None
    glued = separator.endswith("=") and not flag
    return plain.end() if _is_plain_value(plain[0], name, sure=sure, flag=flag, glued=glued) else None


def _end_of_spaced(text: str, at: int, name: str, *, sure: int) -> int | None:
    """End of a value after a space alone, as in ``api_key 0123abcd``: words are no values."""
    plain = _PLAIN.match(text, at)
    if plain is None or sure == 1:
        return None
    digits = sum(map(str.isdigit, plain[0]))
    if "_" in name:
        likely = len(plain[0]) >= _LEAST and digits and (digits >= _MANY or _looks_secret(f"{plain[0]:_<{_LOOK}}"))
    else:
        likely = len(plain[0]) >= _LONG and digits >= _SOME and plain[0].isalnum()
    return plain.end() if likely and not plain[0].startswith(HIDDEN) and _is_value(plain[0], name) else None


def _end_of_scheme(text: str, at: int) -> int | None:
    """End of a value of the header ``Authorization``: a scheme with its parameters, or a token alone."""
    found = _SCHEME.match(text, at)
    if found is None:
        return None
    word = found[0].strip("\"'")
    named = found["one"] is not None or found["all"] is not None
    return found.end() if named or (len(word) >= _LEAST and _MIXED.search(word)) else None


def _is_plain_value(value: str, name: str, *, sure: int, flag: bool, glued: bool) -> bool:
    """Whether a value without quotes is one, and neither code nor the next word of a sentence.

    Args:
        flag: The name is an option, and a space is between them.
        glued: An equals sign is between them, without a space.
    """
    if not _is_value(value, name) or _ATTRIBUTE.fullmatch(value.rstrip(".")) or _CALL.match(value):
        return False
    if flag and (value.startswith("-") or _METAVAR.match(value)):
        return False
    if sure == 1:
        return _looks_secret(value)
    mixed = len(value) >= _LEAST and _MIXED.search(value) is not None and _ALNUM.search(value) is not None
    return _is_sure(sure) or glued or mixed


def _is_sure(sure: int) -> bool:
    return sure == 3


def _looks_secret(value: str) -> bool:
    return len(value) >= _LOOK and any(map(str.isalpha, value)) and any(map(str.isdigit, value))


def _is_value(value: str, name: str) -> bool:
    stripped = value.strip().rstrip(".,:;!?")
    lower = stripped.lower()
    if not stripped or lower in _NO_VALUE or lower in {name.lower(), name.lower().rpartition(".")[2]}:
        return False
    if _SECRET_TYPE.fullmatch(stripped):
        return False
    return _REFERENCE.fullmatch(stripped) is None or stripped.startswith(HIDDEN)
