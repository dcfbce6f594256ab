"""The profile's record of a measured spec."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeprof.profiles.document.subject import Target, TargetFile

if TYPE_CHECKING:
    from pipeprof.pipelines.spec.loader import LoadedSpec


def spec_target(text: str, loaded: LoadedSpec) -> Target:
    """The target that a spec is, with everything that changed it."""
    return Target(
        kind="spec",
        text=text,
        sha256=loaded.sha256,
        resolved_sha256=loaded.resolved_sha256,
        overrides=list(loaded.overrides),
        overlays=list(loaded.overlays),
        files=[TargetFile(file=file.name, role=file.role, sha256=file.sha256) for file in loaded.files],
        variables=loaded.variables,
        name=loaded.spec.name,
    )
