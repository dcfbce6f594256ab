"""TensorFlow, imported for a worker in a supported version."""

from __future__ import annotations

import sys
from typing import Any

from pipeprof.pipelines.errors import PipeprofError, UsageError
from pipeprof.pipelines.target.running import delete_generated_files
from pipeprof.profiles.protocol.tensorflow_versions import OLDEST, as_text, is_older


class NoTensorFlowError(PipeprofError):
    """TensorFlow is not installed for this Python, or its installation is broken."""


def import_tensorflow() -> Any:
    """TensorFlow, in a version that will do; from now on, files that AutoGraph generates are deleted.

    Raises:
        NoTensorFlowError: It cannot be imported.
        UsageError: It is too old.
    """
    try:
        import tensorflow as tf
    except ImportError as error:
        install = f"{sys.executable} -m pip install 'tensorflow>={as_text(OLDEST)}'"
        if isinstance(error, ModuleNotFoundError) and error.name == "tensorflow":
            msg = f"TensorFlow is not installed for {sys.executable}: {install}"
        else:
            msg = f"TensorFlow cannot be imported ({' '.join(str(error).split())}): repair it, e.g. {install}"
        raise NoTensorFlowError(msg) from error
    require_tensorflow(tf.__version__)
    delete_generated_files()
    return tf


def require_tensorflow(version: str) -> None:
    """Refuse a TensorFlow that is too old.

    Args:
        version: ``tf.__version__``.

    Raises:
        UsageError: It is older than the oldest that is supported.
    """
    if not is_older(version):
        return
    needed = as_text(OLDEST)
    msg = f"TensorFlow {version} is installed; pipeprof needs {needed} or newer: pip install 'tensorflow>={needed}'"
    raise UsageError(msg)
