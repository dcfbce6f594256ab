"""What a report must not show of this machine, its user and the environment."""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pipeprof.profiles.git.repository import repository_root

if TYPE_CHECKING:
    from pipeprof.profiles.document.base import Model
    from pipeprof.profiles.document.redaction import Private

_Document = TypeVar("_Document", bound="Model")


def private_of(folder: Path, home: Path | None, environment: Mapping[str, str], names: tuple[str, ...]) -> Private:
    """Put together what must not be seen.

    Args:
        folder: The current one.
        home: Of the user.
        environment: Of the process: values of variables that are named as secrets are.
        names: Of the user and the host.
    """
    from pipeprof.profiles.document.redaction import Private, is_secret_name

    root = repository_root(folder) or folder
    if home is not None and home.is_relative_to(root):
        # A home folder that is a work tree is private all the same.
        root = folder
    return Private(
        root=str(root) if home is None or not home.is_relative_to(root) else None,
        folder=str(folder),
        home=str(home) if home is not None else None,
        names=names,
        values={name: value for name, value in environment.items() if is_secret_name(name)},
    )


def private_here() -> Private:
    """What must not be seen of this machine and its user."""
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
    return private_of(folder, home, os.environ, (user, host, host.split(".")[0]))


def redact_here(document: _Document) -> _Document:
    """A copy of a profile or a result without what tells about this machine and its user."""
    from pipeprof.profiles.document.redaction import redact

    return redact(document, private_here())


def hide_here(text: str) -> str:
    """A text, such as the path of a saved profile, without it."""
    from pipeprof.profiles.document.redaction import Hider

    return Hider(private_here()).text(text)


def place_in_repository() -> tuple[str, str]:
    """The root of the repository, and the current folder from there on, as CI systems name files.

    Outside of a repository, the current folder is taken for its root.

    Example:
        ``("/srv/app", ".")`` in the root, ``("/srv/app", "training/specs")`` below it.
    """
    try:
        folder = Path.cwd().resolve()
    except OSError:
        return "/", "."
    root = repository_root(folder) or folder
    return str(root), folder.relative_to(root).as_posix()
