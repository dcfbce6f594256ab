"""A conversion with a made-up process and disk: what is refused, what stays, and what goes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeprof.profiles.convert.folder import DESCRIPTION, ConvertTarget, LateFolderError, NoRoomError
from pipeprof.profiles.convert.writing import FileWriting, InterruptedConversionError, NotConvertedError
from pipeprof.profiles.harness.progress import Silent
from pipeprof.profiles.protocol.messages import Raised, WorkerMessage
from pipeprof.profiles.protocol.store import Stored, StoreEstimated
from pipeprof.profiles.protocol.turns import EditRefused

GB = 10**9
ESTIMATED = StoreEstimated(elements=100, bytes=GB, compared=32, sources=[])


class Notes(Silent):
    def __init__(self) -> None:
        self.notes: list[str] = []
        self.ticks: list[float] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def tick(self, rate: float | None, done: float, total: float | None) -> None:
        del rate
        self.ticks.append(done / (total or 1.0))


class FakeWriter:
    """Says one thing after the other; writes a little at each look once it may."""

    def __init__(self, folder: Path, said: list[WorkerMessage | None]) -> None:
        self.folder = folder
        self.said = said
        self.writes = False
        self.ended = 0

    def wait(self, seconds: float) -> list[WorkerMessage] | None:
        del seconds
        if self.writes:
            self.folder.mkdir(exist_ok=True)
            with (self.folder / "data").open("ab") as file:
                file.write(b"x" * 1000)
        if not self.said:
            return None
        message = self.said.pop(0)
        return [message] if message is not None else []

    def go(self) -> None:
        self.writes = True

    def end(self) -> str:
        self.ended += 1
        return "ended with exit status 1"


class Case:
    """One conversion with everything around it made up."""

    def __init__(self, folder: Path, said: list[WorkerMessage | None], **given: object) -> None:
        self.progress = Notes()
        self.now = 0.0
        self.writers: list[FakeWriter] = []
        self.folder = folder

        def clock() -> float:
            self.now += 1.0
            return self.now

        def start(partial: Path) -> FakeWriter:
            self.writers.append(FakeWriter(partial, said))
            return self.writers[-1]

        values: dict[str, object] = {
            "interrupted": lambda: False, "free": lambda _: 100 * GB, "clock": clock, **given,
        }  # fmt: skip
        self.writing = FileWriting(ConvertTarget(folder), "decode", start, self.progress, **values)  # type: ignore[arg-type]

    def run(self) -> object:
        return self.writing.run({"form": "elements"})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "new" / "fast"


def test_files_get_their_name_once_they_are_complete(folder: Path) -> None:
    case = Case(folder, [None, ESTIMATED, None, Stored(100)])
    written = case.run()
    assert sorted(path.name for path in folder.iterdir()) == [DESCRIPTION, "elements"]
    assert (folder / "elements" / "data").stat().st_size == 2000
    assert (written.elements, written.bytes, written.compared) == (100, 2000, 32)  # type: ignore[attr-defined]
    assert json.loads((folder / DESCRIPTION).read_text())["elements"] == 100
    assert case.writers[0].ended == 1
    assert case.progress.notes[0] == f"converting: 100 elements of decode, about 954 MiB, into {folder / 'elements'}"


def test_how_far_it_is_comes_with_the_time_that_is_left(folder: Path) -> None:
    case = Case(folder, [StoreEstimated(100, 10_000, 32, []), *[None] * 8, Stored(100)])
    case.run()
    assert case.progress.ticks == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8])
    assert any("(50 %), 5 s left" in note or "(60 %), " in note for note in case.progress.notes)


@pytest.mark.parametrize(
    ("said", "error", "words"),
    [
        ([EditRefused("decode gives other elements")], NotConvertedError, "decode gives other elements"),
        ([ESTIMATED, None, Raised("build", "raised", "bad record\nmore")], NotConvertedError, "raised .* bad record$"),
        ([ESTIMATED, Raised("build", "raised", "write: No space left on device")], NoRoomError, "became full"),
        ([None], NotConvertedError, "the process that wrote the files ended with exit status 1"),
    ],
)
def test_nothing_stays_of_what_fails(
    folder: Path, said: list[WorkerMessage | None], error: type[Exception], words: str
) -> None:
    case = Case(folder, said)
    with pytest.raises(error, match=words):
        case.run()
    assert not folder.exists()
    assert not folder.parent.exists()
    assert case.writers[0].ended >= 1


def test_nothing_is_written_that_does_not_fit(folder: Path) -> None:
    case = Case(folder, [ESTIMATED, Stored(100)], free=lambda _: GB)
    with pytest.raises(NoRoomError, match=r"decode needs 1\.21 GiB in files including a reserve, .* only 954 MiB free"):
        case.run()
    assert not case.writers[0].writes
    assert NoRoomError.exit_code == 1


def test_it_ends_before_the_disk_is_full(folder: Path) -> None:
    left = iter([10 * GB, 10 * GB, 10_000_000])
    case = Case(folder, [ESTIMATED, *[None] * 9], free=lambda _: next(left))
    with pytest.raises(NoRoomError, match="nothing of it was kept"):
        case.run()
    assert not folder.exists()


def after(looks: int) -> Callable[[], bool]:
    """Whether the user wants an end: yes, from the look with this number on."""
    count = iter(range(10_000))
    return lambda: next(count) >= looks


def test_an_interruption_in_the_middle_leaves_nothing(folder: Path) -> None:
    case = Case(folder, [ESTIMATED, *[None] * 9], interrupted=after(4))
    with pytest.raises(InterruptedConversionError):
        case.run()
    assert case.writers[0].writes
    assert not folder.exists()


def test_the_time_of_the_command_ends_it(folder: Path) -> None:
    with pytest.raises(NotConvertedError, match="max-time"):
        Case(folder, [ESTIMATED, *[None] * 99], end_at=20.0).run()
    assert not folder.exists()


@pytest.mark.parametrize("place", ["data", "data/fast", "."])
def test_folders_of_the_original_data_are_refused(tmp_path: Path, place: str) -> None:
    own = tmp_path / "data"
    own.mkdir()
    named = StoreEstimated(100, 1000, 32, [str(own)])
    for said, inputs in (([named], []), ([ESTIMATED], [own])):
        case = Case(tmp_path / place, list(said), inputs=inputs)
        with pytest.raises(LateFolderError, match=r"original data.*the pipeline had to run before"):
            case.run()
        assert not any(writer.writes for writer in case.writers)
    assert list(own.iterdir()) == []
