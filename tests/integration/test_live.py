"""What a terminal shows while a command measures: the table of `--live`, the line, and the cursor at the end."""

from __future__ import annotations

import os
import re
import select
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from integration import forked

SCRIPT = """
import time
import tensorflow as tf

def load(number):
    time.sleep(0.002)
    return number

def decode(number):
    return tf.ensure_shape(tf.numpy_function(load, [number], tf.int64), [])

def make():
    return tf.data.Dataset.range(4000).map(decode).batch(2).prefetch(3)

if __name__ == "__main__":
    for _ in range(1000):
        for batch in make():
            time.sleep(0.001)
"""
HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"
PATIENCE = 120.0


class Terminal:
    """A command whose stderr is a terminal of 100 columns.

    Attributes:
        text: What it has written there.
    """

    def __init__(self, folder: Path, *words: str) -> None:
        self.text = ""
        self._master, slave = os.openpty()
        there = f"import os; os.dup2(os.open({os.ttyname(slave)!r}, os.O_RDWR | os.O_NOCTTY), 2)"
        words = ("run", *words, "--out", "out.json", "--no-lock")
        self._process = forked.start(words, folder, f"{there}\n{forked.COMMAND}", TERM="xterm", COLUMNS="100")
        # To the end of what it writes elsewhere: it has the terminal then.
        assert self._process.stderr.read() == ""
        os.close(slave)

    def until(self, seen: Callable[[str], object]) -> None:
        """Read until something is seen, or the command has ended."""
        end = time.monotonic() + PATIENCE
        while not seen(self.text) and time.monotonic() < end:
            if select.select([self._master], [], [], 1.0)[0]:
                try:
                    self.text += os.read(self._master, 1 << 16).decode("utf-8", "replace")
                except OSError:  # It has closed its end.
                    return

    def interrupt(self) -> None:
        self._process.send_signal(signal.SIGINT)

    def end(self) -> int | None:
        self.until(lambda _text: False)
        os.close(self._master)
        self._process.communicate()
        return self._process.returncode

    @property
    def plain(self) -> str:
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.text)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "train.py").write_text(SCRIPT)
    return tmp_path


def test_the_stages_of_a_function_are_drawn_with_their_rates_and_the_cursor_comes_back(folder: Path) -> None:
    terminal = Terminal(folder, "train.py:make", "--live", "--no-verify", "--seconds", "4")
    assert terminal.end() == 0, terminal.plain
    table = terminal.plain.replace("\r", "\n")
    assert re.search(r"^stage .*elements/s .*threads busy .*buffer", table, re.MULTILINE), table
    # TensorFlow has made one stage of the two.
    assert re.search(r"^\w+\+batch +train\.py:13 +[\d,.]+ +\d\.\d\d of \d", table, re.MULTILINE), table
    assert re.search(r"^prefetch .* \d of 3", table, re.MULTILINE), table
    assert re.search(r"memory [\d.,]+ [MG]iB of .* cores in use", table), table
    assert re.search(r"\[6/7\] measuring, [\d.]+ batches/s, \d+%, \d s left", table), table
    assert terminal.text.rfind(SHOW) > terminal.text.rfind(HIDE) >= 0


def test_ctrl_c_in_the_live_view_of_a_script_restores_the_terminal(folder: Path) -> None:
    terminal = Terminal(folder, "train.py", "--live", "--seconds", "60")
    terminal.until(lambda text: "threads busy" in text)
    assert terminal.text.rfind(HIDE) > terminal.text.rfind(SHOW)
    terminal.interrupt()
    assert terminal.end() == 130, terminal.plain
    assert terminal.text.rfind(SHOW) > terminal.text.rfind(HIDE)
