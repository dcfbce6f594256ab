"""Addresses of people and machines in texts: e-mail, IPv4, IPv6, MAC, and names that clouds and companies give."""

from __future__ import annotations

import re

from pipeprof.profiles.redaction.forms import HIDDEN
from pipeprof.profiles.redaction.words import words_of

_MAIL = re.compile(
    r"(?<![\w.+%-])(?!git@)[\w.+%-]{1,64}@(?!stages\.)(?:[A-Za-z0-9-]{1,63}\.){1,6}[A-Za-z]{2,24}(?![\w-]|\.\w)"
)
_IPV4 = re.compile(r"[0-9](?<![\w.].)[0-9]{0,2}\.(?:[0-9]{1,3}\.){2}[0-9]{1,3}(?![\w-]|\.\d)")
_IPV6 = re.compile(
    r"(?:[23][0-9a-fA-F]|[fF][c-fC-F])(?<![\w:.]..)[0-9a-fA-F]{2}(?::[0-9a-fA-F]{0,4}){2,7}(?:%\w{1,16})?(?![\w:])"
)
_MAC = re.compile(r"[0-9a-fA-F](?<![\w:-].)[0-9a-fA-F]:(?:[0-9a-fA-F]{2}:){4}[0-9a-fA-F]{2}(?![\w:-])")
_INSIDE = re.compile(
    r"(?<![\w.-])(?:[\w-]{1,63}\.){1,8}(?:compute\.internal|ec2\.internal|cluster\.local|svc|corp|lan|intranet|localdomain"
    r"|compute\.amazonaws\.com|rds\.amazonaws\.com|cache\.amazonaws\.com|cloudapp\.azure\.com|database\.windows\.net"
    r"|mongodb\.net|googleusercontent\.com)(?![\w-]|\.\w)"
    r"|(?<![\w.-])ip-\d{1,3}(?:-\d{1,3}){3}(?![\w-])",
    re.IGNORECASE,
)
_INSIDE_MARKS = words_of(
    """
    .internal .cluster.local .svc .corp .lan .intranet .localdomain .amazonaws.com .azure.com .windows.net
    .mongodb.net .googleusercontent.com ip-
    """
)
_VERSION = re.compile(
    r"(?:[=<>~^]=?|[-_]|\b[vV]|\bversions?:?|\brelease|[\w.]+-[\w.-]+|\b(?:lib|cu|cv|nv)\w*)\s?\Z", re.IGNORECASE
)
_BEFORE = 30
_PUBLIC = ("0.", "127.", "255.")
_INSIDE_V4 = re.compile(r"10\.|192\.168\.|172\.(?:1[6-9]|2\d|3[01])\.|169\.254\.")


def hide_addresses(text: str) -> str:
    """A text without addresses; the machine's own (``127.0.0.1``, ``::1``) and versions are none."""
    if "@" in text:
        text = _MAIL.sub(HIDDEN, text)
    if "." in text:
        text = _IPV4.sub(_ipv4, text)
    lower = text.lower()
    if any(mark in lower for mark in _INSIDE_MARKS):
        text = _INSIDE.sub(HIDDEN, text)
    if ":" in text:
        text = _MAC.sub(HIDDEN, _IPV6.sub(_ipv6, text))
    return text


def _ipv4(found: re.Match[str]) -> str:
    address = found[0]
    if any(int(part) > 255 or (len(part) > 1 and part[0] == "0") for part in address.split(".")):
        return address
    before = found.string[max(0, found.start() - _BEFORE) : found.start()]
    version = _VERSION.search(before)
    glued = version is not None and not version[0].endswith((" ", "\n")) and version[0][-1:] in "=<>~^-_vV"
    if address.startswith(_PUBLIC) or (version and (glued or not _INSIDE_V4.match(address))):
        return address
    return HIDDEN


def _ipv6(found: re.Match[str]) -> str:
    import ipaddress

    address = found[0].partition("%")[0]
    groups = [group for group in address.split(":") if group]
    try:
        ipaddress.IPv6Address(address)
    except ValueError:
        return found[0]
    letters = any(letter.isalpha() for letter in address)
    return HIDDEN if letters or len(groups) > 2 else found[0]
