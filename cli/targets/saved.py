"""Saved profiles of a target: the latest run of it whose files are still those that were measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from pipeprof.pipelines.spec.loader import LoadedSpec
    from pipeprof.pipelines.target.target import ParsedTarget
    from pipeprof.profiles.document.profile import Profile
    from pipeprof.profiles.document.subject import Target

MOST_READ = 20
"""Saved profiles of a target that are read, the latest first."""


def latest_run(
    parsed: ParsedTarget, loaded: LoadedSpec | None, target: Target, *, cwd: Path | None = None
) -> tuple[Path, Profile] | None:
    """Find the latest saved profile of a run of a target that has not changed since.

    Args:
        parsed: The target.
        loaded: The spec; None for a Python target.
        target: As a profile has it now.
        cwd: Folder to use in place of the current one.

    Returns:
        Its file, and the profile; None where there is none.
    """
    from pipeprof.pipelines.errors import ProfileError
    from pipeprof.profiles.document.store import load_profile
    from pipeprof.profiles.fix.earlier import is_run_of

    for path in _saved(profile_name(parsed, loaded), cwd):
        try:
            profile = load_profile(path)
        except (ProfileError, OSError):
            continue
        if is_run_of(profile, target) and not edited_since(profile, loaded):
            return path, profile
    return None


def profile_name(parsed: ParsedTarget, loaded: LoadedSpec | None) -> str:
    """The name that profiles of a target are saved by."""
    return (loaded.spec.name if loaded else None) or "-".join(filter(None, (parsed.path.stem, parsed.function)))


def edited_since(profile: Profile, loaded: LoadedSpec | None) -> list[str]:
    """Names of the Python files of a spec that were written after a run began: a profile has no hashes of them."""
    from datetime import datetime

    from pipeprof.pipelines.spec.python_files import python_files

    files: Sequence[Path] = sorted(python_files(loaded)) if loaded is not None else ()
    if not files:
        return []
    try:
        began = datetime.fromisoformat((profile.started or "").replace("Z", "+00:00")).timestamp()
    except ValueError:
        return [path.name for path in files]
    return [path.name for path in files if not path.exists() or path.stat().st_mtime > began]


def _saved(name: str, cwd: Path | None) -> Iterator[Path]:
    from pathlib import Path

    from pipeprof.profiles.document.store import FOLDER, is_own_file, slug

    found = []
    for path in ((cwd or Path()) / FOLDER).glob(f"{slug(name)}-*.json"):
        try:
            found.append((path.stat().st_mtime_ns, path.name, path))
        except OSError:
            continue
    yield from (path for *_, path in sorted(found, reverse=True)[:MOST_READ] if is_own_file(path))
