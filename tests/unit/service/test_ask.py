"""Questions to a tf.data service: what its answers say, and who listens."""

from __future__ import annotations

import socket
import subprocess

import pytest

from pipeprof.profiles.service.ask import ServiceState, ask, read_workers, split_address
from pipeprof.profiles.service.local import is_here, processes_at


def test_the_addresses_of_workers_are_read_from_the_dispatchers_answer() -> None:
    one, other = b"\x0a\x0elocalhost:7401\x10\x05", b"\x0a\x06h2:744"
    message = b"\x0a" + bytes([len(one)]) + one + b"\x0a" + bytes([len(other)]) + other
    assert read_workers(message) == ("localhost:7401", "h2:744")
    assert read_workers(b"") == ()
    assert read_workers(message[:-3]) == ("localhost:7401",)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("localhost:5000", ("localhost", 5000)),
        ("grpc://h1:80", ("h1", 80)),
        ("[::1]:80", ("::1", 80)),
        ("localhost", None),
        (":80", None),
        ("h1:99999", None),
        ("h1:http", None),
    ],
)
def test_an_address_is_a_host_and_a_port(text: str, place: tuple[str, int] | None) -> None:
    assert split_address(text) == place


def test_where_nobody_can_be_asked_the_connection_is_all_that_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    def late(*_words: object, **_options: object) -> None:
        raise subprocess.TimeoutExpired("ask", 8.0)

    monkeypatch.setattr(subprocess, "run", late)
    monkeypatch.setattr("pipeprof.profiles.service.ask.listens", lambda address: address == "h1:1")
    assert ask("h1:1") == ServiceState("h1:1", listens=True, asked=False)
    assert ask("h1:2") == ServiceState("h1:2", listens=False, asked=False)


def test_the_processes_at_ports_of_this_machine_are_found_by_their_sockets(tmp_path) -> None:
    (tmp_path / "net").mkdir()
    head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
    rows = [
        "   0: 0100007F:1D4C 00000000:0000 0A 00000000:00000000 00:00000000 00000000  0 0 5001 1 0",
        "   1: 0100007F:1D4C 0100007F:9999 01 00000000:00000000 00:00000000 00000000  0 0 5002 1 0",
        "   2: 0100007F:1D4D 00000000:0000 0A 00000000:00000000 00:00000000 00000000  0 0 5003 1 0",
    ]
    (tmp_path / "net" / "tcp").write_text(head + "\n".join(rows))
    for pid, inode in ((11, 5001), (12, 5002), (13, 5003)):
        (tmp_path / str(pid) / "fd").mkdir(parents=True)
        (tmp_path / str(pid) / "fd" / "7").symlink_to(f"socket:[{inode}]")
    assert processes_at(["localhost:7500"], tmp_path) == {"localhost:7500": {11}}
    both = processes_at(["localhost:7500", "127.0.0.1:7501"], tmp_path)
    assert both == {"localhost:7500": {11}, "127.0.0.1:7501": {13}}
    assert processes_at(["elsewhere:7500"], tmp_path) == {}
    assert processes_at([], tmp_path) == {}


def test_a_host_is_here_by_name_and_loopback_address() -> None:
    assert [is_here(host) for host in ("localhost", "127.0.0.1", socket.gethostname())] == [True] * 3
    assert not is_here("10.1.2.3")
