"""The training step that takes the batches: its kinds, how one is written, and what is known of it before it runs.

The command line reads this module as well as the worker: it loads no framework, and neither pydantic nor jsonschema.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from pipeprof.pipelines.errors import UsageError, shown
from pipeprof.pipelines.steps.consumer import BatchConsumer, Dispatch, StepContext

SCRIPT, RETURNED, RECORDED = "script", "returned", "recorded"
"""Kinds that nobody writes: a training script takes its own steps, and a function may return one beside the dataset."""


@dataclass(frozen=True)
class Kind:
    """A kind of step; what only a newer version knows, in a saved profile, is a real one.

    Attributes:
        example: A value as the command line has it.
        real: It computes on a device, with code of the user's: ``--no-python`` refuses it, and only one process at a
            time may run it.
        package: What has to be installed for it.
    """

    name: str
    example: str = ""
    about: str = ""
    real: bool = True
    package: str = ""


_WRITTEN = (
    Kind(
        RECORDED, "profile.json",
        "The step times of a profile, of a training script or of any run with a step, drawn at random, with as many "
        "steps in flight. It only waits: if the real step computes on the same cores, it proves nothing.",
        real=False,
    ),
    Kind("simulate", "12ms", "A simulated device, busy for a given time per step.", real=False),
    Kind(
        "jax", "file.py:step", package="jax", about='A function of JAX arrays, "file.py:step", relative to the spec; '
        "converting a batch is counted separately.",
    ),
    Kind(
        "keras", "file.py:model", package="keras", about="A function that returns a compiled Keras model, "
        '"file.py:model", relative to the spec: each batch trains it as fit does, and its weights are not saved.',
    ),
    Kind("python", "file.py:function", about='A function of the batch, "file.py:function", relative to the spec.'),
    Kind(
        "torch", "file.py:step", package="torch", about='A function of PyTorch tensors, "file.py:step", relative to '
        "the spec, on the GPU if there is one; converting a batch is counted separately.",
    ),
)  # fmt: skip
KINDS = {kind.name: kind for kind in _WRITTEN}
"""The kinds that users write with a value."""
_NONE = Kind("none", real=False)
_TIMES = {"base": "Time per step.", "stdev": "Standard deviation of the step time."}
_EVERY = "a mapping of a number of steps to a duration, such as {1000: 400ms}"


def kind_of(name: str) -> Kind:
    """The kind of this name."""
    return _NONE if name == "none" else KINDS.get(name, Kind(name))


@dataclass(frozen=True)
class Step:
    """A step as it is written.

    Attributes:
        value: Of ``simulate`` the times in milliseconds, by the parameters of `simulated.durations`; else the text.
        dispatch: None where it is not said.
    """

    kind: str = "none"
    value: Any = None
    dispatch: Dispatch | None = None

    @property
    def text(self) -> str:
        """What it is in a report, such as ``none``, ``simulate: 12ms, 400ms every 1000``, ``python: train.py:step``."""
        if self.kind != "simulate":
            return "none" if self.value is None else f"{self.kind}: {self.value}"
        words = [f"{self.value['base_ms']:g}ms"]
        if "stdev_ms" in self.value:
            words.append(f"stdev {self.value['stdev_ms']:g}ms")
        words += [f"{ms:g}ms every {steps}" for steps, ms in self.value.get("every", ())]
        return f"simulate: {', '.join(words)}"


class StepError(ValueError):
    """What is wrong with a written step.

    Attributes:
        place: Where, in its mapping.
    """

    def __init__(self, message: str, *place: str | int) -> None:
        super().__init__(message)
        self.place = place


def parse_step(written: object) -> Step:
    """Read a step of a spec (a mapping or a word) or of the command line (``simulate:12ms``, ``python:f.py:fn``).

    Raises:
        StepError: It is none.

    Example:
        >>> parse_step("simulate:12ms"), parse_step({"python": "a.py:f", "dispatch": 2}).dispatch
        (Step(kind='simulate', value={'base_ms': 12.0}, dispatch=None), 2)
    """
    if written == "none":
        return Step()
    if isinstance(written, str):
        kind, colon, value = written.partition(":")
        if kind in KINDS and colon:
            return Step(kind, _value(kind, value))
    if isinstance(written, dict):
        keys = [key for key in written if not str(key).startswith("x-")]
        if unknown := [key for key in keys if key not in KINDS and key != "dispatch"]:
            raise StepError(f"unknown key `{unknown[0]}`: expected {', '.join(['dispatch', *KINDS])}", unknown[0])
        given = [key for key in keys if key in KINDS]
        if len(given) == 1:
            dispatch = _dispatch(written["dispatch"]) if "dispatch" in written else None
            return Step(given[0], _value(given[0], written[given[0]]), dispatch)
        if given:
            raise StepError(f"{' and '.join(given)}: expected exactly one of {forms()}")
    raise StepError(f"got {shown(written)}, expected {forms()}")


def _dispatch(written: object) -> Dispatch:
    if isinstance(written, int) and not isinstance(written, bool) and written >= 1:
        return written
    if written == "sync":
        return "sync"
    raise StepError(f"got {shown(written)}, expected sync or the number of steps in flight (1 or more)", "dispatch")


def _value(kind: str, written: object) -> Any:
    if kind == "simulate":
        return _times(written)
    pattern = r".+\.json" if kind == RECORDED else r".+\.py:[^:\d\W]\w*"
    if not isinstance(written, str) or not re.fullmatch(pattern, written, re.DOTALL):
        what = "a profile that a run has written" if kind == RECORDED else "a file and a function"
        raise StepError(f"got {shown(written)}, expected {what} such as {KINDS[kind].example}", kind)
    return written


def _times(written: object) -> dict[str, Any]:
    if not isinstance(written, dict):
        return {"base_ms": _milliseconds(written)}
    keys = [key for key in written if not str(key).startswith("x-")]
    if unknown := [key for key in keys if key not in (*_TIMES, "every")]:
        raise StepError(f"unknown key `{unknown[0]}`: expected {', '.join([*_TIMES, 'every'])}", "simulate", unknown[0])
    every = written.get("every", {})
    if not isinstance(every, dict) or any(not isinstance(n, int) or isinstance(n, bool) or n < 1 for n in every):
        raise StepError(f"got {shown(every)}, expected {_EVERY}", "simulate", "every")
    times = {f"{name}_ms": _milliseconds(written[name], name) for name in _TIMES if name in written}
    found: dict[str, Any] = {"base_ms": 0.0, **{name: ms for name, ms in times.items() if ms}}
    if every:
        found["every"] = [(steps, _milliseconds(value, "every", steps)) for steps, value in every.items()]
    return found


def _milliseconds(written: object, *place: str | int) -> float:
    from pipeprof.pipelines.units import parse_duration

    try:
        return parse_duration(written) * 1e3
    except ValueError as problem:
        raise StepError(str(problem), "simulate", *place) from None


def words() -> str:
    """How a step is written on the command line: ``none, simulate:12ms or python:file.py:function``."""
    return _one_of([f"{kind.name}:{kind.example}" for kind in _WRITTEN])


def forms() -> str:
    """How a step is written in a spec: ``none, {simulate: 12ms} or {python: "file.py:function"}``."""
    shown = {kind.name: f'"{kind.example}"' if ":" in kind.example else kind.example for kind in _WRITTEN}
    return _one_of([f"{{{name}: {example}}}" for name, example in shown.items()])


def _one_of(texts: list[str]) -> str:
    return f"{', '.join(['none', *texts[:-1]])} or {texts[-1]}"


def step_schema() -> dict[str, Any]:
    """The JSON schema (draft-07) of ``step:``, for editors; `parse_step` says more."""
    from pipeprof.pipelines.units import DURATION_SCHEMA

    notes: dict[str, Any] = {"patternProperties": {"^x-": {}}, "additionalProperties": False}
    every = {"type": "object", "description": "Additional time every N steps, such as a checkpoint."}
    times = {name: {**DURATION_SCHEMA, "description": about} for name, about in _TIMES.items()}
    simulated = {"anyOf": [DURATION_SCHEMA, {"type": "object", "properties": {**times, "every": every}, **notes}]}
    kinds: dict[str, Any] = {kind.name: {"type": "string", "description": kind.about} for kind in _WRITTEN}
    kinds["simulate"] = {**simulated, "description": KINDS["simulate"].about}
    dispatch = {
        "anyOf": [{"const": "sync"}, {"type": "integer", "minimum": 1}],
        "description": "sync: wait for each step before fetching the next batch; a number: steps in flight.",
    }
    return {
        "description": "Training step that consumes the batches.",
        "anyOf": [{"type": "string"}, {"type": "object", "properties": {**kinds, "dispatch": dispatch}, **notes}],
    }


def check_step(step: Step) -> None:
    """Look at a step of the command line before anything runs.

    Raises:
        UsageError: It cannot run here: it names what does not exist, or needs a package that is not installed.
    """
    from pipeprof.pipelines.target.target import parse_target

    arguments = arguments_of(step, Path())
    if "target" in arguments:
        # The worker would come to it only after the first batch.
        parse_target(step.value)


def arguments_of(step: Step, base: Path) -> dict[str, Any]:
    """What the worker gets of a step, as JSON data; relative paths are relative to `base`."""
    if step.kind == RECORDED:
        from pipeprof.pipelines.steps.recorded import read_step

        return read_step(base / step.value)
    kind = kind_of(step.kind)
    if not kind.real:
        return dict(step.value or {})
    if kind.package and importlib.util.find_spec(kind.package) is None:
        raise UsageError(
            f"a {kind.name} step needs the package {kind.package}, which is not installed: pip install {kind.package}"
        )
    file, _, function = step.value.rpartition(":")
    return {"target": f"{(base / file).resolve()}:{function}"}


def user_files(arguments: Mapping[str, Any]) -> list[str]:
    """The files with the user's code among the arguments."""
    return [arguments["target"].rpartition(":")[0]] if "target" in arguments else []


def too_optimistic(arguments: Mapping[str, Any]) -> str | None:
    """Say why a step leaves the pipeline more than the real one does; None where it does not.

    Nothing that is measured with such a step is called proven.
    """
    return "the step may compute on the same cores" if arguments.get("competes") else None


def sentence(text: str) -> str:
    """What a report's heading says of a step, by its text: ``simulated step of 12 ms``, ``step of train.py``."""
    kind, _, rest = text.partition(":")
    rest = rest.strip()
    if kind == "simulate":
        unit = rest.lstrip("0123456789.")
        return f"simulated step of {f'{rest.removesuffix(unit)} {unit}' if unit.isalpha() else rest}"
    if kind == SCRIPT:
        path = PurePath(rest)
        return f"step of {path.name if path.is_absolute() else path}"
    return f"step {text}"


def start_step(kind: str, arguments: Mapping[str, Any], context: StepContext) -> BatchConsumer:
    """Make the step, in the worker, of what `arguments_of` gave."""
    if kind == "simulate":
        from pipeprof.pipelines.steps.simulated import durations, simulated_step

        return simulated_step(durations(**arguments, seed=context.seed), context)
    if kind == RECORDED:
        from pipeprof.pipelines.steps.recorded import resampled
        from pipeprof.pipelines.steps.simulated import simulated_step

        times = {name: value for name, value in arguments.items() if name.endswith("_ms")}
        return simulated_step(resampled(**times, seed=context.seed), context)
    from pipeprof.pipelines.steps.called import CalledStep, called_step

    if kind == RETURNED:
        assert context.returned is not None  # noqa: S101 - for the type checker; the kind is chosen where there is one
        return CalledStep(context.returned)
    return called_step(kind, arguments["target"], context)
