"""Numbers and stages as sentences name them, the same in the verdict and in every report."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Final, Protocol

from pipeprof.pipelines.meaning.traits import traits

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pipeprof.profiles.document.base import Location
    from pipeprof.profiles.document.memory import MemoryGrowth
    from pipeprof.profiles.document.stages import Stage

PROFILE_CALL = "pipeprof.profile"
"""What ended a measurement that this call has made."""
NOTEBOOK_CELL = "the cell"
"""What ended a measurement of a notebook's cell."""
LAST_DIGITS = "the last digits of floating-point numbers"
"""In which data differ where rounding differs."""
NOT_REPRODUCIBLE = "the pipeline does not give the same data twice, two processes of the pipeline itself differ"
"""Why data differ that a change cannot have changed."""
_BINARY = ((1024**4, "TiB"), (1024**3, "GiB"), (1024**2, "MiB"), (1024, "KiB"), (1, "B"))

_ABSURD = 1e300
"""No measurement is as large; beyond it rounding itself fails."""
_NAMED_IN_A_ROW = 3
MOST_LABELS = 8
"""Stages that a sentence names; the others are counted."""
_SMALL_RATIO = 0.1
"""A smaller ratio is written as a fraction: 1/51× says more than 0.0197×."""


class NamedStage(Protocol):
    """A stage of the document or of a view."""

    @property
    def name(self) -> str | None:
        """The user's name."""
        ...

    @property
    def op(self) -> str:
        """As written, e.g. ``map``."""
        ...

    @property
    def location(self) -> Location | None:
        """The user's line."""
        ...


CAUSE_WORDS: Final[Mapping[str, str]] = {
    "pipeline": "waits for data",
    "copy": "copy to the device",
    "compile": "compilation",
    "memory": "allocation",
    "sync": "waits for results",
    "op": "preparing operations",
    "python": "Python between steps",
    "launch": "launch of the step",
    "device-wait": "waits for other work",
    "pipeprof": "pipeprof itself",
    "unknown": "unknown",
}
"""Why a device has nothing to do, by the cause."""


def significant(value: float, digits: int = 3) -> str:
    """A number rounded to ``digits`` significant digits, without exponent and with commas between thousands.

    Example:
        >>> significant(1234.5), significant(12.34), significant(0.04567), significant(0)
        ('1,230', '12.3', '0.0457', '0')
    """
    if not abs(value) < _ABSURD:
        return "n/a"
    if value == 0:
        return "0"
    decimals = digits - 1 - math.floor(math.log10(abs(value)))
    rounded = round(value, decimals)
    if rounded and math.floor(math.log10(abs(rounded))) > math.floor(math.log10(abs(value))):
        decimals -= 1
    return f"{rounded:,.{max(decimals, 0)}f}"


def count(value: float) -> str:
    """A mean number of elements, calls or steps, whole where it nearly is.

    Example:
        >>> count(31.98), count(2.5), count(12800.0)
        ('32', '2.50', '12,800')
    """
    whole = round(value)
    return f"{whole:,}" if whole and abs(value - whole) < 0.01 * whole else significant(value)


def ratio_text(ratio: float) -> str:
    """A ratio of two values.

    Example:
        >>> ratio_text(1.121), ratio_text(0.0197)
        ('1.12×', '1/50.8×')
    """
    if 0 < ratio < _SMALL_RATIO:
        return f"1/{significant(1 / ratio)}×"
    return f"{significant(ratio)}×"


def span_text(low: float, high: float) -> str:
    """The ends of an interval of a ratio.

    Example:
        >>> span_text(1.1, 1.14), span_text(0.0193, 0.0201)
        ('1.10–1.14', '1/51.8–1/49.8')
    """
    return f"{ratio_text(low).removesuffix('×')}–{ratio_text(high).removesuffix('×')}"


def percent(share: float) -> str:
    """A share between 0 and 1 as a percentage, one decimal below 10 %.

    Example:
        >>> percent(0.384), percent(0.0496), percent(0.0002), percent(0)
        ('38 %', '5.0 %', '<0.1 %', '0 %')
    """
    hundredths = share * 100
    if not math.isfinite(hundredths):
        return "n/a"
    if hundredths == 0:
        return "0 %"
    if abs(hundredths) < 0.1:
        return "<0.1 %"
    return f"{hundredths:.1f} %" if abs(hundredths) < 9.95 else f"{hundredths:.0f} %"


def cores_text(cores: float) -> str:
    """A number of cores.

    Example:
        >>> cores_text(2), cores_text(1), cores_text(1.05842)
        ('2 cores', '1 core', '1.06 cores')
    """
    number = f"{round(cores, 2) or 0.0:g}"
    return f"{number} core{'' if number == '1' else 's'}"


def free_pipeline_text(share: float) -> str:
    """State that nothing is left to gain, from the share of the time that a free pipeline would save.

    Example:
        >>> free_pipeline_text(0.021), free_pipeline_text(0.0)
        ('even a free pipeline would save only 2.1 %', 'even a free pipeline would not be faster')
    """
    saved = percent(share)
    return "even a free pipeline would " + (f"save only {saved}" if saved != "0 %" else "not be faster")


def milliseconds(value: float) -> str:
    """A duration given in milliseconds in the unit that reads best.

    Example:
        >>> milliseconds(12.34), milliseconds(0.0456), milliseconds(1234)
        ('12.3 ms', '45.6 µs', '1.23 s')
    """
    unit, factor = ("s", 1000.0) if 1_000 <= abs(value) < math.inf else unit_of_ms(value)
    return f"{significant(value / factor)} {unit}"


def unit_of_ms(value: float) -> tuple[str, float]:
    """The unit in which a duration given in milliseconds reads best, and how many milliseconds it has.

    Example:
        >>> unit_of_ms(0.05), unit_of_ms(0), unit_of_ms(12345)
        (('µs', 0.001), ('ms', 1.0), ('s', 1000.0))
    """
    if 0 < abs(value) < 0.1:
        return "µs", 0.001
    return ("s", 1000.0) if 10_000 <= abs(value) < math.inf else ("ms", 1.0)


def part_of(part_ms: float, whole_ms: float) -> str:
    """Two durations in one unit, as a part of a repeated whole.

    Example:
        >>> part_of(31.8, 52.2), part_of(0.038, 60.1), part_of(0.012, 0.03), part_of(123.4, 1234.5)
        ('32 of every 52 ms', '0.038 of every 60 ms', '12 of every 30 µs', '123 of every 1,234 ms')
    """
    factor, unit = (1000.0, "µs") if whole_ms < 0.1 else (0.001, "s") if whole_ms >= 10_000 else (1.0, "ms")

    def short(value: float) -> str:
        return f"{value:,.0f}" if 9.95 <= abs(value) < _ABSURD else significant(value, 2)

    return f"{short(part_ms * factor)} of every {short(whole_ms * factor)} {unit}"


def size(nbytes: float | None) -> str:
    """Bytes in prose, in binary units; ``n/a`` if not known.

    Example:
        >>> size(500_000_000), size(8), size(-2_050_000_000), size(None)
        ('477 MiB', '8 B', '-1.91 GiB', 'n/a')
    """
    if nbytes is None or not math.isfinite(nbytes):
        return "n/a"
    factor, unit = next((pair for pair in _BINARY if abs(round(nbytes)) >= pair[0]), _BINARY[-1])
    return f"{round(nbytes)} B" if factor == 1 else f"{significant(nbytes / factor)} {unit}"


def size_in_unit_of(largest: float | None) -> Callable[[float | None], str]:
    """What writes the other sizes of a line in the unit of the largest one; what would be 0 there keeps its own.

    Example:
        >>> write = size_in_unit_of(1.2 * 2**30)
        >>> write(1.2 * 2**30), write(402 * 2**20), write(1 << 20)
        ('1.20 GiB', '0.39 GiB', '1.00 MiB')
    """
    factor, unit = next((pair for pair in _BINARY if abs(largest or 0.0) >= pair[0]), _BINARY[-1])
    if factor < 1024**3:
        return size
    return lambda nbytes: (
        size(nbytes) if abs(nbytes or 0.0) < factor / 200 else f"{(nbytes or 0.0) / factor:,.2f} {unit}"
    )


def phase_words(phase: str) -> str:
    """Name a phase as people read it.

    Example:
        >>> phase_words("first_element")
        'first element'
    """
    return phase.replace("_", " ")


def grows(growth: MemoryGrowth) -> str:
    """State by how much memory grows.

    Example:
        >>> from pipeprof.profiles.document.memory import MemoryGrowth
        >>> grows(MemoryGrowth(leak=True, bytes=9 << 20, steps=3))
        'memory grows by 3.00 MiB a step'
    """
    each = growth.bytes_per_step
    return f"memory grows by {size(each)} a step" if each is not None else "memory grows"


def called(function: str) -> str:
    """Return the name of a Python function as a call.

    Example:
        >>> called("augment"), called("<lambda>")
        ('augment()', '<lambda>')
    """
    return function if function.endswith(">") else f"{function}()"


def hot_function(stage: Stage) -> str | None:
    """Name the Python function that takes most of a stage's time, with its line; None where none was seen."""
    hot = max(stage.python or (), key=lambda cost: cost.ms_per_batch, default=None)
    if hot is None or hot.file is None or hot.line is None:
        return None
    return f"{called(hot.function)} ({as_typed(hot.file).rpartition('/')[2]}:{hot.line})"


def stage_name(stage: NamedStage) -> str:
    """Name a stage: the user's name, else the call of the user's that it is in, else its op.

    Example:
        ``decode``, ``map``, ``rejection_resample`` for a ``sample_from_datasets`` in it
    """
    return _short(stage.name) or call_around(stage.op, stage.location) or stage.op


LONGEST_NAME = 100
"""Characters of a name that are shown: a sentence has to stay one."""


def _short(name: str | None) -> str | None:
    return name if name is None or len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"


AT_LEAST = "at_least"
"""In what was measured without a stage: handing out what it gave took most of the time, and counts as its work."""


def if_free(gain: str, measured: Mapping[str, object], name: str = "it") -> str:
    """What a bound says: all else stays as it is, and advice that saves more than the stage may gain more.

    Args:
        name: Of the stage.

    Example:
        >>> if_free("2.3× (2.2–2.4)", {}), if_free("22×", {AT_LEAST: True}, "decode")
        ('2.3× (2.2–2.4) if it cost nothing', 'at least 22× if decode cost nothing')
    """
    least = measured.get(AT_LEAST) and not measured.get("at_limit")
    return f"{'at least ' if least else ''}{gain} if {name} cost nothing"


def with_name(reason: str, stages: Sequence[Stage]) -> str:
    """A reason with the name of a stage in place of the address that it begins with.

    Example:
        ``decode: TensorFlow cannot apply its op ReadFile to whole batches``
    """
    address, colon, rest = reason.partition(": ")
    stage = next((one for one in stages if colon and one.id == address), None)
    return reason if stage is None else f"{stage_name(stage)}: {rest}"


def one_per_line(stages: Sequence[Stage]) -> list[Stage]:
    """Return the first of the stages that each line of the program makes."""
    found: dict[object, Stage] = {}
    for stage in stages:
        found.setdefault((stage.op, str(stage.location)) if stage.location is not None else stage.id, stage)
    return list(found.values())


def stages_in_a_row(stages: Sequence[Stage], *, places: bool = True) -> str:
    """Name stages that follow each other: all of a few, else the first and the last.

    Args:
        places: Name the lines of these two.
    """
    stages = one_per_line(stages)
    if len(stages) <= _NAMED_IN_A_ROW:
        return listed([stage_name(stage) for stage in stages])
    first, last = map(stage_label if places else stage_name, (stages[0], stages[-1]))
    return f"the {len(stages)} stages from {first} to {last}"


def stage_place(stage: Stage) -> str | None:
    """Name the file, without its folder, and the line in which a stage is written; ``None`` where they are not known.

    Example:
        ``spec.yaml:12``
    """
    return place_of(stage.location)


def stage_label(stage: Stage) -> str:
    """Name a stage with its op and its place.

    Example:
        ``decode (map, spec.yaml:12)``, ``map (spec.yaml:12)``, ``prefetch (added by TensorFlow)``
    """
    return label_of(stage.name, stage.op, stage.location, injected=stage.origin == "injected")


def stage_labels(stages: Sequence[Stage]) -> str:
    """Name stages in a sentence: those that a line makes in a loop once, and no more than `MOST_LABELS`.

    Example:
        ``decode (map, spec.yaml:12) and batch (spec.yaml:13)``, ``load (map, train.py:37) ×200``
    """
    counted = Counter(stage_label(stage) for stage in stages)
    labels = [f"{label} ×{number:,}" if number > 1 else label for label, number in counted.items()]
    if len(labels) > MOST_LABELS + 1:
        others = sum(list(counted.values())[MOST_LABELS:])
        labels = [*labels[:MOST_LABELS], f"{others:,} other stages"]
    return listed(labels)


def place_of(location: Location | None) -> str | None:
    """Name a file, without its folder, and a line."""
    return f"{PurePath(location.file).name}:{location.line}" if location is not None else None


def library_text(stage: Stage, *, short: bool = False) -> str:
    """State the line of the library that made a stage for the user's code; empty where there is none.

    Example:
        ``via seqio/preprocessors.py:88``
    """
    if stage.library is None:
        return ""
    file = PurePath(stage.library.file).name if short else stage.library.file
    return f"via {file}:{stage.library.line}"


def call_around(op: str, location: Location | None) -> str | None:
    """Name the user's call that made a stage inside of a library; ``None`` of a stage that the user called itself.

    Example:
        ``rejection_resample`` for the `filter` that TensorFlow's Python makes in it
    """
    call = location.call if location is not None else None
    return call if call and call != op and not traits(call).opaque else None


def label_of(name: str | None, op: str, location: Location | None, *, injected: bool = False, times: int = 1) -> str:
    """Name a stage as `stage_label` does, from its parts.

    Args:
        times: How often the line makes it: ``load ×2 (map, train.py:12)``.
    """
    call, name = call_around(op, location), _short(name)
    kind = f"its {name} {op}" if call and name else f"its {op}" if call else op if name else None
    parts = (kind, "added by TensorFlow" if injected else place_of(location))
    inside = ", ".join(part for part in parts if part)
    whole = f"{call or name or op}{f' ×{times}' if times > 1 else ''}"
    return f"{whole} ({inside})" if inside else whole


def as_typed(file: str, folder: PurePath | None = None) -> str:
    """A file as a user types it: without the working directory if it lies in there, else as it is.

    Args:
        folder: The working directory; the present one when left out.

    Example:
        >>> as_typed("/code/data/input.py", PurePath("/code")), as_typed("/lib/input.py", PurePath("/code"))
        ('data/input.py', '/lib/input.py')
    """
    try:
        here = folder or Path.cwd()
    except OSError:  # it is gone
        return file
    return str(PurePath(file).relative_to(here)) if PurePath(file).is_relative_to(here) else file


def listed(words: Sequence[str], last_word: str = "and") -> str:
    """Several things in a sentence.

    Example:
        >>> listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"])
        ('a', 'a and b', 'a, b and c')
    """
    *others, last = words
    return f"{', '.join(others)} {last_word} {last}" if others else last


def change_text(before_ms: float, after_ms: float, reason: str) -> str:
    """Format a change of the time per step, and the reason.

    Example:
        >>> change_text(52.2, 28.5, "57 ms of CPU per batch keep 2 cores busy for 28.5 ms")
        '52.2 → 28.5 ms per step: 57 ms of CPU per batch keep 2 cores busy for 28.5 ms'
    """
    unit, factor = unit_of_ms(max(before_ms, after_ms))
    both = " → ".join(significant(value / factor) for value in (before_ms, after_ms))
    return f"{both} {unit} per step: {reason}"
