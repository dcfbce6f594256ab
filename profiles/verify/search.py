"""Edits that fit the stage with most of the work, whether or not a rule has found something: pure functions.

They are guesses. None of them is reported unless it was measured to help.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipeprof.pipelines.edits.edits import InsertStage, PipelineEdit, SetArgument, VectoriseMap, to_document
from pipeprof.pipelines.graph.read.function_facts import PYTHON
from pipeprof.pipelines.ops.executed_ops import executed
from pipeprof.pipelines.ops.traits import traits
from pipeprof.profiles.advise.rule import Semantics
from pipeprof.profiles.document.findings import Edit, Finding
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.wording import stage_name

RULE = "measured"
"""Name of the rule of findings that no rule made."""
AUTOTUNE = "AUTOTUNE"


@dataclass(frozen=True)
class _Guess:
    title: str
    change: str
    edit: PipelineEdit
    flag: str | None
    python: str
    semantics: Semantics = "same"


def guesses(profile: Profile) -> list[Finding]:
    """Return what to try at the stage with most of the work, most promising first; nothing that a finding proposes.

    Args:
        profile: Of a complete run, with its verdict and findings.
    """
    if not pays(profile):
        return []
    line = main_line(profile)
    named = profile.verdict.stage if profile.verdict is not None else None
    place = next((place for place, stage in enumerate(line) if stage.id == named), None)
    if place is None:
        return []
    proposed = {
        str(edit.model_dump())
        for finding in (*(profile.findings or ()), *profile.proposals)
        for edit in _edits_of(finding)
    }
    found = []
    for guess in _guesses(line, place):
        document = to_document(guess.edit)
        if str(Edit.model_validate(document).model_dump()) in proposed:
            continue
        is_spec = profile.target.kind == "spec"
        if is_spec and guess.flag is None:
            continue
        found.append(
            Finding(
                rule=RULE,
                title=guess.title,
                family="speed",
                stage=line[place].id,
                location=line[place].location,
                semantics=guess.semantics,
                edit=[Edit.model_validate(document)],
                overrides=[guess.flag] if is_spec and guess.flag is not None else [],
                change=guess.change,
                recommendation=guess.change,
                python=guess.python,
                status="unverified",
            )
        )
    return found


def pays(profile: Profile) -> bool:
    """Whether a faster pipeline would make the steps faster."""
    verdict, headspace = profile.verdict, profile.headspace
    if verdict is None or verdict.bound not in ("input", "balanced"):
        return False
    return headspace is None or headspace.share >= 0.05


def runs_python(stage: Stage) -> bool:
    """Whether a stage calls Python, as far as the run has shown."""
    row = traits(stage.op)
    return bool(stage.python) or any(op.op in PYTHON for op in stage.ops or ()) or (row.computes and row.wrapped)


def _edits_of(finding: Finding) -> Sequence[Edit]:
    if finding.edit is None:
        return ()
    return finding.edit if isinstance(finding.edit, list) else (finding.edit,)


def main_line(profile: Profile) -> list[Stage]:
    """The stages that follow each other outside of all functions, the source first."""
    return [
        stage
        for stage in profile.stages or ()
        if stage.origin == "written"
        and (stage.id == "source" or (stage.id.startswith("stages.") and stage.id.count(".") == 1))
    ]


def _guesses(line: Sequence[Stage], place: int) -> Iterator[_Guess]:
    stage = line[place]
    name = stage_name(stage)
    following = line[place + 1] if place + 1 < len(line) else None
    if stage.op == "map" and following is not None and following.op == "batch" and not runs_python(stage):
        yield _Guess(
            f"Apply {name} to whole batches",
            f"move {name} after batch, with tf.vectorized_map",
            VectoriseMap(stage.id, following.id),
            None,
            ".batch(…).map(lambda *batch: tf.vectorized_map(lambda element: function(*element), batch))",
        )
    if traits(stage.op).parallel and not _is_parallel(stage):
        yield _Guess(
            f"Run {name} in parallel",
            f"num_parallel_calls: not set → {AUTOTUNE}",
            SetArgument(stage.id, stage.op, "num_parallel_calls", AUTOTUNE),
            f"{stage.id}.num_parallel_calls={AUTOTUNE}",
            f".{stage.op}(…, num_parallel_calls=tf.data.AUTOTUNE)",
            "randomness" if stage.random else "same",
        )
    ahead = executed(stage.tf_op).asynchronous if stage.tf_op is not None else False
    if following is not None and following.op != "prefetch" and not ahead:
        yield _Guess(
            f"Prefetch after {name}",
            f"insert prefetch(buffer_size={AUTOTUNE}) after {name}",
            InsertStage("prefetch", {"buffer_size": AUTOTUNE}, stage.id),
            f"stages.+{place}={{prefetch: {{buffer_size: {AUTOTUNE}}}}}",
            "dataset = dataset.prefetch(tf.data.AUTOTUNE)",
        )


def _is_parallel(stage: Stage) -> bool:
    """Whether its function runs for several elements at a time already."""
    return stage.parallelism is not None and stage.parallelism > 1.5
