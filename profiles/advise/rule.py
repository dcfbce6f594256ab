"""Rules: what one is, the table of their thresholds, and the registry that finds them."""

from __future__ import annotations

import contextlib
import functools
import graphlib
import importlib
import inspect
import pkgutil
import re
from abc import ABC
from collections.abc import Iterable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import field
from typing import TYPE_CHECKING, ClassVar, Final, Literal, get_args

from pipeprof.pipelines.edits.edits import PipelineEdit
from pipeprof.pipelines.records import dataclass
from pipeprof.profiles.view.view import PipelineView

if TYPE_CHECKING:
    from pipeprof.profiles.document.base import Location

Semantics = Literal["same", "order", "randomness", "values"]
SEMANTICS: Final[tuple[Semantics, ...]] = get_args(Semantics)
Family = Literal["memory", "speed", "correctness"]


_TRYING: ContextVar[bool] = ContextVar("trying", default=False)


@contextlib.contextmanager
def bar_to_try() -> Iterator[None]:
    """Let rules propose what is worth a try: within it, thresholds have their second values."""
    token = _TRYING.set(True)
    try:
        yield
    finally:
        _TRYING.reset(token)


def trying() -> bool:
    """Whether rules propose what is worth a try, not what they are sure of."""
    return _TRYING.get()


@dataclass(frozen=True)
class Threshold:
    """A number that a rule compares with; a second one where a measurement decides about what it proposes.

    Attributes:
        to_report: The number from which a rule is sure: its finding is reported without a try.
        unit: Its unit, empty for a plain number.
        source: Reason for the number, in a few words.
        to_try: The number from which its edit is worth a try; nothing is reported unless it helps. The same if None.
    """

    name: str
    to_report: float
    unit: str
    source: str
    to_try: float | None = None

    @property
    def value(self) -> float:
        """The number that counts now."""
        return self.to_try if self.to_try is not None and trying() else self.to_report


@dataclass(frozen=True)
class Prediction:
    """Predicted effect of an edit.

    Attributes:
        formula: Calculation, with its numbers.
        speedup: Steps per second with the edit over without.
        peak_rss_delta_bytes: Change of peak memory; negative saves.
        wait_ms: Wait of the step per batch with the edit, in milliseconds; without a step the whole interval.
    """

    formula: str
    speedup: float | None = None
    peak_rss_delta_bytes: int | None = None
    wait_ms: float | None = None


@dataclass(frozen=True)
class RuleHit:
    """Result of a rule, before it becomes a finding of the profile.

    Attributes:
        sentence: Observation in numbers, and why it matters on this pipeline.
        evidence: Numbers behind the sentence, flat; names carry their unit.
        semantics: Class of the change; None for the rule's own.
        change_detail: The change in numbers, for the one-line description of the edits.
        covers: Addresses of all stages that the hit is about, where that is more than `stage`.
        title: In place of the rule's, where it names a stage.
        location: The user's line, where no stage has it.
        by_hand: Whose Python to show, where that is other code than the edits'.
    """

    sentence: str
    recommendation: str
    stage: str | None = None
    evidence: Mapping[str, float | int | str | bool] = field(default_factory=dict)
    edits: tuple[PipelineEdit, ...] = ()
    predicted: Prediction | None = None
    semantics: Semantics | None = None
    change_detail: str | None = None
    covers: tuple[str, ...] = ()
    title: str | None = None
    location: Location | None = None
    by_hand: PipelineEdit | None = None

    @property
    def stages(self) -> frozenset[str]:
        """Addresses of the stages that the hit is about."""
        return frozenset(self.covers or ((self.stage,) if self.stage is not None else ()))


class Rule(ABC):
    """One thing that can be wrong with a pipeline.

    A rule is silent unless it is sure of its condition: what it needs and does not know keeps it silent. With
    `bar_to_try` it proposes more: its edits are then measured, and those that do not help stay unreported.

    The docstring of a rule is its documentation for users (`pipeprof explain`, SARIF, JSON): its sections "Seen:",
    "Why:", "Fix:" and "Ignore when:" become the attributes `seen`, `why`, `fix` and `ignore_when`.

    Attributes:
        name: Kebab-case name, the only identifier that users see.
        family: ``speed`` findings need waiting and headspace; the others stand whatever these are.
        semantics: Effect of the fix on the data.
        yields_to: Names of the rules that silence it where they have a hit about one of the same stages.
        reports_untried: Whether it is ever sure; else its edits are only tried.
        pays_in_step: Whether its fix makes the step faster, not the pipeline: waiting and headspace do not count then.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    family: ClassVar[Family]
    semantics: ClassVar[Semantics]
    seen: ClassVar[str] = ""
    why: ClassVar[str] = ""
    fix: ClassVar[str] = ""
    ignore_when: ClassVar[str] = ""
    thresholds: ClassVar[tuple[Threshold, ...]] = ()
    yields_to: ClassVar[tuple[str, ...]] = ()
    reports_untried: ClassVar[bool] = True
    pays_in_step: ClassVar[bool] = False

    def __init_subclass__(cls) -> None:
        _, *sections = re.split(r"\n*^(Seen|Why|Fix|Ignore when):\n", inspect.cleandoc(cls.__doc__ or ""), flags=re.M)
        for heading, text in zip(sections[::2], sections[1::2], strict=True):
            paragraphs = [" ".join(paragraph.split()) for paragraph in text.split("\n\n")]
            setattr(cls, heading.lower().replace(" ", "_"), "\n\n".join(paragraphs))

    def check(self, view: PipelineView) -> Iterable[RuleHit]:
        """Judge without a run; also called on measured views, unless `diagnose` differs."""
        del view
        return ()

    def diagnose(self, view: PipelineView) -> Iterable[RuleHit]:
        """Judge with the measurement."""
        return self.check(view)

    @classmethod
    def threshold(cls, name: str) -> float:
        """The value of one of the rule's thresholds."""
        return next(threshold.value for threshold in cls.thresholds if threshold.name == name)


@functools.cache
def rules() -> Mapping[str, Rule]:
    """All rules by name, in alphabetical order."""
    package = importlib.import_module("pipeprof.profiles.advise.rules")
    found: dict[str, Rule] = {}
    for module_info in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        module = importlib.import_module(module_info.name)
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, Rule) and value.__module__ == module.__name__:
                found[value.name] = value()
    return dict(sorted(found.items()))


def by_precedence(rules: Mapping[str, Rule]) -> list[Rule]:
    """Order rules so that each comes after those it yields to.

    Raises:
        graphlib.CycleError: Rules yield to each other.
    """
    sorter = graphlib.TopologicalSorter(
        {name: [other for other in rule.yields_to if other in rules] for name, rule in rules.items()}
    )
    return [rules[name] for name in sorter.static_order()]
