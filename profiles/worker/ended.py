"""Ends of a training script that are failures, not exceptions of its code."""

from pipeprof.pipelines.errors import PipelineFailedError


class ScriptEndedError(PipelineFailedError):
    """The run ended, mostly without a step; each kind has a stable code."""

    code = "never-iterated"


class NeverIteratedError(ScriptEndedError):
    """The script came to its end, and no step was seen."""


class WriteRefusedError(ScriptEndedError):
    """The script would have overwritten or deleted a file before there was a step."""

    code = "write-before-steps"


class ProcessExitedError(ScriptEndedError):
    """The script ended its process by ``os._exit``."""

    code = "exited"
