"""Processes that a test has left behind."""

from __future__ import annotations

import contextlib

import psutil

MARK = "LEFT_OVER_MARK"
"""Variable of the environment that processes of a test carry."""


def left(mark: str) -> list[int]:
    """Processes that carry `mark` in their environment, stopped ones too; zombies do not count."""
    found = []
    for process in psutil.process_iter(["status"]):
        with contextlib.suppress(psutil.Error):
            if process.info["status"] != psutil.STATUS_ZOMBIE and process.environ().get(MARK) == mark:
                found.append(process.pid)
    return found
