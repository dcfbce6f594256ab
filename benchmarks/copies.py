"""Plain loops as copies of one process that has imported TensorFlow, and nothing of pipeprof.

Importing TensorFlow takes as long as many a loop. `Copies` starts a process that imports it once; each loop is a copy
of that process (``fork``), which runs a script as if it had been started with it. Nothing of TensorFlow has run before
a copy is made: its threads begin in the copy. Over hundreds of loops, rates of copies and of fresh processes agreed
within 3 %. Peaks of memory are not measured this way, as a copy begins with all that was imported.
"""

from __future__ import annotations

import json
import os
import runpy
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

PATIENCE = 180.0

Json = dict[str, Any]


class Copies:
    """Runs scripts in copies of one imported process."""

    def __init__(self) -> None:
        self._server: subprocess.Popen[str] | None = None

    def __enter__(self) -> Copies:
        return self

    def __exit__(self, *_: object) -> None:
        if self._server is not None:
            assert self._server.stdin is not None
            self._server.stdin.close()
            self._server.wait(PATIENCE)

    def run(self, command: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None) -> Json:
        """Run a script with arguments: the JSON object in its last line; a RuntimeError if it failed."""
        server = self._started()
        assert server.stdin is not None
        assert server.stdout is not None
        with tempfile.TemporaryDirectory() as name:
            out, err = Path(name, "out"), Path(name, "err")
            asked = {
                "command": list(command),
                "folder": str(folder),
                "environment": dict(environment or os.environ),
                "out": str(out),
                "err": str(err),
                "patience": PATIENCE,
            }
            server.stdin.write(json.dumps(asked) + "\n")
            server.stdin.flush()
            code = json.loads(server.stdout.readline() or '"the process that is copied has ended"')
            if code != 0:
                said = err.read_text(encoding="utf-8")[-2000:] if err.exists() else ""
                msg = f"{' '.join(command)}: {code}\n{said}"
                raise RuntimeError(msg)
            return dict(json.loads(out.read_text(encoding="utf-8").splitlines()[-1]))

    def _started(self) -> subprocess.Popen[str]:
        if self._server is None:
            self._server = subprocess.Popen(
                [sys.executable, __file__],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
            )
        return self._server


def _become(asked: Json) -> None:
    """Be what was asked for, in a copy."""
    for place, path in ((1, asked["out"]), (2, asked["err"])):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), place)
    os.environ.clear()
    os.environ.update(asked["environment"])
    os.chdir(asked["folder"])
    script = asked["command"][0]
    extra = [part for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part]
    sys.argv, sys.path[0:1] = asked["command"], [str(Path(script).parent), *extra]
    signal.alarm(int(asked["patience"]))
    runpy.run_path(script, run_name="__main__")


def serve() -> None:
    """Make a copy for each line of stdin, and tell its exit code when it has ended."""
    import numpy  # noqa: F401 - what every loop imports
    import tensorflow  # noqa: F401

    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            code = 1
            try:
                _become(json.loads(line))
                code = 0
            except SystemExit as ended:
                code = int(ended.code or 0)
            except BaseException:
                import traceback

                traceback.print_exc()
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        _, status = os.waitpid(child, 0)
        answers.write(f"{os.waitstatus_to_exitcode(status)}\n")
        answers.flush()


if __name__ == "__main__":
    serve()
