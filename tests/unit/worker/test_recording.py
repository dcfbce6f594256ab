"""Limits of a traced stretch: its length from a first look, a shorter one after far more events, and no trace."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from pipeprof.profiles.worker.trace import record as recording
from pipeprof.profiles.worker.trace.record import MOST_BYTES, MOST_EVENTS, SECONDS, NoTraceError, record


def recorded(
    monkeypatch: pytest.MonkeyPatch, look: float, *stretches: float, batches: int = 4, room: int | None = None
) -> tuple[Any, list[float]]:
    """Record with planned shares of the events that are wanted: of the first look, and of each stretch."""
    asked: list[float] = []
    shares = list(stretches)

    def once(_feed: object, seconds: float, _fill: float | None, given: int | None) -> Any:
        assert given == room
        asked.append(seconds)
        share = shares.pop(0)
        return SimpleNamespace(data=[share], seconds=seconds, events=round(share * MOST_EVENTS), batches=batches)

    monkeypatch.setattr(recording, "_first_look", lambda _feed, _most, _room: (look, 0.1))
    monkeypatch.setattr(recording, "_record_once", once)
    monkeypatch.setattr(recording, "_share", lambda data, _most: data[0])
    return record(None, room), asked  # type: ignore[arg-type]


def test_few_events_do_not_limit_the_stretch(monkeypatch: pytest.MonkeyPatch) -> None:
    for look in (0.0, 0.001, 0.1):
        assert recorded(monkeypatch, look, 0.9)[1] == [SECONDS]


def test_many_events_make_it_shorter(monkeypatch: pytest.MonkeyPatch) -> None:
    assert recorded(monkeypatch, 0.5, 2.9)[1] == [pytest.approx(0.2)]


def test_where_there_are_far_more_a_shorter_one_follows(monkeypatch: pytest.MonkeyPatch) -> None:
    found, asked = recorded(monkeypatch, 0.5, 10.0, 1.5)
    assert asked == [pytest.approx(0.2), pytest.approx(0.02)]
    assert found.data == [1.5]


@pytest.mark.parametrize(("stretches", "batches"), [((10.0, 4.0), 4), ((0.5,), 0)])
def test_a_batch_with_too_many_events_has_no_trace(
    stretches: tuple[float, ...], batches: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(NoTraceError, match=r"too much happens in a batch \([0-9,]+ events in"):
        recorded(monkeypatch, 0.5, *stretches, batches=batches)


def test_without_room_there_is_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NoTraceError, match="more memory than is left"):
        recorded(monkeypatch, 0.5, 1.0, room=10**8)


@pytest.mark.parametrize(("room", "cut_after"), [(1000, 4), (10_000, 8), (None, 1)])
def test_a_recording_ends_before_it_takes_more_than_half_of_what_is_left(
    monkeypatch: pytest.MonkeyPatch, room: int | None, cut_after: int
) -> None:
    now, waits, ended = [0], [], []
    # It has grown by 150 bytes at each look.
    monkeypatch.setattr(recording.procfs, "rss_bytes", lambda _pid: 5000 + 150 * len(waits))
    monkeypatch.setattr(recording, "time", SimpleNamespace(monotonic_ns=lambda: now[0]))

    def wait(seconds: float) -> bool:
        waits.append(seconds)
        now[0] += round(seconds * 1e9)
        return False

    made = recording._Recording(0.4, room)
    monkeypatch.setattr(made, "_over", SimpleNamespace(wait=wait))
    monkeypatch.setattr(made, "_end", lambda *, cut: ended.append(cut))
    made._watch()
    assert ended == [True]
    assert len(waits) == cut_after


def test_files_count_by_events_or_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "count_events", lambda data: 1000 * len(data) // 10_000)
    assert recording._share([bytes(10_000), bytes(10_000)], 1000) == pytest.approx(2.0)
    assert recording._share([bytes(MOST_BYTES // 100)], 10**12) == pytest.approx(0.01)
