"""``file-cache-fits-memory``: a cache in files whose elements fit in the memory."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterable
from pathlib import Path

from pipeprof.pipelines.changes.edits import NewStage, ReplaceStages
from pipeprof.profiles.advise.batch_savings import saving
from pipeprof.profiles.advise.byte_gate import in_function
from pipeprof.profiles.advise.rule import Rule, Threshold
from pipeprof.profiles.constants import CACHE_OVERHEAD_BYTES
from pipeprof.profiles.propose.proposal import Proposal
from pipeprof.profiles.view.view import PipelineView, StageView
from pipeprof.profiles.wording import milliseconds, percent, size


class FileCacheFitsMemory(Rule):
    """A cache in files whose elements fit in the memory.

    Seen:
        A cache with a filename takes much of the pipeline's time, and all of its elements together would take a small
        part of the memory.

    Why:
        A cache in files is read, checked and copied in every epoch, on one thread. From memory an element costs next to
        nothing: of one image pipeline whose cache took 77 % of the time, cache() without a filename made 2.9 times as
        many batches.

    Fix:
        Leave the filename out: cache(). The first epoch of each run then makes the elements again.

    Ignore when:
        Making the elements takes hours, and runs are short; or several processes of one machine share the files.
    """

    name = "file-cache-fits-memory"
    title = "Keep the cache in memory"
    family = "speed"
    semantics = "same"
    thresholds = (
        Threshold("time-share", 0.3, "of the time inside the stages", "below it another stage comes first", 0.15),
        Threshold("share-of-limit", 0.25, "of the memory limit", "what leaves room for everything else"),
        Threshold("overhead", CACHE_OVERHEAD_BYTES, "bytes per element", "measured with scalars"),
    )

    def diagnose(self, view: PipelineView) -> Iterable[Proposal]:
        """Judge by the time of the cache and the bytes of one pass."""
        for stage in view.stages:
            filename = stage.arguments.get("filename")
            share = stage.measured.share if stage.measured is not None else None
            if stage.op != "cache" or not filename or share is None or not stage.ms_per_batch:
                continue
            if in_function(view, stage):
                continue
            nbytes, limit = _bytes(view, stage), view.memory_limit_bytes
            if share < self.threshold("time-share") or nbytes is None or not limit:
                continue
            if nbytes <= self.threshold("share-of-limit") * limit:
                yield self._proposal(view, stage, share, nbytes)

    def _proposal(self, view: PipelineView, stage: StageView, share: float, nbytes: float) -> Proposal:
        ms = stage.ms_per_batch or 0.0
        return Proposal(
            stage=stage.id,
            title=f"Keep {size(nbytes)} in memory, not in files",
            sentence=(
                f"{stage.label} reads its elements from files in every epoch: {milliseconds(ms)} per batch, "
                f"{percent(share)} of the time. All of them take {size(nbytes)}."
            ),
            recommendation=f"Write `.cache()`, without a filename: {size(nbytes)} of memory.",
            evidence={"cache_bytes": round(nbytes), "time_share": share, "stage_ms_per_batch": ms},
            edits=(
                ReplaceStages(
                    (stage.id,), (NewStage("cache"),), summary=f"{{stage}} without a filename: {size(nbytes)}"
                ),
            ),
            predicted=saving(view, f"no reading of the cache's files, {milliseconds(ms)}", ms, {stage.id}),
        )


def _on_disk(filename: str) -> int | None:
    """Bytes of the files of a cache that is complete; None where there are none."""
    path = Path(filename)
    # Another cache may have a longer name that begins alike.
    written = {file.name.removeprefix(path.name): file for file in path.parent.glob(f"{glob.escape(path.name)}*")}
    found = sum(file.stat().st_size for end, file in written.items() if re.fullmatch(r"\.data-\d+-of-\d+", end))
    return found if found and not any(re.fullmatch(r"_\d+\.lockfile", end) for end in written) else None


def _bytes(view: PipelineView, stage: StageView) -> float | None:
    """Bytes of all elements of one pass in memory; None if unknown."""
    # What is before a complete cache does not run, and has no counts.
    stored = _on_disk(str(stage.arguments["filename"])) if stage.arguments.get("filename") else None
    if stored is not None:
        return stored
    before = view.input_of(stage)
    counts = (before.elements, before.counted) if before is not None else ()
    count = next((count for count in (*counts, stage.elements) if count is not None and count > 0), None)
    each = stage.element_bytes
    if each is None and stage.measured is not None:
        each = stage.measured.bytes_per_element
    return count * (each + CACHE_OVERHEAD_BYTES) if count is not None and each else None
