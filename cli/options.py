"""Options that several commands share, all options of ``pipeprof run``, and the parsing of their values."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import MISSING, dataclass, fields
from inspect import Parameter, Signature
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, cast, get_type_hints

import typer

from pipeprof.cli.formats.registry import extensions_of, names_of
from pipeprof.cli.gone import format_gone
from pipeprof.pipelines.errors import UsageError
from pipeprof.pipelines.steps import registry

if TYPE_CHECKING:
    from pipeprof.pipelines.steps.step import Step as ParsedStep
    from pipeprof.profiles.advise.proposal import Semantics
    from pipeprof.profiles.document.subject import DataSize

T = TypeVar("T")

COLORS = ("auto", "always", "never")
_CLOCK = re.compile(r"(?=.)(?:([0-9]+)h)?(?:([0-9]+)m(?:in)?)?(?:([0-9]+)s)?")
"""Hours, minutes and seconds, some of them."""
_WHOLE = re.compile(r"[+-]?[0-9]{1,30}")


def option(name: str, metavar: str, text: str) -> Any:
    """An option with a value; an empty name stands for that of the parameter."""
    return typer.Option(*filter(None, [name]), metavar=metavar, help=text)


def flag(*names_and_text: str) -> Any:
    """An option without a value: its names, then its help text."""
    *names, text = names_and_text
    return typer.Option(*names, help=text)


Text = str | None
Texts = list[str] | None
Target = Annotated[
    str,
    typer.Argument(
        metavar="TARGET",
        help="spec.yaml, file.py:function or package.module:function. `file.py` lists the functions of a file.",
    ),
]
Set = Annotated[
    Texts,
    option(
        "--set",
        "PATH=VALUE",
        "Override a value of the spec, e.g. stages.0.num_parallel_calls=4; null removes it. Repeatable.",
    ),
]
Env = Annotated[bool, flag("--env", "Replace ${VAR} and ${VAR:-default} in the spec from the environment.")]
Arg = Annotated[
    Texts, option("--arg", "NAME=VALUE", "Pass an argument to the function, converted by its annotation. Repeatable.")
]
NoPython = Annotated[bool, flag("--no-python", "Refuse specs and targets that run Python code.")]


def format_of(command: str) -> Any:
    """The option that chooses the format of a command's report."""
    return option("--format", "|".join(names_of(command)), "Output format on stdout.  [default: text]")


def out_of(command: str, what: str = "Also write the report to a file ({}); - is stdout. Repeatable.") -> Any:
    """The option that names the files of a command's report; its help text has a gap for the extensions."""
    *others, last = extensions_of(command)
    return option("--out", "FILE", what.format(f"{', '.join(others)} or {last}"))


Out = Annotated[Texts, out_of("run")]
Format = Annotated[Text, format_of("run")]
CheckFormat = Annotated[Text, format_of("check")]
RulesFormat = Annotated[Text, format_of("rules")]
"""Format of `rules` and `explain`."""
Json = Annotated[bool, flag("--json", "Same as --format json.")]
Force = Annotated[bool, flag("--force", "Let --out overwrite files that pipeprof did not write.")]
Color = Annotated[str, option("--color", "auto|always|never", "When to color the output.")]
Redact = Annotated[
    bool | None,
    typer.Option(
        "--redact/--no-redact",
        help="Remove paths, names and secrets.  [default: in html, md, junit, github and sarif]",
        show_default=False,
    ),
]
MemoryOfAll = Annotated[
    Text, option("", "SIZE", "Memory of all processes together, e.g. 8GiB.  [default: all available]")
]
Quiet = Annotated[bool, flag("-q", "--quiet", "Hide progress.")]
Verbose = Annotated[
    bool, flag("-v", "--verbose", "Print the complete report, and the phases with their times on stderr.")
]
SECTION_NAMES = (
    "verdict", "errors", "steps", "gaps", "pipeline", "time", "memory", "ledger", "conditions", "warnings", "output",
    "findings",
)  # fmt: skip
"""Names of the sections of the complete report, in their order."""
Section = Annotated[
    Texts,
    option(
        "--section",
        "NAME,...",
        f"Print only these sections of the complete report: {', '.join(SECTION_NAMES)}. Repeatable.",
    ),
]


Step = Annotated[Text, option("--step", "STEP", f"Training step: {registry.words()}.")]
Dispatch = Annotated[Text, option("--dispatch", "sync|N", "Wait for every step (sync), or allow N steps in flight.")]
Seed = Annotated[Text, option("--seed", "N", "Seed for TensorFlow's random ops.")]
Timeout = Annotated[
    Text,
    option(
        "--timeout",
        "SECONDS",
        "Give up when no step finishes, or the pipeline is not built, for this long; 5 times as long while a"
        " function that builds it takes more memory.  [default: 120]",
    ),
]
MaxTime = Annotated[Text, option("--max-time", "SECONDS", "Time limit for the whole command.")]
NoLock = Annotated[bool, flag("--no-lock", "Do not wait for another measurement to end.")]
ALLOWED: tuple[Semantics, ...] = ("same", "order", "randomness", "values")
"""Possible effects of a change on the data; ``same`` is none."""


@dataclass(frozen=True, kw_only=True)
class SharedOptions:
    """Options that every command that measures has, as typed."""

    sets: Set = None
    env: Env = False
    args: Arg = None
    no_python: NoPython = False
    step: Step = None
    dispatch: Dispatch = None
    seed: Seed = None
    timeout: Timeout = None
    max_time: MaxTime = None
    memory_limit: MemoryOfAll = None
    json: Json = False
    force: Force = False
    color: Color = "auto"
    redact: Redact = None
    no_lock: NoLock = False
    quiet: Quiet = False
    verbose: Verbose = False


DatasetSize = Annotated[
    Text,
    option(
        "",
        "SIZE",
        "Size of the whole data set if the target reads a sample, e.g. 1.2TB or 500000 (elements): for the size of"
        " a cache and the length of an epoch.",
    ),
]
NoCache = Annotated[bool, flag("--no-cache", "Leave out changes that add a cache.")]
Steps = Annotated[Text, option("", "N", "Measure at most this many steps.")]
AllowWrites = Annotated[bool, flag("--allow-writes", "Let a training script overwrite and delete files that exist.")]
AnyTarget = Annotated[
    str,
    typer.Argument(
        metavar="TARGET",
        help="spec.yaml, file.py:function, package.module:function or script.py: a training script, run as it is. "
        "`file.py:` lists the functions of a file.",
    ),
]
ScriptArgs = Annotated[Texts, typer.Argument(metavar="[-- ARGS]", help="Arguments of a training script.")]
Cold = Annotated[bool, flag("--cold", "Evict the source files from the page cache first.")]

From = Annotated[
    Text, option("--from", "PROFILE", "The profile that --change refers to.  [default: the latest run of the target]")
]


@dataclass(frozen=True, kw_only=True)
class RunOptions(SharedOptions):
    """All options of ``pipeprof run``, as typed."""

    target: AnyTarget
    script_args: ScriptArgs = None
    change: Annotated[Text, option("", "N", "Measure the pipeline with change N of its latest report.")] = None
    from_profile: From = None
    seconds: Annotated[Text, option("", "SECONDS", "Measure for this long.  [default: from the spec, else 10]")] = None
    steps: Steps = None
    soak: Annotated[
        Text,
        option(
            "", "DURATION", "Watch memory for this long, e.g. 20m: does it grow, what owns it, when does it run out."
        ),
    ] = None
    to_end: Annotated[bool, flag("--to-end", "Let a training script finish instead of ending it.")] = False
    allow_writes: AllowWrites = False
    cold: Cold = False
    memory_limit: Annotated[
        Text, option("", "SIZE", "Stop the pipeline above this memory, e.g. 8GiB.  [default: all available]")
    ] = None
    budget: Annotated[Text, option("", "SECONDS", "Time for trying the proposed changes.  [default: 30]")] = None
    dataset_size: DatasetSize = None
    no_cache: NoCache = False
    workers: Annotated[
        Text,
        option(
            "",
            "N",
            "Start a tf.data service with so many workers for the target: `service: local` of a spec, or {service} in"
            " an --arg.",
        ),
    ] = None
    no_verify: Annotated[
        bool, flag("--no-verify", "Do not try the proposed changes: findings are predictions only.")
    ] = False
    section: Section = None
    out: Out = None
    form: Format = None


@dataclass(frozen=True, kw_only=True)
class FixOptions(SharedOptions):
    """All options of ``pipeprof fix``, as typed."""

    target: AnyTarget
    script_args: ScriptArgs = None
    change: Annotated[Text, option("", "N", "Take change N of the latest report of `run`, without a new search.")] = (
        None
    )
    from_profile: From = None
    seconds: Annotated[
        Text,
        option(
            "", "SECONDS", "Measure the pipeline as it is for this long.  [default: a tenth of the budget, at most 4]"
        ),
    ] = None
    steps: Steps = None
    allow_writes: AllowWrites = False
    cold: Cold = False
    write: Annotated[bool, flag("--write", "Edit the spec in place; untouched lines stay as they are.")] = False
    out: Annotated[Texts, out_of("fix", "Write the result to a file ({}). Repeatable.")] = None
    form: Annotated[Text, format_of("fix")] = None
    allow: Annotated[
        Texts,
        option(
            "--allow", "CLASS,...", "What changes may do to the data: order, randomness or values.  [default: nothing]"
        ),
    ] = None
    budget: Annotated[
        Text, option("", "SECONDS", "How long to measure; starts and builds come on top.  [default: 60]")
    ] = None
    dataset_size: DatasetSize = None
    no_cache: NoCache = False
    force: Force = False
    memory_limit: Annotated[
        Text, option("", "SIZE", "Memory that the pipeline may take, e.g. 8GiB.  [default: all available]")
    ] = None


Options = TypeVar("Options")


def typed_command(command: Callable[[Options], None], options: type[Options]) -> Callable[..., None]:
    """Make a function with one parameter for each option of a command, as typer reads it."""

    def call(**given: Any) -> None:
        command(options(**given))

    hints = get_type_hints(options, include_extras=True)
    # In a help text, what only this command has comes first.
    shared = {field.name for field in fields(SharedOptions)}
    parameters = [
        Parameter(
            field.name,
            Parameter.KEYWORD_ONLY,
            annotation=hints[field.name],
            default=Parameter.empty if field.default is MISSING else field.default,
        )
        for field in sorted(fields(cast("Any", options)), key=lambda field: field.name in shared)
    ]
    call.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    call.__annotations__ = hints
    call.__name__, call.__doc__ = command.__name__, command.__doc__
    return call


def choice(flag: str, value: str, choices: Sequence[str]) -> str:
    """Return a value that is one of the choices.

    Raises:
        UsageError: The value is none of them.

    Example:
        >>> choice("--color", "never", COLORS)
        'never'
    """
    if value in choices:
        return value
    close = difflib.get_close_matches(value, choices, n=1, cutoff=0.7)
    meant = f" — did you mean {close[0]}?" if close else ""
    expected = " or ".join(filter(None, [", ".join(choices[:-1]), choices[-1]]))
    raise UsageError(f"{flag}: got {value!r}, expected {expected}{meant}")


def classes(values: Sequence[str] | None) -> list[Semantics]:
    """Parse the values of ``--allow``, each one or several words with commas between them.

    Raises:
        UsageError: A word is no class.

    Example:
        >>> classes(["order,values"]), classes(None)
        (['order', 'values'], [])
    """
    names = [name.strip() for text in values or () for name in text.split(",")]
    chosen = {choice("--allow", name, ALLOWED) for name in names}
    return [name for name in ALLOWED if name in chosen]


def report_format(value: str | None, *, json: bool, command: str = "run") -> str:
    """Return the format for stdout from ``--format`` and ``--json``.

    Raises:
        UsageError: The command has no such format, or the two contradict each other.
    """
    if value is None:
        return "json" if json else "text"
    if gone := format_gone(value):
        raise UsageError(f"--format: {gone}")
    chosen = choice("--format", value, names_of(command))
    if json and chosen != "json":
        raise UsageError(f"--json and --format {chosen} contradict each other: give one of them")
    return chosen


def duration(flag: str, text: str | None) -> float | None:
    """Parse seconds from ``10``, ``1.5s``, ``400ms``, ``20m`` or ``1h30m``; a number alone is seconds.

    Raises:
        UsageError: The text is no duration above 0.

    Example:
        >>> duration("--seconds", "2min"), duration("--soak", "1h30m"), duration("--seconds", None)
        (120.0, 5400.0, None)
    """
    from pipeprof.pipelines.ops.values.units import LONGEST_SECONDS, parse_duration

    if text is None:
        return None
    parts = _CLOCK.fullmatch(text.strip())
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = _seconds_of(parts) if parts is not None else parse_duration(text)
        except ValueError:
            seconds = math.nan
    if not 0 < seconds <= LONGEST_SECONDS:
        most = f"at most {LONGEST_SECONDS // 86400} days"
        msg = f"{flag}: got {text!r}, expected a duration above 0 such as 10 (seconds), 1.5s, 20m or 1h30m, {most}"
        raise UsageError(msg)
    return seconds


def age_of(flag: str, text: str) -> float:
    """Parse an age in seconds: days, or a duration with a unit, since files are removed by it.

    Raises:
        UsageError: It is none of these.

    Example:
        >>> age_of("--older", "30d"), age_of("--older", "12h")
        (2592000.0, 43200.0)
    """
    if text.strip().isdecimal():
        raise UsageError(f"{flag}: {text} has no unit — did you mean {text.strip()}d, {text.strip()} days?")
    days = text.strip().removesuffix("d")
    if text.strip().endswith("d") and days.isdecimal() and int(days) > 0:
        return 86_400.0 * int(days[:6])
    try:
        return duration(flag, text) or 0.0
    except UsageError:
        raise UsageError(f"{flag}: got {text!r}, expected an age such as 30d, 12h or 90m") from None


def _seconds_of(clock: re.Match[str]) -> float:
    hours, minutes, seconds = (float(part or 0) for part in clock.groups())
    return 3600 * hours + 60 * minutes + seconds


def whole(flag: str, text: str | None, least: int = 1) -> int | None:
    """Parse a whole number that fits into 64 bits.

    Raises:
        UsageError: The text is no whole number, or it is too small or too large.

    Example:
        >>> whole("--steps", "500")
        500
    """
    if text is None:
        return None
    if _WHOLE.fullmatch(text) and least <= (number := int(text)) < 2**63:
        return number
    raise UsageError(f"{flag}: got {text[:30]!r}, expected a whole number from {least}, below 2**63")


def byte_size(flag: str, text: str | None) -> int | None:
    """Parse bytes from ``8GiB``, ``500MB`` or a plain number.

    Raises:
        UsageError: The text is no size above 0.

    Example:
        >>> byte_size("--memory-limit", "8GiB")
        8589934592
    """
    from pipeprof.pipelines.ops.values.units import meant_size, parse_size

    size = _parse(flag, text, lambda value: parse_size(int(value) if value.isdecimal() else value))
    if size == 0:
        raise UsageError(f"{flag}: got {text!r}, expected a size above 0 such as 8GiB")
    if (meant := meant_size(text)) is not None:
        raise UsageError(f"{flag}: {text} without a unit is a number of bytes — did you mean {meant}?")
    return size


def dataset_size(text: str | None) -> DataSize | None:
    """Parse bytes with a unit (``1.2TB``), or elements (``500000``, ``500000 elements``).

    Raises:
        UsageError: The text is neither.

    Example:
        >>> dataset_size("1.2TB").bytes, dataset_size("500,000 elements").elements
        (1200000000000, 500000)
    """
    if text is None:
        return None
    from pipeprof.profiles.document.subject import DataSize

    number = text.lower().removesuffix("elements").strip().replace(",", "").replace("_", "")
    if number.isdecimal():
        return DataSize(elements=whole("--dataset-size", number))
    try:
        return DataSize(bytes=byte_size("--dataset-size", text))
    except UsageError:
        expected = "a size such as 1.2TB, or a number of elements such as 500000"
        raise UsageError(f"--dataset-size: got {text!r}, expected {expected}") from None


def dispatch(text: str | None) -> int | Literal["sync"] | None:
    """Parse ``sync`` or a number of steps in flight.

    Raises:
        UsageError: The text is neither.

    Example:
        >>> dispatch("sync"), dispatch("2")
        ('sync', 2)
    """
    if text is None or text == "sync":
        return "sync" if text else None
    if text.isdecimal() and int(text) >= 1:
        return int(text)
    raise UsageError(f"--dispatch: got {text!r}, expected sync or a number of steps in flight such as 1")


def step(text: str | None) -> ParsedStep | None:
    """Parse ``none``, or a kind of the registry with its value, such as ``simulate:12ms``.

    Raises:
        UsageError: The text is none of them.
    """
    from pipeprof.pipelines.steps.step import parse_step

    kind, colon, value = (text or "none").partition(":")
    written = [known.name for known in registry.written_kinds()]
    if kind != "none" and not (colon and kind in written):
        from pipeprof.pipelines.suggest import suggest, suggest_value

        begun = [name for name in written if len(kind) > 1 and name.startswith(kind)]
        meant = begun[0] if len(begun) == 1 else suggest(kind, written)
        other = f" — did you mean {meant}:{value or '…'}?" if meant else ""
        if re.fullmatch(r"\d[\d.]*\s*[a-z]*", kind):
            other = f" — did you mean simulate:{suggest_value(kind, 'duration') or kind}?"
        raise UsageError(f"--step: got {text!r}, expected {registry.words()}{other}")
    return _parse("--step", text, parse_step)


def _parse(flag: str, text: str | None, read: Callable[[str], T]) -> T | None:
    if text is None:
        return None
    try:
        return read(text)
    except ValueError as error:
        raise UsageError(f"{flag}: {_message(error)}") from None


def _message(error: ValueError) -> str:
    """Return the message of a validation error, for pydantic's own that of its first part."""
    from pydantic import ValidationError

    if isinstance(error, ValidationError):
        return str(error.errors(include_url=False)[0]["msg"])
    return str(error)
