"""Taking out of a profile what tells about a person or a machine."""

from __future__ import annotations

import getpass
import re
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeprof.profiles.document.profile import Profile

_FREE_TEXT = frozenset(
    {
        "command",
        "edit",
        "evidence",
        "executed",
        "file",
        "formula",
        "message",
        "note",
        "output",
        "overlays",
        "overrides",
        "patch",
        "python",
        "reason",
        "recommendation",
        "sentence",
        "source",
        "text",
        "title",
        "traceback",
        "versions",
    }
)
"""Fields that hold text of any kind; all others hold a fixed vocabulary or a user's own name for a stage."""

_ANY_HOME = re.compile(r"(?:/home|/Users)/[^/\s:'\"]+|/root(?![\w.-])")
_PUBLIC_USERS = frozenset({"root", "user", "runner", "nobody"})


def redact(profile: Profile, home: str | None = None, user: str | None = None) -> Profile:
    """A copy without home folders (they become ``~``), host name, user name and values from the environment.

    Args:
        profile: The profile; it is not changed.
        home: Home folder to hide in addition to those under ``/home``, ``/Users`` and ``/root``.
        user: User name to hide; one that says nothing (``root``) stays.

    Returns:
        A new profile.
    """
    names = [name for name in (profile.host.name, profile.host.name and profile.host.name.split(".")[0]) if name]
    hide = _hider(home, [*names, *([user] if user and user not in _PUBLIC_USERS else [])])
    data = _walk(profile.model_dump(), hide, free=False)
    data["host"]["name"] = None
    if data["target"]["variables"]:
        data["target"]["variables"] = dict.fromkeys(data["target"]["variables"])
    return type(profile).model_validate(data)


def redact_here(profile: Profile) -> Profile:
    """The same with this machine's home folder, host and user name."""
    try:
        home: str | None = str(Path.home())
    except RuntimeError:
        home = None
    try:
        user: str | None = getpass.getuser()
    except (KeyError, OSError, ImportError):
        user = None
    here = profile.model_copy(deep=True)
    here.host.name = here.host.name or socket.gethostname()
    return redact(here, home, user)


def _hider(home: str | None, names: list[str]) -> Callable[[str], str]:
    words = "|".join(re.escape(name) for name in sorted(set(names), key=len, reverse=True) if len(name) > 2)
    named = re.compile(rf"(?<![\w.-])(?:{words})(?![\w-])") if words else None
    at_home = re.compile(rf"{re.escape(home.rstrip('/'))}(?![\w.-])") if home and len(home.rstrip("/")) > 1 else None

    def hide(text: str) -> str:
        if at_home:
            text = at_home.sub("~", text)
        text = _ANY_HOME.sub("~", text)
        return named.sub("(redacted)", text) if named else text

    return hide


def _walk(value: Any, hide: Callable[[str], str], *, free: bool) -> Any:
    if isinstance(value, str):
        return hide(value) if free else value
    if isinstance(value, dict):
        return {key: _walk(item, hide, free=free or key in _FREE_TEXT) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_walk(item, hide, free=free) for item in value]
    return value
