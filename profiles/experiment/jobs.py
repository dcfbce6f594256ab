"""Versions of a pipeline, each step of edits on what the one before it made, and jobs of workers that measure them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from pathlib import Path

from pipeprof.pipelines.changes.chain import Replay
from pipeprof.pipelines.changes.edits import PipelineEdit, SetEnvironment, to_document
from pipeprof.pipelines.changes.in_source import ChangedSource
from pipeprof.pipelines.changes.in_spec import EditError, changed_spec
from pipeprof.pipelines.changes.in_spec_text import apply_to_spec
from pipeprof.pipelines.spec.load import LoadedSpec
from pipeprof.profiles.document.findings import Finding
from pipeprof.profiles.experiment.evidence import BASELINES
from pipeprof.profiles.protocol.options import Options
from pipeprof.profiles.protocol.turns import TurnsJob


@dataclass(frozen=True)
class Version:
    """A pipeline with changes."""

    steps: tuple[tuple[PipelineEdit, ...], ...] = ()
    loaded: LoadedSpec | None = None

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables that the edits set in the environment of the process."""
        edits = [edit for step in self.steps for edit in step]
        return {edit.variable: edit.value for edit in edits if isinstance(edit, SetEnvironment)}

    @property
    def edits_of_calls(self) -> list[list[str]]:
        """The steps of a Python target for a job; those that only the process has are left out."""
        known = [[edit for edit in step if not isinstance(edit, SetEnvironment)] for step in self.steps]
        steps = [[json.dumps(to_document(edit)) for edit in step] for step in known if step]
        return steps if self.loaded is None else []

    def then(self, edits: Sequence[PipelineEdit]) -> Version:
        """This pipeline with a further step.

        Raises PipeprofError (EditError) where the step is not possible, changes nothing, or makes a wrong spec.
        """
        steps = (*self.steps, tuple(edits))
        if self.loaded is None:
            return Version(steps)
        text = apply_to_spec(self.loaded, edits)
        if text == self.loaded.text and all(not isinstance(edit, SetEnvironment) for edit in edits):
            raise EditError("it changes nothing")
        return Version(steps, replace(changed_spec(self.loaded, edits), text=text))


@dataclass
class JobMaker:
    """Makes the jobs of one target.

    `sha256` is that of a Python target's file in the run. Without the `ops` of a spec, what its data have no form for
    is not tried.
    """

    settings: Options
    _: KW_ONLY
    memory_limit: int | None
    digest_seconds: float
    data_progress: Callable[[str, int, int], None]
    sha256: str | None = None
    ops: Sequence[tuple[str, str]] = ()

    def __post_init__(self) -> None:
        self._files = _files_of(self.settings, self.sha256)

    def changed_file(self) -> str | None:
        """Return the name of a file of the pipeline that is not what was measured; None where there is none."""
        return next((path.name for path, known in self._files.items() if _hash(path) != known), None)

    @property
    def is_spec(self) -> bool:
        """Whether edits are made in the data of a spec where these have a form for them; else in recorded calls."""
        return self.settings.loaded is not None

    @property
    def timeout(self) -> float:
        """Seconds without a step after which a pipeline is taken to hang."""
        return self.settings.timeout

    def untouched(self, hold_bytes: int = 0, *, paced: bool = False, times_stages: bool = False) -> Options:
        """A worker of the pipeline as the user made it; paced, its blocks may say how far apart its batches come."""
        turns = TurnsJob(paced=paced, hold_bytes=hold_bytes, times_stages=times_stages)
        return self._job(self.settings.loaded, turns)

    def as_it_is(self) -> dict[str, Options]:
        """The two workers of the pipeline without a change."""
        return {name: self.untouched() for name in BASELINES}

    def replayed(self, replay: Replay) -> Options:
        """A worker of the pipeline in which a replay of their outputs replaces stages."""
        turns = TurnsJob(replay=replay, ops=list(self.ops) if self.is_spec else None)
        return self._job(self.settings.loaded, turns)

    def in_calls(self, edits: Sequence[PipelineEdit], warm_steps: int = 0, *, compares: bool = False) -> Options:
        """A worker of the pipeline with edits of its recorded calls, also where a spec's data have no form for them."""
        turns = replace(
            _turns(Version((tuple(edits),)), warm_steps, compares=compares),
            edits=[json.dumps(to_document(edit)) for edit in edits if not isinstance(edit, SetEnvironment)],
            ops=list(self.ops) if self.is_spec else None,
        )
        return self._job(self.settings.loaded, turns)

    def of_version(
        self, version: Version, warm_steps: int = 0, *, compares: bool = False, source: ChangedSource | None = None
    ) -> Options:
        """A worker of a version, whose cache fills in steps of warm-up; `source` has the edits of its calls."""
        job = self._job(version.loaded, _turns(version, warm_steps, compares=compares))
        return with_source(job, source) if source is not None else replace(job, edits=version.edits_of_calls)

    def can_make(self, finding: Finding) -> bool:
        """Whether the change of a finding can be made without the user."""
        of_process = all(isinstance(edit, SetEnvironment) for edit in finding.edits)
        if self.is_spec and not of_process and (finding.in_spec or not self.ops):
            return finding.in_spec
        return finding.is_known

    def _job(self, loaded: LoadedSpec | None, turns: TurnsJob) -> Options:
        from pipeprof.pipelines.data.cache import ensure

        folders: Mapping[str, Path] = {}
        if loaded is not None and loaded.spec.data:
            folders = ensure(loaded.spec.data, progress=self.data_progress)
        return replace(
            self.settings,
            loaded=loaded,
            data_dirs={name: str(folder) for name, folder in folders.items()},
            memory_limit=self.memory_limit,
            turns=replace(turns, digest_seconds=self.digest_seconds),
        )


def _turns(version: Version, warm_steps: int, *, compares: bool) -> TurnsJob:
    return TurnsJob(environment=list(version.environment.items()), warm_steps=warm_steps, compare_epochs=compares)


def with_source(job: Options, source: ChangedSource) -> Options:
    """The job of a Python target whose files have changed; where its script iterates the dataset moves with them."""
    main, paths = job.main, {str(Path(name).expanduser().absolute()): name for name in source.texts}
    if main is not None and main.file in paths:
        main = replace(main, line=source.line(paths[main.file], main.line))
    return replace(job, edits=[], texts={path: source.texts[name] for path, name in paths.items()}, main=main)


def _files_of(settings: Options, sha256: str | None) -> dict[Path, str | None]:
    """Hashes of the files that make the pipeline: those of the spec as they were read, others as they are."""
    loaded = settings.loaded
    if loaded is None:
        return {settings.target.path: sha256 or _hash(settings.target.path)}
    found = {path: _hash(path) for path in loaded.python_files}
    return {**found, loaded.path.absolute(): loaded.sha256}


def _hash(path: Path) -> str | None:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None
