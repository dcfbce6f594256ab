"""Run the integration tests in several processes, each of which reads and imports its own share of the modules alone.

``python tests/integration/shares.py 4 [pytest's options]``; what a process prints is shown when it has ended.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))


def _ended(number: int, many: int, options: list[str]) -> int:
    command = [sys.executable, "-m", "pytest", "-q", *options, f"--share={number}/{many}", str(HERE)]
    with tempfile.TemporaryFile() as said:
        code = subprocess.run(command, stdout=said, stderr=subprocess.STDOUT, check=False).returncode
        said.seek(0)
        sys.stdout.buffer.write(said.read())
        sys.stdout.flush()
    return code


def main(many: int, options: list[str]) -> int:
    """Return the largest exit code of `many` processes."""
    from integration import example_data, forked

    forked.listen()
    with tempfile.TemporaryDirectory(prefix="pipeprof-examples-") as folder, ThreadPoolExecutor(many) as threads:
        os.environ[example_data.SHARED] = folder
        return max(threads.map(lambda number: _ended(number, many, options), range(1, many + 1)))


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
