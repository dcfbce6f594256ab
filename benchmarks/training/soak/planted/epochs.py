"""The log of a planted script: when each epoch ended, and the resident bytes then."""

import os
import time
from pathlib import Path

LOG = "planted.log"


def epoch_ended() -> None:
    """Append a line."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    with Path(LOG).open("a", encoding="ascii") as log:
        log.write(f"{time.monotonic():.4f} {pages * os.sysconf('SC_PAGE_SIZE')}\n")
