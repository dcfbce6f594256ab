"""What a run concludes."""

from collections.abc import Iterable
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, ConfigDict, Field, ValidationError

from pipeprof.pipelines.changes.edits import PipelineEdit, known_edits, to_document
from pipeprof.profiles.document.base import Bound, Limit, Location, Model

Facts: TypeAlias = dict[str, Any]
"""Numbers and words by their names."""

UNVERIFIED = "not tried"
"""Reason of a finding whose change was not measured."""
FAILED = "the edited pipeline "
"""Begins the reason of a finding whose change made the pipeline fail."""


class VerdictDetail(Model):
    """One line below the verdict's headline."""

    label: str
    """`because`, `limit`, `memory`, …"""
    text: str
    """What stands after the label."""


class Verdict(Model):
    """A headline with its details, and the quantities behind it."""

    bound: Bound | None = None
    """`input` from 20 % of the time waiting for data, `step` below 5 %, else `balanced`; `None` without a step."""
    limit: Limit | None = None
    """The resource that sets the rate; `None` where no measurement shows one."""
    stage: str | None = None
    """Address of the bottleneck, else of what has most of the work or is thrown away; `None` where there is none."""
    headspace_share: float | None = None
    """As `headspace.share`."""
    disturbed: bool | None = None
    """Other processes took cores that the worker's threads waited for (warning `disturbed`); `None` if unknown."""
    headline: str = ""
    """The conclusion in one line."""
    details: list[VerdictDetail] = Field(default_factory=list)
    """The lines below the headline, in their order."""
    sentence: str
    """Headline and details as one text."""


class Edit(Model):
    """A change that a finding proposes: its `kind`, and the fields that belong to the kind."""

    model_config = ConfigDict(extra="allow")

    kind: str | None = None
    """`InsertStage`, `SetArgument`, `MoveStage`, `SetOption`, …"""


def documents_of(edits: Iterable[PipelineEdit]) -> list[Edit]:
    """Edits as a profile has them."""
    return [Edit(**to_document(edit)) for edit in edits]


def edits_in(documents: Iterable[Edit]) -> tuple[PipelineEdit, ...]:
    """The edits of a profile that this version knows, in their order."""
    return tuple(known_edits(document.model_dump() for document in documents))


class Predicted(Model):
    """What a finding's edit should bring."""

    speedup: float | None = Field(None, gt=0)
    """Steps per second with the edit over without."""
    peak_rss_delta_bytes: int | None = None
    """Change of peak memory; negative saves."""
    wait_ms: float | None = None
    """Wait of the step per batch with the edit; without a step the whole interval."""
    formula: str | None = None
    """How it was worked out, with the numbers in it."""


class Effect(Model):
    """The fields of a measured effect that reports read; it may have others."""

    model_config = ConfigDict(extra="allow")

    speedup: float | None = None
    """Steps per second with the edit over without: geometric mean of the pairs."""
    low: float | None = None
    """Lower end of the interval at 98 %."""
    high: float | None = None
    """Upper end."""
    pairs: list[float] | None = None
    """Ratio of each pair."""
    peak_rss_delta_bytes: float | None = None
    """Change of peak memory; negative saves."""
    mode: str | None = None
    """As `verification.mode`."""
    data: str | None = None
    """Comparison of the first batches, in words."""
    conclusion: str | None = None
    """Of an upper bound: what limits the rate then."""
    at_least: bool | None = None
    """Of an upper bound: it lies above, as handing out what the stage gave took most of the time and is counted."""
    at_limit: str | None = None
    """Of a gain above that of a pipeline that costs nothing, to which all numbers are cut: what it means, in words."""
    uncut: Facts | None = None
    """Of such a gain: the numbers as they were measured."""


def _is_effect(value: Facts) -> Facts:
    try:
        Effect.model_validate(value)
    except ValidationError as error:
        fault = error.errors()[0]
        raise ValueError(f"{'.'.join(map(str, fault['loc']))}: {fault['msg'].lower()}") from None
    return value


class _EffectSchema:
    """The schema of an effect, built when the document's schema is."""

    def __get_pydantic_json_schema__(self, _core: Any, _handler: Any) -> Any:
        """Called by pydantic for the document's schema."""
        return Effect.model_json_schema()


MeasuredEffect = Annotated[Facts, AfterValidator(_is_effect), _EffectSchema()]


class Kept(Model):
    """What a change keeps in memory from the first epoch on: it gains only in later ones."""

    sample_bytes: int | None = None
    """Of the data that were measured; `None` if unknown."""
    bytes: int | None = None
    """Of the whole data set; `None` without `--dataset-size`, and where it does not tell."""


class Unfinished(Model):
    """A measurement that shows a gain and ended before it could be decided."""

    pairs: int
    """Pairs that were measured."""
    needed: int
    """Pairs after which it is decided next."""
    budget_seconds: int
    """The `--budget` with which the same command measures as many."""


class Finding(Model):
    """Something seen, with its evidence and its status."""

    # It stands in commands to paste: a file with another text in its place is no profile.
    rule: str = Field(pattern=r"^[a-z][a-z0-9-]*$")
    """Name of the rule; `pipeprof rules NAME` explains it."""
    title: str
    """The change in a few words."""
    family: Literal["memory", "speed", "correctness"] | None = None
    """What it improves."""
    stage: str | None = None
    """Address of the stage that it is about."""
    location: Location | None = None
    """Line of that stage."""
    sentence: str | None = None
    """What was seen, in numbers, and why it matters here."""
    evidence: Facts = Field(default_factory=dict)
    """The numbers behind the sentence; names carry their unit."""
    recommendation: str | None = None
    """The fix in words, whatever the status."""
    semantics: Literal["same", "order", "randomness", "values"] | None = None
    """What the fix may change of the data."""
    redrawn: Literal["order", "randomness"] | None = None
    """What the fix changes of what each run draws anew anyway, as nothing has a seed: an order, or random numbers. Its
    class is `same` then, and data are compared as this one permits."""
    edit: Edit | list[Edit] | None = None
    """The change as data; several where they belong together. `None` where pipeprof cannot make it."""
    patch: str | None = None
    """The fix as a diff of the spec's own file, else as lines of YAML."""
    python: str | None = None
    """Lines of Python that only the user can put into the code."""
    diff: str | None = None
    """The fix as a diff of Python files. `None` for a spec, whose `patch` is one, and where the text has no place for
    it; empty in a report of a saved profile: `fix --change` makes it of the files as they are."""
    change: str | None = None
    """The change in one line, e.g. `num_parallel_calls: 1 → 8`."""
    in_spec: bool = False
    """The change can be made in the data of the spec: `--change` makes it."""
    predicted: Predicted | None = None
    """`None` where it cannot be predicted."""
    measured: MeasuredEffect | None = None
    """With `status: ceiling`, an upper bound: `replayed` are the stages that a replay of their outputs has replaced,
    `other_cpu_ms_per_batch` is the CPU time of everything else, `cores_needed` those that the step would need for it,
    `conclusion` is set where the cores are the limit then."""
    cache: Kept | None = None
    """Of a change that keeps elements for later epochs."""
    status: Literal["kept", "rejected", "ceiling", "unverified"]
    """`kept`: measured, and holds. `rejected`: measured, and does not. `ceiling`: a bound. `unverified`: undecided."""
    reason: str | None = None
    """Why the status is what it is."""
    unfinished: Unfinished | None = None
    """Of `status: unverified`: what was measured shows a gain, and more pairs decide about it."""

    @property
    def documents(self) -> list[Edit]:
        """The edits as they are written, in their order."""
        if self.edit is None:
            return []
        return list(self.edit) if isinstance(self.edit, list) else [self.edit]

    @property
    def edits(self) -> tuple[PipelineEdit, ...]:
        """The edits that this version knows, in their order."""
        return edits_in(self.documents)

    def name_budget(self, seconds: int) -> None:
        """Say in which budget it is decided, where that is not known yet."""
        if self.unfinished is not None:
            self.unfinished = self.unfinished.model_copy(update={"budget_seconds": seconds})
            self.reason = f"{self.reason}: --budget {seconds}"

    @property
    def is_known(self) -> bool:
        """Whether there are edits, and this version knows all of them."""
        return 0 < len(self.edits) == len(self.documents)


class NotTried(Model):
    """Changes that were not measured, for one reason."""

    reason: str
    """In words."""
    changes: list[str]
    """Each with its place, or its title where it takes more than one line."""
    out_of_budget: bool = False
    """Whether it is the budget that had no time for them."""


class Verification(Model):
    """How the edits of findings were tried."""

    seconds: float
    """How long it took, starts of processes included."""
    budget_seconds: float
    """That was given: `--budget`."""
    mode: Literal["alternating", "sequential"]
    """`alternating`: two processes of the pipeline and one of each change take turns, block by block, in rounds.
    `sequential`: one process exists at a time, and a round is one process of each."""
    tried: int
    """How many edits were tried."""
    without_gain: list[str] = Field(default_factory=list)
    """Edits that were only worth a try, with what was measured."""
    undecided: list[str] = Field(default_factory=list)
    """The same for edits whose gain stays unknown: their interval is too wide."""
    bounds: list[str] = Field(default_factory=list)
    """Stages that a replay of their outputs has replaced without a gain, with what was measured."""
    not_tried: list[NotTried] = Field(default_factory=list)
    """Changes that are no findings and were not tried, by the reason."""
    needs_seconds: int | None = None
    """The `--budget` with which the same command measures a first change, or the upper bound that the verdict names."""
    block_seconds: float
    """Length of a block; a pair is two of them."""
    same: list[float] | None = None
    """The pipeline in one process over the same in another: ratio, low, high at 98 %."""
    apart: float | None = None
    """The most that two processes of one pipeline, as it is or with a change, were apart: a ratio from 1 on."""


class FixStep(Model):
    """One change that a search tried, on the best pipeline that it had then."""

    round: int
    """Number of the race: changes of one race were measured side by side."""
    title: str
    """The change in a few words."""
    change: str | None = None
    """The change in one line."""
    rule: str | None = None
    """Of the finding that proposed it, if one did."""
    stage: str | None = None
    """Address of the stage that it is about."""
    semantics: Literal["same", "order", "randomness", "values"] | None = None
    """What it may change of the data."""
    redrawn: Literal["order", "randomness"] | None = None
    """As `findings[].redrawn`."""
    edit: list[Edit] = Field(default_factory=list)
    """With the addresses of the pipeline it was tried on."""
    predicted: float | None = None
    """Predicted factor, where there was one."""
    cache: Kept | None = None
    """As `findings[].cache`."""
    result: Literal["taken", "behind", "rejected", "unclear", "not-tried"]
    """`behind`: it helps, another one of the race helps more."""
    reason: str
    """Why the result is what it is."""
    speedup: float | None = None
    """Steps per second over those of the best pipeline so far."""
    low: float | None = None
    """Lower end of the interval at 98 %."""
    high: float | None = None
    """Upper end; `None` of a single round."""
    ratios: list[float] = Field(default_factory=list)
    """Of each round."""
    peak_bytes: int | None = None
    """Peak memory of a process with the change."""
    peak_rss_delta_bytes: int | None = None
    """Peak over that of the best so far; negative saves."""
    data: str | None = None
    """Comparison of the first batches, in words."""


class LeftOut(Model):
    """A change that a search did not try: it may do to the data what ``--allow`` did not name."""

    title: str
    """The change in a few words."""
    change: str | None = None
    """The change in one line."""
    semantics: Literal["same", "order", "randomness", "values"]
    """What it may change of the data."""
    speedup: float | None = None
    """Steps per second with it over without; `None` if unknown."""
    low: float | None = None
    """Lower end of the measured interval at 98 %."""
    high: float | None = None
    """Upper end."""
    known_by: Literal["measured", "predicted"] | None = None
    """`measured`: by an earlier run of the same pipeline, whose files are unchanged."""
    allow: str
    """The flag that lets a search try it, `--allow order`."""


class Fix(Model):
    """A search for the best proven pipeline."""

    status: Literal["fixed", "taken", "nothing", "not-proven", "interrupted"]
    """`fixed`: the best pipeline was measured against the one as it is, and holds. `taken`: a change that an earlier
    run has measured (`fix --change`); nothing was measured now. `interrupted`: only its steps were measured."""
    reason: str
    """Why it is so, and why the search ended."""
    seconds: float
    """Of measuring: windows of runs, and turns with their warm-ups; starts and builds are not in it."""
    budget_seconds: float
    """That was given: `--budget`."""
    wall_seconds: float
    """The run and the search, starts of processes and builds included."""
    allow: list[str]
    """What the changes may change of the data."""
    left_out: list[LeftOut] = Field(default_factory=list)
    """Changes that were not tried because `allow` lacks their class, measured ones first."""
    steps: list[FixStep] = Field(default_factory=list)
    """All changes that were tried, in the order of the races."""
    edits: list[list[Edit]] = Field(default_factory=list)
    """The best pipeline's changes, step by step; the addresses are those of the pipeline that the last step made."""
    environment: dict[str, str] = Field(default_factory=dict)
    """Variables that belong to it."""
    semantics: Literal["same", "order", "randomness", "values"] | None = None
    """What the best pipeline's changes may change of the data, all together."""
    redrawn: Literal["order", "randomness"] | None = None
    """As `findings[].redrawn`."""
    measured: MeasuredEffect | None = None
    """The best pipeline against the one as it is, in one session; as `findings[].measured`."""
    unfinished: Unfinished | None = None
    """As `findings[].unfinished`, of the proof."""
    needs_seconds: int | None = None
    """The `--budget` in which a change can be tried and proven, where this one was too small."""
    peak_bytes: int | None = None
    """Largest peak of the best pipeline in the proof."""
    peak_before_bytes: int | None = None
    """Peak of the pipeline as it is: `peak_bytes` and the smaller fall of two pairs; without a proof, of the run."""
    text: str | None = None
    """The changed spec's own file."""
    diff: str | None = None
    """The same as a diff, from the file as it is; of a Python file as well."""
    changes: list[str] = Field(default_factory=list)
    """The changes in words."""

    @property
    def best_left_out(self) -> LeftOut | None:
        """The change that is worth most, of those that were left out and whose worth is known."""
        return next((change for change in self.left_out if change.speedup is not None), None)
