"""Private parts of this machine, its user and the environment, which reports must not show."""

from __future__ import annotations

import getpass
import os
import socket
from collections import ChainMap
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pipeprof.cli.report.blocks import Span
from pipeprof.profiles.git.calls import repository_root
from pipeprof.profiles.redaction.known import Hider, Private, secrets_of

if TYPE_CHECKING:
    from pipeprof.profiles.document.base import Model

_Document = TypeVar("_Document", bound="Model")
_NO_TEXTS = frozenset({"style", "status"})
"""Fields of blocks that say how they look."""


class SpecEnvironment(ChainMap[str, str]):
    """The environment as specs read it under ``--env``: what they look up is hidden in redacted output."""

    def __init__(self, environment: MutableMapping[str, str]) -> None:
        super().__init__(environment)
        self.used: dict[str, str] = {}

    def __getitem__(self, name: str) -> str:
        """Look up a variable and remember it."""
        self.used[name] = super().__getitem__(name)
        return self.used[name]


SPEC_ENVIRONMENT = SpecEnvironment(os.environ)
"""Variables that ``--env`` offers to the specs of this command."""


def private_of(
    folder: Path,
    home: Path | None,
    environment: Mapping[str, str],
    names: tuple[str, ...],
    used: Mapping[str, str] | None = None,
) -> Private:
    """Put together what must not be seen.

    Args:
        environment: Process environment, searched for secrets by name and for passwords in URLs.
        used: The variables that specs took from it, whatever their names.
    """
    root = repository_root(folder) or folder
    if home is not None and home.is_relative_to(root):
        # A home folder that is a work tree is private all the same.
        root = folder
    return Private(
        root=str(root) if home is None or not home.is_relative_to(root) else None,
        folder=str(folder),
        home=str(home) if home is not None else None,
        names=names,
        values={**secrets_of(environment), **(used or {})},
    )


def private_here() -> Private:
    """Private parts of this machine and its user."""
    try:
        folder = Path.cwd()
    except OSError:
        folder = Path("/")
    try:
        home: Path | None = Path.home()
    except RuntimeError:
        home = None
    try:
        user = getpass.getuser()
    except (KeyError, OSError, ImportError):
        user = ""
    host = socket.gethostname()
    return private_of(folder, home, os.environ, (user, host, host.split(".")[0]), SPEC_ENVIRONMENT.used)


def redact_here(document: _Document) -> _Document:
    """A copy of a profile or a result without what tells about this machine and its user."""
    # A help text waits for the models of no document.
    from pipeprof.profiles.redaction.document import redact

    return redact(document, private_here())


def hider_here() -> Hider:
    """Hider of everything private on this machine."""
    return Hider(private_here())


def hide_here(text: str) -> str:
    """A text, such as the path of a saved profile, without it."""
    return hider_here().text(text)


def hide_in(value: Any, hide: Callable[[str], str]) -> Any:
    """Blocks of a report, or values of JSON, with other texts: before lines are broken, which takes texts apart."""
    if isinstance(value, str):
        return hide(value)
    if isinstance(value, Span):
        return value._replace(text=hide(value.text))
    if isinstance(value, list | tuple):
        return type(value)([hide_in(one, hide) for one in value])
    if isinstance(value, dict):
        return {key: hide_in(one, hide) for key, one in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        texts = {one.name: getattr(value, one.name) for one in fields(value) if one.name not in _NO_TEXTS}
        return replace(value, **{name: hide_in(text, hide) for name, text in texts.items()})
    return value


def place_in_repository() -> tuple[str, str]:
    """The root of the repository, else the current folder, and that folder from there on, as CI systems name files."""
    try:
        folder = Path.cwd().resolve()
    except OSError:
        return "/", "."
    root = repository_root(folder) or folder
    return str(root), folder.relative_to(root).as_posix()
