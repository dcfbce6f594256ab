"""Edits of the environment: proposed from what the allocator keeps and from threads that wait for cores."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from unit.advise.function_views import python_map
from unit.advise.views import measured, pipeline, stage

from pipeprof.cli.report.findings import shell_variables, try_command
from pipeprof.pipelines.changes.edits import SetArgument, SetEnvironment, to_document
from pipeprof.profiles.advise.advise import advise, worth_a_try
from pipeprof.profiles.document.base import Location
from pipeprof.profiles.document.findings import Edit, Finding
from pipeprof.profiles.document.memory import LedgerEntry
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.host.host import installed_allocator
from pipeprof.profiles.view.view import MeasuredFacts, PipelineView

MB = 1_000_000
ROWS = pipeline(stage("source", "range"), stage("stages.0", "batch", arguments={"batch_size": 8}))


def keeping(what: str, nbytes: int, **facts: Any) -> PipelineView:
    """A run whose allocator keeps so many bytes of a peak of 1 GB above TensorFlow's runtime."""
    view = measured(ROWS, baseline_bytes=400 * MB, peak_bytes=1400 * MB)
    assert view.profile is not None
    assert view.facts is not None
    view.profile.memory.ledger = [LedgerEntry(owner="slack", bytes=nbytes, how="measured", what=what)]
    return replace(view, facts=replace(view.facts, **facts))


def proposed(view: PipelineView) -> dict[str, list[SetEnvironment]]:
    assert advise(view)[0] == []
    found = {}
    for finding in worth_a_try(view, []):
        edits = finding.edit if isinstance(finding.edit, list) else [finding.edit]
        found[finding.rule] = [SetEnvironment(edit.variable, edit.value) for edit in edits]  # type: ignore[union-attr]
    return found


@pytest.mark.parametrize("what", ["TensorFlow's pool", "the pool's residue"])
def test_a_pool_that_keeps_much_proposes_the_systems_allocator(what: str) -> None:
    assert proposed(keeping(what, 300 * MB)) == {
        "pool-slack": [SetEnvironment("TF_ONEDNN_USE_SYSTEM_ALLOCATOR", "true")]
    }


def test_a_heap_that_keeps_much_proposes_fewer_arenas() -> None:
    assert proposed(keeping("glibc's heap", 300 * MB)) == {
        "heap-slack": [SetEnvironment("MALLOC_ARENA_MAX", "2"), SetEnvironment("MALLOC_TRIM_THRESHOLD_", "131072")]
    }


def test_an_installed_allocator_takes_the_place_of_glibcs() -> None:
    view = keeping("glibc's heap", 300 * MB, allocator="/usr/lib/libjemalloc.so.2")
    assert proposed(view) == {"heap-slack": [SetEnvironment("LD_PRELOAD", "/usr/lib/libjemalloc.so.2")]}


@pytest.mark.parametrize("nbytes", [40 * MB, 90 * MB])
def test_little_that_is_kept_proposes_nothing(nbytes: int) -> None:
    assert proposed(keeping("glibc's heap", nbytes)) == {}


def test_a_process_whose_memory_is_no_problem_is_left_alone() -> None:
    view = keeping("glibc's heap", 300 * MB)
    assert view.profile is not None
    view.profile.memory.peak_bytes = (view.profile.memory.baseline_bytes or 0) + 600 * MB
    view.profile.host.memory_limit_bytes = 100_000 * MB
    assert proposed(view) == {}
    view.profile.host.memory_limit_source = "option"
    assert "heap-slack" in proposed(view)


def test_what_the_user_has_set_stays() -> None:
    own = {"MALLOC_ARENA_MAX": "4", "TF_ONEDNN_USE_SYSTEM_ALLOCATOR": "false"}
    assert proposed(keeping("TensorFlow's pool", 300 * MB, environment=own)) == {}
    assert proposed(keeping("glibc's heap", 300 * MB, environment=own)) == {
        "heap-slack": [SetEnvironment("MALLOC_TRIM_THRESHOLD_", "131072")]
    }
    assert proposed(keeping("glibc's heap", 300 * MB, environment={"LD_PRELOAD": "mine.so"})) == {}


def threads(at: Location | None = None, **facts: Any) -> list[str]:
    view = python_map()
    view = replace(view, stages=tuple(replace(one, location=at) for one in view.stages))
    assert view.facts is not None
    given = MeasuredFacts(**(vars(view.facts) | {"python_lock_share": 0.05, "runnable_wait_share": 0.4} | facts))
    view = replace(view, facts=given)
    assert "library-threads" not in [finding.rule for finding in advise(view)[0]]
    return [
        edit.variable  # type: ignore[union-attr]
        for finding in worth_a_try(view, [])
        if finding.rule == "library-threads"
        for edit in (finding.edit if isinstance(finding.edit, list) else [finding.edit])
    ]


def test_libraries_that_wait_for_cores_get_one_thread() -> None:
    assert threads() == ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"]
    assert threads(environment={"OMP_NUM_THREADS": "2", "MKL_NUM_THREADS": "2"}) == ["OPENBLAS_NUM_THREADS"]


@pytest.mark.parametrize(
    "facts",
    [{"runnable_wait_share": 0.05}, {"others_cores": 1.5}, {"python_lock_share": 0.9}, {"runnable_wait_share": None}],
)
def test_others_that_take_the_cores_or_the_lock_propose_nothing(facts: dict[str, Any]) -> None:
    assert threads(**facts) == []


@pytest.mark.parametrize(
    ("imported", "body", "proposed"),
    [
        ("json", "np.rot90(x) / x.std()", False),
        ("json", "x @ x.T", True),
        ("json", "np.linalg.norm(x)", True),
        ("cv2", "cv2.blur(x, (3, 3))", True),
        ("json", "json.loads(x)", False),
    ],
)
def test_only_files_whose_libraries_may_have_threads_get_one(
    tmp_path: Path, imported: str, body: str, proposed: bool
) -> None:
    file = tmp_path / "mine.py"
    file.write_text(f"import {imported}\nimport numpy as np\ndef a(x):\n    return {body}\n")
    assert bool(threads(at=Location(file=str(file), line=4, column=1))) is proposed


def test_the_library_is_found_where_libraries_are(tmp_path: Path) -> None:
    assert installed_allocator([tmp_path]) is None
    (tmp_path / "libtcmalloc_minimal.so.4").touch()
    assert installed_allocator([tmp_path]) == str(tmp_path / "libtcmalloc_minimal.so.4")
    (tmp_path / "libjemalloc.so.2").touch()
    assert installed_allocator([tmp_path / "no", tmp_path]) == str(tmp_path / "libjemalloc.so.2")


def finding(*edits: SetEnvironment | SetArgument, **facts: Any) -> Finding:
    documents = [Edit(**to_document(edit)) for edit in edits]
    return Finding(rule="a", title="a", status="kept", edit=documents, **facts)


def test_the_report_has_the_line_for_the_shell(views_profile: Profile) -> None:
    arenas = SetEnvironment("MALLOC_ARENA_MAX", "2")
    command = try_command(views_profile, finding(arenas))
    assert command is not None
    assert command.startswith("MALLOC_ARENA_MAX=2 pipeprof run ")
    other = SetArgument("stages.0", "map", "num_parallel_calls", 2)
    assert shell_variables(finding(arenas, other)) == []
    assert shell_variables(finding(arenas, other, in_spec=True)) == ["MALLOC_ARENA_MAX=2"]


@pytest.fixture
def views_profile() -> Profile:
    profile = measured(ROWS).profile
    assert profile is not None
    return profile
