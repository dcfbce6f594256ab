"""Saved profiles of a target: the latest run of it whose files are still those that were measured."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from pipeprof.cli.options import FixOptions, RunOptions
from pipeprof.cli.targets.remade import edited_since, remade, why_other
from pipeprof.cli.values import whole
from pipeprof.pipelines.changes.checked import RefusedEditError, checked_edits
from pipeprof.pipelines.changes.edits import PipelineEdit, SetEnvironment
from pipeprof.pipelines.errors import ProfileError, UsageError
from pipeprof.pipelines.spec.load import LoadedSpec
from pipeprof.pipelines.target.target import ParsedTarget
from pipeprof.profiles.document.findings import Finding
from pipeprof.profiles.document.profile import Profile, Target
from pipeprof.profiles.document.store import FOLDER, is_own_file, load_profile, slug
from pipeprof.profiles.git.tree import came_with_checkout

MOST_READ = 20
"""Saved profiles of a target that are read, the latest first."""


def latest_run(parsed: ParsedTarget, loaded: LoadedSpec | None, target: Target) -> tuple[Path, Profile] | None:
    """Find the latest saved profile of a run of a target that has not changed since: its file, and the profile."""
    for path in own_profiles(f"{slug(profile_name(parsed, loaded))}-*.json")[0]:
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


def own_profiles(pattern: str = "*.json") -> tuple[list[Path], dict[Path, str]]:
    """Saved profiles below the current folder, the latest first, and those that a checkout may hold, with a reason."""
    found = []
    for path in Path(FOLDER).glob(pattern):
        try:
            found.append((path.stat().st_mtime_ns, path.name, path))
        except OSError:
            continue
    latest = [path for *_, path in sorted(found, reverse=True)[:MOST_READ] if is_own_file(path)]
    others = came_with_checkout(latest)
    return [path for path in latest if path not in others], others


@dataclass(frozen=True)
class SavedChange:
    """A change of a saved profile, for the target as it is now; its edits were checked."""

    profile: Profile
    path: Path
    number: int
    finding: Finding
    edits: list[PipelineEdit]

    @property
    def environment(self) -> dict[str, str]:
        """Variables that it sets in the environment of the process."""
        return {edit.variable: edit.value for edit in self.edits if isinstance(edit, SetEnvironment)}

    @property
    def of_pipeline(self) -> list[PipelineEdit]:
        """Its edits without those of the environment."""
        return [edit for edit in self.edits if not isinstance(edit, SetEnvironment)]


def saved_change(
    given: RunOptions | FixOptions, parsed: ParsedTarget, loaded: LoadedSpec | None, target: Target
) -> SavedChange | None:
    """Find the change that ``--change`` names, in the profile of ``FILE:N`` or else the latest run of the target.

    Raises:
        UsageError: There is no change of this number.
        ProfileError: There is no such profile, it is about other files, or its change cannot be made.
    """
    if given.change is None:
        return None
    file, _, text = given.change.rpartition(":")
    number = whole("--change", text) or 0
    if file:
        path = Path(file)
        profile = load_profile(path)
        if (why := why_other(profile, target, loaded)) is not None:
            raise ProfileError(f"--change cannot be taken from {path}: {why}")
    else:
        found = latest_run(parsed, loaded, target)
        if found is None:
            what = "this file and these arguments" if target.kind == "script" else "these files"
            others = own_profiles(f"{slug(profile_name(parsed, loaded))}-*.json")[1]
            more = "".join(f"; {why}" for why in list(others.values())[:1])
            raise ProfileError(
                f"--change {number}: pipeprof-out/ has no complete run of {target.text} with {what}: measure it "
                f"with `pipeprof run`, or name its profile, --change FILE.json:{number}{more}"
            )
        path, profile = found
    profile = remade(profile, loaded)
    return SavedChange(profile, path, number, *_numbered(path, profile, number))


def _numbered(path: Path, profile: Profile, number: int) -> tuple[Finding, list[PipelineEdit]]:
    """A finding by its number, and its edits; an error if there is none, or its change is not safe to make."""
    count = len(profile.findings or ())
    if number > count:
        numbers = f"has changes 1 to {count}" if count > 1 else "has only change 1" if count else "has no changes"
        raise UsageError(f"--change: got {number}, but {path} {numbers}")
    finding = (profile.findings or [])[number - 1]
    documents, show = [edit.model_dump() for edit in finding.documents], f"pipeprof show {shlex.quote(str(path))}"
    if not documents:
        raise ProfileError(f"change {number} has no edit that can be made without you: {show} -v")
    if any(set(document) == {"kind"} for document in documents):
        # Redaction leaves the kind alone of an edit that has something to hide.
        msg = f"change {number} of {path} cannot be made: the profile is redacted; name the one saved with --no-redact"
        raise ProfileError(msg)
    try:
        return finding, checked_edits(documents)
    except RefusedEditError as error:
        msg = f"change {number} of {path} cannot be made: {error}; {show} -v has its fix"
        raise ProfileError(msg) from None


def is_run_of(saved: Profile, target: Target) -> bool:
    """Whether a saved profile is that of a complete run of a pipeline, and its files are those that were measured."""
    searches = saved.fix is not None or saved.command[1:2] == ["fix"] or saved.tries_one_change
    return saved.complete and not saved.exit_code and not searches and saved.target == target
