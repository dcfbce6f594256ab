"""TensorFlow, imported for a worker in a supported version."""

from __future__ import annotations

import re
import sys
from typing import Any, Final

from pipeprof.pipelines.errors import PipeprofError, UsageError
from pipeprof.pipelines.target.generated_files import delete_generated_files

OLDEST: Final = (2, 18)


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
        install = f"{sys.executable} -m pip install 'tensorflow>={_needed()}'"
        if isinstance(error, ModuleNotFoundError) and error.name == "tensorflow":
            msg = f"TensorFlow is not installed for {sys.executable}: {install}"
        else:
            msg = f"TensorFlow cannot be imported ({' '.join(str(error).split())}): repair it, e.g. {install}"
        raise NoTensorFlowError(msg) from error
    require_tensorflow(tf.__version__)
    delete_generated_files()
    return tf


def _needed() -> str:
    return ".".join(map(str, OLDEST))


def require_tensorflow(version: str) -> None:
    """Refuse a TensorFlow that is too old.

    Args:
        version: ``tf.__version__``.

    Raises:
        UsageError: It is older than the oldest that is supported.
    """
    found = re.match(r"(\d+)\.(\d+)", version)
    if found is None or (int(found[1]), int(found[2])) >= OLDEST:
        return
    needed = _needed()
    msg = f"TensorFlow {version} is installed; pipeprof needs {needed} or newer: pip install 'tensorflow>={needed}'"
    raise UsageError(msg)
