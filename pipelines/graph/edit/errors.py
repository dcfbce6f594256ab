"""The error of an edit that a graph does not allow."""

from __future__ import annotations

import re

from pipeprof.pipelines.errors import PlainError, escape


class CannotEditError(PlainError):
    """An edit cannot be applied to this pipeline's graph; the message is one sentence with stage and reason."""

    def __init__(self, reason: str, stage: str | None = None) -> None:
        super().__init__(escape(f"{stage}: {reason}" if stage else reason))
        self.stage = stage
        self.reason = reason


def first_line(error: Exception) -> str:
    """Return the first line of an error of TensorFlow, without the names of nodes."""
    text = re.sub(r"\{\{[^{}]*\}\}\s*|\s*\[Op:.*", "", str(getattr(error, "message", None) or error))
    return next((line.strip() for line in text.splitlines() if line.strip()), type(error).__name__)
