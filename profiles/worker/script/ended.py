"""Ends of a training script before anything was measured."""

from pipeprof.pipelines.errors import PipelineFailedError


class ScriptEndedError(PipelineFailedError):
    """The run ended without a step; each kind has a stable code."""

    code = "nothing-iterated"


class NothingIteratedError(ScriptEndedError):
    """The script came to its end, and no step was seen."""


class WriteRefusedError(ScriptEndedError):
    """The script would have overwritten or deleted a file before there was a step."""

    code = "write-before-steps"
