"""Ends of a training script that are failures, not exceptions of its code."""

from pipeprof.pipelines.errors import PipelineFailedError


class ScriptEndedError(PipelineFailedError):
    """The run ended; each kind has a stable code."""

    code: str


class WriteRefusedError(ScriptEndedError):
    """The script would have overwritten or deleted a file before there was a step."""

    code = "write-before-steps"


class ProcessExitedError(ScriptEndedError):
    """The script ended its process by ``os._exit``."""

    code = "exited"
