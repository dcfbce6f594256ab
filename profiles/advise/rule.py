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
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import ClassVar

from pipeprof.profiles.propose.proposal import Family, Proposal, Semantics
from pipeprof.profiles.view.view import PipelineView

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
        pays_in_restarts: Whether its fix makes starts of epochs shorter as well.
        in_training: Whether it is about a training script as a whole; it needs no stages.
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
    pays_in_restarts: ClassVar[bool] = False
    in_training: ClassVar[bool] = False

    def __init_subclass__(cls) -> None:
        _, *sections = re.split(r"\n*^(Seen|Why|Fix|Ignore when):\n", inspect.cleandoc(cls.__doc__ or ""), flags=re.M)
        for heading, text in zip(sections[::2], sections[1::2], strict=True):
            paragraphs = [" ".join(paragraph.split()) for paragraph in text.split("\n\n")]
            setattr(cls, heading.lower().replace(" ", "_"), "\n\n".join(paragraphs))

    def check(self, view: PipelineView) -> Iterable[Proposal]:
        """Judge without a run; also called on measured views, unless `diagnose` differs."""
        del view
        return ()

    def diagnose(self, view: PipelineView) -> Iterable[Proposal]:
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
        found |= {rule.name: rule for rule in _rules_in(module)}
    return dict(sorted(found.items()))


def _rules_in(module: ModuleType) -> Iterator[Rule]:
    for value in vars(module).values():
        if isinstance(value, type) and issubclass(value, Rule) and value.__module__ == module.__name__:
            yield value()


@functools.cache
def rule_named(name: str) -> Rule | None:
    """One rule; of the others no module is loaded where this one's has its name, which saves most of the time."""
    package = importlib.import_module("pipeprof.profiles.advise.rules")
    # The name may come from somebody else's profile.
    file = f"{name.replace('-', '_')}.py" if re.fullmatch(r"[a-z0-9-]+", name) else None
    if file is None:
        return None
    for folder in map(Path, package.__path__):
        for path in folder.rglob(file):
            parts = path.relative_to(folder).with_suffix("").parts
            for rule in _rules_in(importlib.import_module(".".join((package.__name__, *parts)))):
                if rule.name == name:
                    return rule
    return rules().get(name)


def by_precedence(rules: Mapping[str, Rule]) -> list[Rule]:
    """Order rules so that each comes after those it yields to.

    Raises:
        graphlib.CycleError: Rules yield to each other.
    """
    sorter = graphlib.TopologicalSorter(
        {name: [other for other in rule.yields_to if other in rules] for name, rule in rules.items()}
    )
    return [rules[name] for name in sorter.static_order()]
