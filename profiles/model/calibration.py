"""Fixed costs of this machine, measured once and kept in the user's cache folder; constants where they are not."""

from __future__ import annotations

import contextlib
import json
import math
import os
import tempfile
from collections.abc import Mapping
from dataclasses import fields, replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeprof.pipelines.data.errors import DataError
from pipeprof.pipelines.data.folders import locate
from pipeprof.profiles.model.costs import DEFAULT, Costs

if TYPE_CHECKING:
    from pipeprof.profiles.document.profile import Profile
    from pipeprof.profiles.document.subject import Host

FILE = "pipeprof-costs.json"
MOST_HOSTS = 64
"""Machines that share a folder of the network; the oldest entry goes first."""
_MOST_BYTES = 1 << 16
_OTHERS = 0.1
"""Share of the cores that other processes may use while costs are measured."""
_DISTRIBUTIONS = ("tensorflow", "tensorflow-cpu", "tensorflow-gpu", "tensorflow-macos")


def key_of(host: Host, tensorflow: str | None) -> str:
    """Return what the costs are true for: the processor, its cores, and the version of TensorFlow.

    Example:
        >>> from pipeprof.profiles.document.subject import Host
        >>> key_of(Host(system="Linux", machine="x86_64", cpu_model="A", cores=2.0), "2.21.0")
        'A, 2 cores, TensorFlow 2.21.0'
    """
    return f"{host.cpu_model or host.machine}, {host.cores:g} cores, TensorFlow {tensorflow or 'unknown'}"


def installed_tensorflow() -> str | None:
    """The version of TensorFlow, without loading it."""
    for name in _DISTRIBUTIONS:
        with contextlib.suppress(metadata.PackageNotFoundError):
            return metadata.version(name)
    return None


def lacks(host: Host) -> bool:
    """Whether costs of this machine are to be measured: one is not known, and there is a place to keep them."""
    version, folder = installed_tensorflow(), _folder()
    if version is None or folder is None:
        return False
    known = measured_costs(host, version)
    from pipeprof.profiles.protocol.messages import MeasuredCosts

    return any(field.name not in known for field in fields(MeasuredCosts))


def costs_of(profile: Profile) -> Costs:
    """The fixed costs of the machine of a profile; constants where they were not measured."""
    known = measured_costs(profile.host, profile.versions.get("tensorflow"))
    return replace(DEFAULT, **known) if known else DEFAULT


def measured_costs(host: Host, tensorflow: str | None) -> Mapping[str, float]:
    """Those of the costs of a machine that were measured on it, by their names."""
    return _read().get(key_of(host, tensorflow), {})


def measured_alone(profile: Profile) -> bool:
    """Whether other processes left the machine to the run that measured the costs: they are kept for good."""
    others = profile.contention.others_cores if profile.contention is not None else None
    return others is None or others <= _OTHERS * profile.host.cores


def keep(host: Host, tensorflow: str | None, measured: Mapping[str, float]) -> None:
    """Keep measured costs, by the names of `Costs`.

    Does nothing where the folder cannot be written to.
    """
    folder = _folder()
    valid = _valid(measured)
    if folder is None or valid is None:
        return
    known = {name: one for name, one in _read().items() if name != key_of(host, tensorflow)}
    newest = dict(list(known.items())[-(MOST_HOSTS - 1) :])
    text = json.dumps({**newest, key_of(host, tensorflow): valid}, indent=1)
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=folder, prefix=f".{FILE}-")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(f"{text}\n")
            Path(name).replace(folder / FILE)
        except OSError:
            Path(name).unlink(missing_ok=True)
            raise


def _folder() -> Path | None:
    try:
        return locate().folder
    except DataError:
        return None


def _read() -> dict[str, dict[str, float]]:
    """The known costs by machine; what is not valid counts as not there."""
    try:
        readable = locate().readable
    except DataError:
        return {}
    found: dict[str, dict[str, float]] = {}
    for folder in readable:
        with contextlib.suppress(OSError, ValueError, OverflowError, RecursionError):
            data: Any = json.loads((folder / FILE).read_bytes()[:_MOST_BYTES])
            if isinstance(data, dict):
                found |= {str(key): valid for key, one in data.items() if (valid := _valid(one)) is not None}
    return found


def _valid(entry: Any) -> dict[str, float] | None:
    """The costs of an entry, ``None`` where one of them is no such number."""
    names = {field.name for field in fields(Costs)}
    if not isinstance(entry, Mapping) or not set(entry) <= names:
        return None
    numbers = {str(name): value for name, value in entry.items() if isinstance(value, int | float)}
    if len(numbers) != len(entry) or not all(math.isfinite(value) and value >= 0 for value in numbers.values()):
        return None
    return numbers
