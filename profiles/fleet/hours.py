"""Device hours of jobs, from a file that a scheduler exports."""

from __future__ import annotations

import csv
import math
from pathlib import Path

from pipeprof.pipelines.errors import UsageError
from pipeprof.profiles.document.store import reason

JOB, HOURS = "job", "device_hours"
_MOST_BYTES = 1 << 28


def read_hours(path: Path) -> dict[str, float]:
    """Device hours by job; those of a job that several lines have are added.

    Raises:
        UsageError: The file cannot be read, lacks a column, or has a number of hours that is none.
    """
    try:
        if not path.is_file():
            raise UsageError(f"--hours {path}: no such file; it has the columns {JOB} and {HOURS}")
        if path.stat().st_size > _MOST_BYTES:
            raise UsageError(f"--hours {path}: larger than {_MOST_BYTES >> 20} MiB")
        with path.open(encoding="utf-8-sig", newline="") as file:
            return _read(path, csv.DictReader(file))
    except OSError as error:
        raise UsageError(f"--hours {path}: it cannot be read ({reason(error)})") from None
    except UnicodeDecodeError:
        raise UsageError(f"--hours {path}: not UTF-8") from None
    except csv.Error as error:
        raise UsageError(f"--hours {path}: not CSV: {error}") from None


def _read(path: Path, lines: csv.DictReader[str]) -> dict[str, float]:
    missing = [name for name in (JOB, HOURS) if name not in (lines.fieldnames or ())]
    if missing:
        raise UsageError(f"--hours {path}: no column {missing[0]}; the first line names {JOB} and {HOURS}")
    found: dict[str, float] = {}
    for line in lines:
        job = (line[JOB] or "").strip()
        try:
            hours = float(line[HOURS] or "")
        except ValueError:
            hours = math.nan
        if not job or not 0 <= hours < math.inf:
            raise UsageError(
                f"--hours {path}:{lines.line_num}: got {line[JOB]!r}, {line[HOURS]!r}; expected a job and hours"
            )
        found[job] = found.get(job, 0.0) + hours
    return found
