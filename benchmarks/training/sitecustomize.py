"""What a training script prints of its own times, kept in the file that TRAINING_TIMES names.

The folder of this file is on the path of a measured script, with pipeprof and without: the script stays as it is.
"""

import builtins
import os

_print = builtins.print


def _kept(*values: object, **options: object) -> None:
    _print(*values, **options)  # type: ignore[call-overload]
    path = os.environ.get("TRAINING_TIMES")
    text = " ".join(map(str, values))
    if path and " steps in " in text:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.write(file, f"{text}\n".encode())
        os.close(file)


builtins.print = _kept
