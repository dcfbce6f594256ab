"""The output of ``pipeprof doctor``: what to mend, and a block of facts for a bug report."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pipeprof.cli.report.blocks import Blank, Block, Command, Heading, KeyValue, Prose, TextSpan
from pipeprof.profiles.doctor.facts import Facts
from pipeprof.profiles.doctor.faults import Fault
from pipeprof.profiles.protocol.wrapped import WRAPPED
from pipeprof.profiles.wording import cores_text, size

_WIDTH = 13
_INDENT = 3
FENCE = "```"


@dataclass(frozen=True)
class Terminal:
    """Terminal or file for the report; `locale` is the variable that decides it, as ``LC_ALL=C``, or empty."""

    is_terminal: bool
    columns: int
    encoding: str | None
    term: str
    locale: str


def terminal_of(environ: Mapping[str, str], *, is_terminal: bool, columns: int, encoding: str | None) -> Terminal:
    """Describe where the report goes."""
    name = next((name for name in ("LC_ALL", "LC_CTYPE", "LANG") if environ.get(name)), "")
    locale = f"{name}={environ[name]}" if name else ""
    return Terminal(is_terminal, columns, encoding, environ.get("TERM", ""), locale)


def doctor_report(
    facts: Facts, terminal: Terminal, faults: Sequence[Fault], hide: Callable[[str], str]
) -> Iterator[Block]:
    """Build the report.

    Args:
        faults: Faults, then notes.
        hide: Takes private parts out of a text of the block for a bug report.
    """
    yield Heading(_summary(faults))
    for number, fault in enumerate(faults, 1):
        yield Blank()
        title = TextSpan(f"{number}  {fault.level}", "bold red" if fault.level == "fault" else "bold")
        yield Prose((title, TextSpan(f": {fault.message}")), indent=0, hang=_INDENT)
        yield KeyValue("fix", fault.mend, indent=_INDENT, width=6)
        if fault.command:
            yield Command("try", fault.command, indent=_INDENT, width=6)
    yield Blank()
    yield Prose(f"For a bug report, copy from {FENCE} to {FENCE}.", indent=0, style="dim")
    yield Blank()
    yield Prose(f"{FENCE}text", indent=0)
    for key, value in rows(facts, terminal, faults):
        yield KeyValue(key, hide(value).replace("`", "'"), width=_WIDTH)
    yield Prose(FENCE, indent=0)


def _summary(faults: Sequence[Fault]) -> str:
    counts = [
        f"{count} {level}{'s' if count > 1 else ''}"
        for level in ("fault", "note")
        if (count := sum(fault.level == level for fault in faults))
    ]
    return ", ".join(counts) if counts else "Nothing to fix"


def rows(facts: Facts, terminal: Terminal, faults: Sequence[Fault]) -> Iterator[tuple[str, str]]:
    """Return labels and values of the block for a bug report."""
    versions = dict(facts.versions)
    yield "pipeprof", versions.pop("pipeprof", None) or "not installed as a package"
    yield "Python", f"{versions.pop('python', None) or 'n/a'}, {facts.executable or 'n/a'}"
    yield "TensorFlow", _tensorflow(facts)
    yield "packages", ", ".join(f"{name} {version or 'n/a'}" for name, version in versions.items())
    yield "system", facts.system
    yield "cores", _cores(facts)
    yield "memory", _memory(facts)
    yield "open files", f"at most {facts.open_files:,}" if facts.open_files > 0 else "no limit"
    for folder in facts.folders:
        free = f"{size(folder.free_bytes)} free" if folder.free_bytes is not None else "n/a"
        yield folder.use, f"{free}{'' if folder.writable else ', not writable'}, {folder.path or 'none'}"
    devices = facts.devices
    yield "device", f"{', '.join(devices.names)} ({devices.source})" if devices.names else "none seen"
    yield "governor", ", ".join(f"{name} ({count} cores)" for name, count in facts.governors.items()) or "n/a"
    yield "git", facts.git or "not installed"
    yield "hooks", _hooks()
    where = f"{terminal.columns} columns" if terminal.is_terminal else f"none, {terminal.columns} columns"
    yield "terminal", ", ".join(part for part in (where, terminal.encoding, terminal.term, terminal.locale) if part)
    for fault in faults:
        yield fault.level, fault.message


def _hooks() -> str:
    methods: dict[str, list[str]] = {}
    for row in WRAPPED:
        methods.setdefault(f"{row.module}.{row.owner}".removesuffix("."), []).append(row.method)
    listed = "; ".join(f"{owner}: {', '.join(names)}" for owner, names in methods.items())
    return f"in the process of `run script.py` only, public methods that call the real ones: {listed}"


def _tensorflow(facts: Facts) -> str:
    installation = facts.tensorflow
    owners = " and ".join(f"{owner.name} {owner.version or 'n/a'}" for owner in installation.owners)
    words = owners or ("of no package" if installation.importable else "not installed")
    if owners and not installation.importable:
        words += ", files missing"
    return words + (f"; metadata of {installation.unreadable} packages unreadable" if installation.unreadable else "")


def _cores(facts: Facts) -> str:
    cores = facts.cores
    parts = [f"{cores_text(cores.usable)} usable", f"{cores.machine or 'n/a'} in the machine"]
    parts += [f"{cores.schedulable} schedulable"] if cores.schedulable is not None else []
    parts += [f"quota {cores_text(cores.quota)}"] if cores.quota is not None else []
    parts += [f"cpuset {cores.cpuset}"] if cores.cpuset is not None else []
    parts += [f"cgroup v{facts.cgroup_version}" if facts.cgroup_version is not None else "no cgroup"]
    return ", ".join([*parts, cores.model or "model n/a"])


def _memory(facts: Facts) -> str:
    memory = facts.memory
    parts = [f"{size(memory.total_bytes)} in the machine", f"{size(memory.available_bytes)} available"]
    if memory.cgroup_bytes is not None:
        held = f" ({size(memory.cgroup_held_bytes)} in use)" if memory.cgroup_held_bytes is not None else ""
        parts.append(f"cgroup limit {size(memory.cgroup_bytes)}{held}")
    parts.append(f"limit of a run {size(memory.run_bytes)}")
    parts += [f"limit of addresses {size(memory.address_bytes)}"] if memory.address_bytes is not None else []
    return ", ".join(parts)


def doctor_document(facts: Facts, terminal: Terminal, faults: Sequence[Fault]) -> dict[str, Any]:
    """Return everything as JSON fields."""
    return {
        "facts": asdict(facts),
        "terminal": asdict(terminal),
        "faults": [asdict(fault) for fault in faults],
        "hooks": [{"method": str(row), "why": row.why} for row in WRAPPED],
    }


def hide_texts(value: Any, hide: Callable[[str], str]) -> Any:
    """Return a JSON value with other texts; keys stay."""
    match value:
        case str():
            return hide(value)
        case dict():
            return {key: hide_texts(inner, hide) for key, inner in value.items()}
        case list() | tuple():
            return [hide_texts(inner, hide) for inner in value]
        case _:
            return value
