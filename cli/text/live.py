"""The live view on stderr (`--live`): the line of the progress, and below it the pipeline while it runs."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TextIO

from pipeprof.cli.text.progress import TICK_SECONDS, LiveProgress, draws_on
from pipeprof.cli.text.units import byte_scale
from pipeprof.pipelines.errors import UsageError
from pipeprof.profiles.wording import count, percent, significant, size

if TYPE_CHECKING:
    from pipeprof.profiles.view.running import Running, RunningStage

_SHOWN = ("warmup", "measure")
"""Phases in which batches are taken one after the other."""
MOST_STAGES = 20
"""Stages with a row: each one takes half a millisecond to draw, which is CPU time of the measured machine."""
_OTHER_LINES = 5
"""Of the terminal: the progress, the heads, what is left out, the footer, and the cursor's."""


def live_view(stream: TextIO, *, quiet: bool, verbose: bool) -> LiveView:
    """Return the view for a terminal.

    Raises:
        UsageError: The stream is none that can be drawn on, or nothing is to be shown.
    """
    if quiet:
        raise UsageError("--live and --quiet contradict each other: give one of them")
    if not draws_on(stream):
        why = "TERM=dumb" if os.environ.get("TERM") == "dumb" and stream.isatty() else "stderr is no terminal"
        raise UsageError(f"--live draws on a terminal, and {why}: remove it; the report has the same numbers")
    return LiveView(stream, verbose=verbose, ticks=True)


class LiveView(LiveProgress):
    """The line of the progress, and while steps run a table of the stages, drawn once a second."""

    redraw_seconds = 0.9 * TICK_SECONDS

    def __init__(
        self, stream: TextIO, *, verbose: bool = False, clock: Callable[[], float] = time.monotonic, ticks: bool = False
    ) -> None:
        super().__init__(stream, verbose=verbose, clock=clock, ticks=ticks)
        self._look: Callable[[], Running] | None = None
        self._live: Any = None

    def watch(self, look: Callable[[], Running] | None) -> None:
        """Draw what it tells while steps run."""
        with self._lock:
            self._look = look

    def _show(self, line: str) -> None:
        from rich.console import Console, Group
        from rich.live import Live
        from rich.text import Text

        if self._live is None:
            # The stream is the progress' own: it swallows a full disk, and escapes what the encoding lacks.
            stream: Any = _Written(self._stream, self._write)
            console = Console(file=stream, highlight=False, soft_wrap=False)
            self._live = Live(
                console=console, auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=False
            )
            self._live.start()
        parts: list[Any] = [Text(line, no_wrap=True, overflow="crop")]
        if self._look is not None and self._phase in _SHOWN:
            parts += list(self._table(self._look()))
        self._live.update(Group(*parts), refresh=True)

    def _clear(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _table(self, now: Running) -> list[Any]:
        from rich.table import Table
        from rich.text import Text

        sizes = byte_scale(stage.bytes for stage in now.stages)
        table = Table.grid(padding=(0, 2))
        for column in range(6):
            table.add_column(justify="left" if column < 2 else "right", no_wrap=True, overflow="ellipsis")
        stages = _busiest(now.stages, min(MOST_STAGES, shutil.get_terminal_size().lines - _OTHER_LINES))
        if stages:
            heads = ("stage", "", "elements/s", "threads busy", "buffer", f"held, {sizes.unit}")
            table.add_row(*(Text(head, style="bold") for head in heads))
        for stage in stages:
            cells = (stage.name, stage.place, *_cells(stage), sizes.text(stage.bytes or None))
            table.add_row(*(Text(self._clean(cell)) for cell in cells))
        left_out = len(now.stages) - len(stages)
        lines = [f"{left_out:,} more stages, less busy"] if left_out else []
        below = [Text(self._clean(line), no_wrap=True, overflow="ellipsis") for line in (*lines, _footer(now))]
        return [table, *below]


class _Written:
    """A stream for rich whose text goes through the writer of the progress."""

    def __init__(self, stream: TextIO, write: Callable[[str], None]) -> None:
        self._stream = stream
        self.write = write
        self.encoding = stream.encoding

    def isatty(self) -> bool:
        return self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()

    def flush(self) -> None:
        """Every text is flushed as it is written."""


def _busiest(stages: Sequence[RunningStage], most: int) -> list[RunningStage]:
    """The stages in which most threads work, in their order; at least one."""
    order = sorted(range(len(stages)), key=lambda place: -(stages[place].busy or 0.0))
    return [stages[place] for place in sorted(order[: max(most, 1)])]


def _cells(stage: RunningStage) -> tuple[str, str, str]:
    rate = significant(stage.per_second) if stage.per_second is not None else ""
    busy = f"{stage.busy:.2f}" if stage.busy is not None else ""
    if busy and stage.calls:
        busy += f" of {count(stage.calls)}"
    held = f"{stage.held:,}" if stage.held or stage.room else ""
    return rate, busy, f"{held} of {stage.room:,.0f}" if held and stage.room else held


def _footer(now: Running) -> str:
    parts = [f"the step waits for data {percent(now.waits)} of the time"] if now.waits is not None else []
    if now.bytes is not None:
        limit = f" of {size(now.limit_bytes)}" if now.limit_bytes else ""
        parts.append(f"memory {size(now.bytes)}{limit}")
    parts += [f"{significant(now.cores)} cores in use"] if now.cores is not None else []
    return " · ".join(parts)
