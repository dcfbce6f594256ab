"""Tests in several processes at a time: `python -m tests.together 6 -q tests/integration`, a number and pytest's words.

The processes are copies of one, which has imported what integration tests import: TensorFlow takes seconds. Where it
cannot be copied, on macOS, there is one process.
"""

from __future__ import annotations

import sys
from pathlib import Path

TESTS = Path(__file__).parent
INTEGRATION = str(Path("tests", "integration"))


def main(copies: int, words: list[str]) -> int:
    """Run tests; returns pytest's exit code."""
    sys.path.insert(0, str(TESTS))
    import stable  # noqa: F401 - before what reads the environment

    on_linux = sys.platform == "linux"
    if on_linux and any(word.startswith(INTEGRATION) for word in words):
        from integration import forked

        ended = forked.serve()
        if ended is not None:
            return ended
    import pytest
    from spread import Spread

    return pytest.main(words, plugins=[Spread(copies)] if on_linux else [])


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
