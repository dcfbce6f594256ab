"""A training script run unchanged, with a plan applied to its dataset where it is iterated; nothing is measured.

The process is the script's own: its exit code, streams and signals are as ``python script.py`` gives them.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeprof.pipelines.clocks import time
from pipeprof.pipelines.edits.edits import SetEnvironment
from pipeprof.pipelines.edits.plan import PlanError, SavedPlan, load_plan
from pipeprof.pipelines.target.generated_files import delete_generated_files
from pipeprof.profiles.protocol.wrapped import WRAPPED
from pipeprof.profiles.worker.script.as_main import run_as_main
from pipeprof.profiles.worker.script.hand_out import HandOut
from pipeprof.profiles.worker.script.hooks import Hooks, Observer
from pipeprof.profiles.worker.script.import_watch import ImportWatch
from pipeprof.profiles.worker.script.observer import users_place

if TYPE_CHECKING:
    from pipeprof.profiles.worker.script.consumers import Place

_HOOKS = ("__iter__", "adapt", "on_test_begin", "on_test_end", "on_predict_begin", "on_predict_end")
_ROWS = tuple(row for row in WRAPPED if row.method in _HOOKS or row.owner == "distribute.Strategy")


class PlanObserver(Observer):
    """Hands out the planned dataset for the first one that the plan fits, and for those where that one is iterated.

    Attributes:
        why_not: Why the plan did not fit the datasets so far; None once it has fitted one.
    """

    def __init__(self, plan: SavedPlan, name: str) -> None:
        self._plan, self._name = plan, name
        self._hand_out = HandOut(self._planned)
        self._places: set[Place] = set()
        self._at: Place | None = None
        self._elsewhere = 0
        self.why_not: str | None = f"{name}: the script has iterated no dataset in Python"

    def given(self, dataset: Any) -> Any:
        """Return the planned dataset; validation, evaluation and prediction have their own."""
        if self._elsewhere:
            return dataset
        self._at = users_place()
        if self._hand_out.has(dataset):
            self._places.add(self._at)
        elif self._places and self._at not in self._places:
            return dataset
        return self._hand_out.of(dataset)

    def _planned(self, dataset: Any) -> Any:
        if all(isinstance(edit, SetEnvironment) for step in self._plan.steps for edit in step):
            self.why_not = None
            return dataset
        from pipeprof.pipelines.build.planned import planned
        from pipeprof.pipelines.graph.edit.errors import CannotEditError

        try:
            made = planned(dataset, self._plan, self._name)
        except (PlanError, CannotEditError) as error:
            if not self._places:
                self.why_not = str(error)
            return dataset
        if self._at is not None:
            self._places.add(self._at)
        self.why_not = None
        return made

    def adapting(self) -> None:
        """Leave the datasets of preprocessing layers alone."""
        self._elsewhere += 1

    def adapted(self) -> None:
        """Look at datasets again."""
        self._elsewhere -= 1

    def test_began(self, model: Any) -> None:
        """Leave the datasets of evaluation alone."""
        del model
        self._elsewhere += 1

    def test_ended(self) -> None:
        """Look at datasets again."""
        self._elsewhere -= 1

    def predict_began(self, model: Any) -> None:
        """Leave the datasets of prediction alone."""
        del model
        self._elsewhere += 1

    def predict_ended(self) -> None:
        """Look at datasets again."""
        self._elsewhere -= 1


def main() -> int:
    """Run ``PLAN SCRIPT [ARGS]``; the exit code is the script's, as its exceptions are."""
    name, script, *arguments = sys.argv[1:]
    observer = PlanObserver(load_plan(Path(name)), name)
    hooks = Hooks(observer, time.perf_counter_ns, _ROWS)

    def imported(library: str) -> None:
        hooks.install(library)
        if library == "tensorflow":
            delete_generated_files()

    ImportWatch(("tensorflow", "keras"), imported).begin()
    try:
        run_as_main(script, arguments)
    finally:
        if observer.why_not is not None:
            print(f"pipeprof: warning: the plan was not applied: {observer.why_not}", file=sys.stderr)
    return 0
