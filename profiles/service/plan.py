"""What a run does to a tf.data service before it has done it: datasets that it registers, jobs that it starts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from pipeprof.pipelines.ops.stages.distribute import LOCAL
from pipeprof.pipelines.ops.traits import traits

if TYPE_CHECKING:
    from pathlib import Path

    from pipeprof.pipelines.spec.loader import LoadedSpec

_IMPORTED: Final = re.compile(r"\bdata\.experimental(?:\.service\b|\s+import\s[^\n]*\bservice\b)")
_CALLED: Final = re.compile(r"\b(?:distribute|register_dataset)\s*\(")


def what_is_registered(loaded: LoadedSpec | None, path: Path, *, tries: bool) -> str | None:
    """Say how many datasets and jobs a run makes on the services that its target reads from; None where it does not.

    Args:
        path: The file with the target's function; its text shows the calls.
        tries: Changes are tried afterwards.
    """
    again = "; so does each process that tries a change" if tries else ""
    if loaded is not None:
        services = [vars(placed.op)["service"] for placed in loaded.spec.placed() if traits(placed.op.op).remote]
        services = [service for service in services if service != LOCAL]
        if not services:
            return None
        datasets, jobs = (f"{len(services)} {word}{'' if len(services) == 1 else 's'}" for word in ("dataset", "job"))
        at = " and ".join(sorted(set(services)))
        return f"a build of this pipeline registers {datasets} with the tf.data service {at} and starts {jobs}{again}"
    calls = _calls_in(path)
    if not calls:
        return None
    where = f"{path.name} registers datasets with a tf.data service, in {calls} line{'' if calls == 1 else 's'}"
    return f"{where}: for each that a build reaches, there is one dataset and one job more at that service{again}"


def _calls_in(path: Path) -> int:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0
    return len(_CALLED.findall(text)) if _IMPORTED.search(text) else 0
