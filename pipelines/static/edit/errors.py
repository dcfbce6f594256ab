"""Why the text of a function is not edited."""

from __future__ import annotations

from pipeprof.pipelines.errors import UsageError


class CannotEditSourceError(UsageError):
    """An edit cannot be made in this text; the message says why."""
