"""Words of the document that the worker uses, too: importing them does not import pydantic."""

from __future__ import annotations

from typing import Literal

PhaseName = Literal["import", "data", "build", "first_element", "warmup", "measure", "trace"]
GapCause = Literal["pipeline", "copy", "python", "launch", "compile", "pipeprof"]
