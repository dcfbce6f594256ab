"""Faults that keep pipeprof from working, or its numbers from being steady, with the line that mends them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from pipeprof.profiles.doctor.facts import Facts, Folder
from pipeprof.profiles.git.calls import OLDEST_GIT
from pipeprof.profiles.protocol.wrapped import NEWEST, OLDEST, as_text, is_newer, is_older
from pipeprof.profiles.wording import size

LEAST_MEMORY: Final = 1 << 30
"""Bytes. TensorFlow alone takes about 0.6 GiB once it is imported."""
LEAST_DISK: Final = 256 << 20
"""Bytes. A trace of a large pipeline takes about 100 MiB."""


@dataclass(frozen=True)
class Fault:
    """Something to mend, with the line for a shell that does it, if there is one.

    Attributes:
        level: ``fault`` if a run fails or measures something else than the user thinks; ``note`` otherwise.
    """

    level: Literal["fault", "note"]
    message: str
    mend: str
    command: str = ""


def faults_of(facts: Facts) -> list[Fault]:
    """Return what to mend, faults first."""
    entries = [*_tensorflow(facts), *_memory(facts), *_folders(facts), *_git(facts)]
    return sorted(entries, key=lambda entry: entry.level != "fault")


def _pip(facts: Facts, *arguments: str) -> str:
    return shlex.join([facts.executable or "python3", "-m", "pip", *arguments])


def _tensorflow(facts: Facts) -> Iterator[Fault]:
    installation = facts.tensorflow
    owners = installation.owners
    newer = f"tensorflow>={as_text(OLDEST)}"
    if not owners and not installation.importable:
        yield Fault("fault", "TensorFlow is not installed", "Install it.", _pip(facts, "install", newer))
    elif not owners:
        yield Fault(
            "note",
            "no installed package owns the module tensorflow: its version is unknown before a run",
            "Nothing, if you have put it on the path yourself.",
        )
    elif len(owners) > 1:
        kept = next((owner for owner in owners if owner.name == "tensorflow"), owners[0])
        others = [owner.name for owner in owners if owner is not kept]
        pinned = f"{kept.name}=={kept.version}" if kept.version else kept.name
        names = " and ".join(owner.name for owner in owners)
        yield Fault(
            "fault",
            f"{names} have overwritten each other's files: what runs is a mixture of them",
            f"Remove {' and '.join(others)}, then install {kept.name} again.",
            f"{_pip(facts, 'uninstall', '--yes', *others)} && "
            + _pip(facts, "install", "--force-reinstall", "--no-deps", pinned),
        )
    elif not installation.importable:
        yield Fault(
            "fault",
            f"{owners[0].name} is installed, but its files are missing",
            "Install it again.",
            _pip(facts, "install", "--force-reinstall", "--no-deps", owners[0].name),
        )
    for owner in owners[:1]:
        if is_older(owner.version or ""):
            yield Fault(
                "fault",
                f"{owner.name} {owner.version} is too old: pipeprof needs {as_text(OLDEST)} or newer",
                "Install a newer one.",
                _pip(facts, "install", f"{owner.name}>={as_text(OLDEST)}"),
            )
        elif is_newer(owner.version or ""):
            yield Fault(
                "note",
                f"{owner.name} {owner.version} is newer than the versions that pipeprof was tested with",
                f"If a number looks wrong, repeat the run with {as_text(NEWEST)}.",
            )


def _memory(facts: Facts) -> Iterator[Fault]:
    run = facts.host.memory_limit_bytes
    if run is not None and run < LEAST_MEMORY:
        yield Fault(
            "fault",
            f"a run may take {size(max(0, run))} of memory at most, and TensorFlow alone takes about 0.6 GiB",
            "End other programs, or give the container or the machine more memory.",
        )


def _folders(facts: Facts) -> Iterator[Fault]:
    writable = [folder for folder in facts.folders if folder.writable]
    if facts.folders and not writable:
        yield Fault("fault", "no folder can be written to", "Make one writable, and name it in TMPDIR.")
        return
    for folder in facts.folders:
        if not folder.writable:
            yield Fault("note", f"the {folder.use} folder cannot be written to", _elsewhere(folder))
        elif folder.free_bytes is not None and folder.free_bytes < LEAST_DISK:
            yield Fault("note", f"the {folder.use} folder has {size(folder.free_bytes)} free", _elsewhere(folder))


def _elsewhere(folder: Folder) -> str:
    match folder.use:
        case "temporary":
            return "Set TMPDIR to another folder."
        case "cache":
            return "Set PIPEPROF_CACHE_DIR to another folder."
        case _:
            return "Profiles go to the temporary folder, or to the file that --out names."


def _git(facts: Facts) -> Iterator[Fault]:
    needed = as_text(OLDEST_GIT)
    if facts.git is None:
        yield Fault("note", "git is not installed: a target git:REF cannot be measured", f"Install git {needed}.")
        return
    major, minor, *_ = (int(part) for part in re.findall(r"\d+", f"{facts.git}.0"))
    if (major, minor) < OLDEST_GIT:
        yield Fault("note", f"git {facts.git} cannot read a target git:REF", f"Install git {needed} or newer.")
