"""One gate in a history: its pairs, both sides by their content, and the class of the host; one line of JSON each."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from typing import Final, Literal

from pydantic import ConfigDict, Field, ValidationError

from pipeprof.profiles.document.base import Model
from pipeprof.profiles.document.store import encode, parse_json
from pipeprof.profiles.document.subject import Host
from pipeprof.profiles.experiment.decision import Verdict
from pipeprof.profiles.judge.verdicts.gating import counted
from pipeprof.profiles.judge.verdicts.metrics import impossible
from pipeprof.profiles.judge.verdicts.result import Identity, PairValues, Result, Side

VERSION: Final = 1
MARK: Final = "pipeprof gate"
_GIB = 1 << 30
_ALWAYS = frozenset({"step_ms", "elements_per_second", "peak_bytes"})


class HostClass(Model):
    """What makes times of two machines comparable."""

    cpu_model: str | None = None
    machine: str
    cores: float
    memory_gib: int | None = None
    """Physical memory, rounded."""
    gpus: list[str] = Field(default_factory=list)


class State(Model):
    """A side of a gate by what it contains."""

    text: str
    """As given on the command line."""
    commit: str | None = None
    """The commit that it is, or that its work tree has changes of."""
    dirty: bool = False
    """The work tree had changes that were not committed."""
    digest: str
    """Hash of what the pipeline is made of; two sides with one digest are the same pipeline."""


class KeptGate(Model):
    """One gate."""

    # A newer version may add fields, and its entries count all the same.
    model_config = ConfigDict(extra="ignore", defer_build=True)

    history: Literal["pipeprof gate"] = MARK
    version: int = VERSION
    started: str
    """UTC, ISO 8601."""
    repository: str | None = None
    """Its first commit; None outside of git, and in a shallow clone."""
    target: Identity
    a: State
    b: State
    host: HostClass
    step: str | None = None
    versions: dict[str, str | None] = Field(default_factory=dict)
    verdict: Verdict
    same: bool = False
    """Both sides are one pipeline: nothing was measured."""
    pairs: list[PairValues] = Field(default_factory=list)
    """Those that count, with the reference workload."""

    @property
    def key(self) -> tuple[str, str | None]:
        """What two gates must share to be of one series: target and step."""
        return self.target.digest, self.step


class LineError(ValueError):
    """A line is no entry; the message says why."""


def host_class(host: Host) -> HostClass:
    """The class of a host: not its name, which differs between the machines of one kind."""
    memory = round(host.memory_bytes / _GIB) if host.memory_bytes is not None else None
    return HostClass(
        cpu_model=host.cpu_model, machine=host.machine, cores=host.cores, memory_gib=memory, gpus=sorted(host.gpus)
    )


def describe_class(host: HostClass) -> str:
    """A class of hosts in words."""
    memory = f", {host.memory_gib} GiB" if host.memory_gib is not None else ""
    return f"{host.cores:g} cores, {host.cpu_model or host.machine}{memory}"


def entry_of(
    result: Result,
    target: Identity,
    states: tuple[State, State],
    repository: str | None,
    judged: Collection[str] = (),
    *,
    same: bool = False,
) -> KeptGate:
    """The entry of a gate that came to its end.

    Args:
        judged: Names of metrics that are kept as well as step interval, throughput and peak memory.
        same: Nothing was measured, because both sides are one pipeline.
    """
    host = result.b.host
    assert host is not None  # noqa: S101 - for the type checker: the session has set it
    kept = _ALWAYS | set(judged)
    return KeptGate(
        started=result.started or "",
        repository=repository,
        target=target,
        a=states[0],
        b=states[1],
        host=host_class(host),
        step=step_text(result),
        versions=result.b.versions,
        verdict=result.verdict,
        same=same,
        pairs=[_kept(pair, kept) for pair in counted(result.pairs)],
    )


def step_text(result: Result) -> str | None:
    """The step of a session with its dispatch."""
    return f"{result.step}, dispatch {result.dispatch}" if result.dispatch is not None else result.step


def state_of(side: Side, digest: str, head: str | None) -> State:
    """A side with its digest; `head` is the commit of the work tree."""
    return State(text=side.text, commit=side.ref or head, dirty=bool(side.dirty), digest=digest)


def _kept(pair: PairValues, names: Collection[str]) -> PairValues:
    def some(values: dict[str, float] | None) -> dict[str, float] | None:
        return {name: value for name, value in values.items() if name in names} if values is not None else None

    return PairValues(
        order=[],
        a=some(pair.a) or {},
        b=some(pair.b) or {},
        again=some(pair.again),
        reference=some(pair.reference),
        elsewhere_share=pair.elsewhere_share,
        stolen_share=pair.stolen_share,
    )


def encode_line(entry: KeptGate) -> bytes:
    """An entry as one line, with its end."""
    whole = json.loads(encode(entry))
    return json.dumps(_without_nothing(whole), ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _without_nothing(value: object) -> object:
    """A document without what its defaults say: a history has many entries."""
    if isinstance(value, dict):
        return {key: _without_nothing(item) for key, item in value.items() if item not in (None, [], {})}
    return [_without_nothing(item) for item in value] if isinstance(value, list) else value


def decode_line(line: bytes) -> KeptGate:
    """Read one line.

    Raises:
        LineError: It is no entry.
    """
    try:
        found = parse_json(line)
    except (ValueError, RecursionError):
        raise LineError("not JSON") from None
    if not isinstance(found, dict) or found.get("history") != MARK:
        raise LineError("not an entry of a gate")
    if isinstance(found.get("version"), int) and found["version"] > VERSION:
        raise LineError(f"written by a newer pipeprof (version {found['version']}, this one reads {VERSION})")
    for pair in found.get("pairs") or ():
        if isinstance(pair, dict):
            pair.setdefault("order", [])
    try:
        entry = KeptGate.model_validate(found)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise LineError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    for number, pair in enumerate(entry.pairs):
        for values in (pair.a, pair.b, pair.again or {}, pair.reference or {}):
            fault = impossible(values)
            if fault is not None:
                raise LineError(f"pairs.{number}: {fault}")
    return entry


def in_order(entries: Iterable[KeptGate]) -> list[KeptGate]:
    """Entries by when they were measured: concurrent gates append in any order."""
    return sorted(entries, key=lambda entry: entry.started)
