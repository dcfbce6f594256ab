"""A history in a file: nothing that is there is lost, and what is not a history is not touched."""

from __future__ import annotations

import json
import multiprocessing
import os
import threading
from pathlib import Path

import pytest
from unit.history.gates import TARGET, chain, entry

from pipeprof.pipelines.errors import PipeprofError, ProfileError, UsageError
from pipeprof.profiles.history.entry import LineError, decode_line, encode_line
from pipeprof.profiles.history.file import append_line, read_file
from pipeprof.profiles.history.lines import describe_damage, of_target, require_own

OWN = "a" * 40


def test_what_was_appended_is_read(tmp_path: Path) -> None:
    path = tmp_path / "gates.jsonl"
    entries = chain([1.0, 1.1])
    for one in entries:
        append_line(path, encode_line(one))
    read = read_file(path, OWN)
    assert list(read.entries) == entries
    assert read.damaged == []
    assert path.read_bytes().count(b"\n") == 2


def test_entries_stand_in_the_order_of_their_time(tmp_path: Path) -> None:
    path = tmp_path / "gates.jsonl"
    late, early = entry(1, 2, started="2026-02-01"), entry(0, 1, started="2026-01-01")
    for one in (late, early):
        append_line(path, encode_line(one))
    assert list(read_file(path, OWN).entries) == [early, late]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b'{"history": "pipeprof ga', "not JSON"),
        (b"[1, 2]", "not an entry of a gate"),
        (b'{"history": "other"}', "not an entry of a gate"),
        (b'{"history": "pipeprof gate", "version": 9}', "written by a newer pipeprof (version 9, this one reads 1)"),
        (b'{"history": "pipeprof gate", "version": 1}', "started: Field required"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 100_000, "not JSON"),
    ],
)
def test_a_damaged_line_is_named_and_skipped(line: bytes, why: str, tmp_path: Path) -> None:
    path = tmp_path / "gates.jsonl"
    one, other = chain([1.0, 1.1])
    path.write_bytes(encode_line(one) + line + b"\n\n" + encode_line(other))
    read = read_file(path, OWN)
    assert list(read.entries) == [one, other]
    assert describe_damage(read) == f"1 line of the history skipped: {path}:2: {why}"


def test_a_value_that_no_process_has_is_damage() -> None:
    document = json.loads(encode_line(entry(0, 1)))
    document["pairs"][0]["b"]["step_ms"] = -1.0
    with pytest.raises(LineError, match=r"pairs\.0: step_ms is -1"):
        decode_line(json.dumps(document).encode())


def test_a_field_that_is_not_known_is_no_damage() -> None:
    one = entry(0, 1)
    document = json.loads(encode_line(one)) | {"later": 1}
    assert decode_line(json.dumps(document).encode()) == one


def test_a_line_without_its_end_stays_alone(tmp_path: Path) -> None:
    path = tmp_path / "gates.jsonl"
    one, other = chain([1.0, 1.1])
    path.write_bytes(encode_line(one) + encode_line(other)[:50])
    append_line(path, encode_line(other))
    read = read_file(path, OWN)
    assert list(read.entries) == [one, other]
    assert len(read.damaged) == 1


def _append(path: str, number: int, many: int) -> None:
    for one in range(many):
        append_line(Path(path), encode_line(entry(number, number + 1, started=f"{number}-{one}")))


def test_appends_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "gates.jsonl"
    context = multiprocessing.get_context("fork")
    running = [context.Process(target=_append, args=(str(path), number, 20)) for number in range(3)]
    running += [threading.Thread(target=_append, args=(str(path), 3, 20))]  # type: ignore[list-item]
    for one in running:
        one.start()
    for one in running:
        one.join()
    read = read_file(path, OWN)
    assert read.damaged == []
    assert len({found.started for found in read.entries}) == 80


def test_a_disk_that_is_full_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "gates.jsonl"
    one = entry(0, 1)
    append_line(path, encode_line(one))
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:10]))
    with pytest.raises(PipeprofError, match="could not be added"):
        append_line(path, encode_line(entry(1, 2)))
    monkeypatch.undo()
    assert path.read_bytes() == encode_line(one)


@pytest.mark.parametrize("text", ["name,step\na,1\n", "{}\n", '{"schema_version": 1, "kind": "gate"}'])
def test_a_file_of_the_users_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text(text)
    with pytest.raises(UsageError, match="this is no history of pipeprof gate"):
        read_file(path, OWN, missing=True)
    assert path.read_text() == text


@pytest.mark.parametrize(
    ("name", "says"), [(".", "this is a folder; name a file"), ("none/gates.jsonl", "does not exist; create it first")]
)
def test_where_nothing_can_be_appended_is_said_first(name: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=says):
        read_file(tmp_path / name, OWN, missing=True)


def test_a_device_is_no_history() -> None:
    with pytest.raises(UsageError, match="this is a device or a pipe"):
        read_file(Path("/dev/null"), OWN, missing=True)


def test_a_history_that_is_not_there_may_begin(tmp_path: Path) -> None:
    path = tmp_path / "gates.jsonl"
    assert read_file(path, OWN, missing=True).entries == ()
    with pytest.raises(ProfileError, match=r"no such history; pipeprof gate --history .* begins one"):
        read_file(path, OWN)
    path.touch()
    assert read_file(path, OWN, missing=True).entries == []


def test_a_history_of_another_repository_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "gates.jsonl"
    for one in (entry(0, 1), entry(1, 2, repository="b" * 40)):
        append_line(path, encode_line(one))
    read = read_file(path, OWN)
    with pytest.raises(ProfileError, match=r"gates.jsonl:2 is of another repository, which begins with commit bbbbb"):
        require_own(read, OWN)
    # A shallow clone does not know its first commit.
    require_own(read_file(path, None), None)


def test_only_gates_of_the_target_and_step_count() -> None:
    other = TARGET.model_copy(update={"digest": "1" * 64})
    entries = [entry(0, 1), entry(1, 2, step="simulate: 5 ms"), entry(2, 3, target=other)]
    assert of_target(entries, TARGET, "none") == entries[:1]
