"""A conversion: what a part of a measured pipeline gives, written into a folder that the user names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeprof.pipelines.data.folders import entry_name, find, locate
from pipeprof.pipelines.spec.loader import LoadedSpec
from pipeprof.pipelines.spec.paths import source_files
from pipeprof.profiles.convert.folder import ConvertTarget, check_distance
from pipeprof.profiles.convert.replacement import Files, form_for
from pipeprof.profiles.convert.writing import FileWriting, WriterProcess, Written
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.harness.progress import RunProgress
from pipeprof.profiles.protocol.job import Job, as_pairs
from pipeprof.profiles.protocol.store import StoredForm, StoreJob
from pipeprof.profiles.verify.file_points import Point

_STAGES = "stages"
Start = Callable[[Job], WriterProcess]


@dataclass(frozen=True)
class Conversion:
    """A conversion that has been made."""

    files: Files
    written: Written


@dataclass(frozen=True)
class ConversionPlan:
    """A conversion to be made."""

    profile: Profile
    point: Point
    target: ConvertTarget
    job: Job
    loaded: LoadedSpec | None = None


def convert(
    plan: ConversionPlan,
    start: Start,
    *,
    progress: RunProgress,
    interrupted: Callable[[], bool],
    end_at: float | None = None,
) -> Conversion:
    """Write what a part of a pipeline gives into files.

    Raises:
        NotConvertedError: The elements cannot be kept in files.
        InterruptedConversionError: The user wants an end.
        PipeprofError: The folder cannot be used, or the disk is too small.
    """
    profile, point, loaded = plan.profile, plan.point, plan.loaded
    form = form_for(profile, point)
    data_dirs = {name: Path(folder) for name, folder in plan.job.data_dirs.items()}
    writing = FileWriting(
        plan.target,
        point.name,
        lambda folder: start(job_for(plan, folder, form)),
        progress,
        interrupted,
        inputs=input_folders(loaded, data_dirs) if loaded is not None else (),
        end_at=end_at,
    )
    written = writing.run({"target": profile.target.text, "stages": list(point.stages), "form": form})
    files = Files(point, str(plan.target.data), form, stages_before(profile, point))
    return Conversion(files, written)


def job_for(plan: ConversionPlan, folder: Path, form: StoredForm) -> Job:
    """Return the job of the worker that writes; a spec is cut after the point, so its elements have their names."""
    point = plan.point
    store = StoreJob(point.stages[-1], point.name, str(folder), form, point.count_at, list(point.python))
    if plan.loaded is None:
        return replace(plan.job, turns=None, store=store)
    ops = [(stage.id, stage.op) for stage in plan.profile.stages or () if stage.origin == "written"]
    data = as_pairs(cut(plan.loaded.data, len(point.stages) - 1))
    return replace(plan.job, turns=None, store=replace(store, ops=ops), data=data)


def cut(data: Mapping[str, Any], stages: int) -> Mapping[str, Any]:
    """Return a spec's data with its first stages alone.

    Example:
        >>> cut({"source": {"range": {"stop": 3}}, "stages": [{"batch": {"batch_size": 2}}]}, 0)
        {'source': {'range': {'stop': 3}}}
    """
    kept = {key: value for key, value in data.items() if key != _STAGES}
    return {**kept, _STAGES: data[_STAGES][:stages]} if stages else kept


def check_known_inputs(target: ConvertTarget, loaded: LoadedSpec) -> None:
    """Refuse a folder inside or around a spec's own files, as far as they are there, before anything is measured.

    Raises:
        FolderError: A pattern of the spec could take converted data for its input, or the other way round.
    """
    cache = locate()
    entries = loaded.spec.data or {}
    folders = {name: find(entry, cache.readable) or cache.folder / entry_name(entry) for name, entry in entries.items()}
    check_distance(target.folder, input_folders(loaded, folders))


def input_folders(loaded: LoadedSpec, data_dirs: Mapping[str, Path]) -> list[Path]:
    """Return the folders of a spec's own files; of several folders side by side, also the one that they are in."""
    return with_common(path.resolve().parent for path in source_files(loaded.spec, loaded.base_dir, data_dirs))


def with_common(folders: Iterable[Path]) -> list[Path]:
    """Return folders, and the one that all of them are directly in, where there are several.

    Example:
        >>> [str(folder) for folder in with_common([Path("/a/b"), Path("/a/c"), Path("/a/b")])]
        ['/a', '/a/b', '/a/c']
    """
    found = set(folders)
    parents = {folder.parent for folder in found}
    return sorted(found | (parents if len(found) > 1 and len(parents) == 1 else set()))


def stages_before(profile: Profile, point: Point) -> tuple[tuple[str, str | None], ...]:
    """Return op and name of each stage that files replace."""
    by_id = {stage.id: stage for stage in profile.stages or ()}
    return tuple((by_id[address].op, by_id[address].name) for address in point.stages)
