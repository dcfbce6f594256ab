"""The guard of the unit tests itself: what it refuses, it refuses even where the code under test tolerates failure."""

import contextlib
import importlib
import importlib.util
import socket
import time

import pytest


def test_tensorflow_cannot_be_imported_even_by_code_that_tolerates_its_absence(guard_error):
    with pytest.raises(guard_error, match="imports tensorflow"), contextlib.suppress(Exception):
        importlib.import_module("tensorflow")
    assert importlib.util.find_spec("tensorflow") is not None


def test_no_waiting_on_the_real_clock(guard_error):
    time.sleep(0)
    with pytest.raises(guard_error, match="sleeps"):
        time.sleep(0.001)


@pytest.mark.parametrize("call", ["connect", "connect_ex", "bind"])
def test_no_sockets(guard_error, call):
    with socket.socket() as one, pytest.raises(guard_error, match="opens a socket"):
        getattr(one, call)(("127.0.0.1", 0))


def test_golden_writes_what_it_got_beside_the_file_and_shows_the_difference(pytester, request):
    pytester.makeconftest((request.config.rootpath / "tests" / "conftest.py").read_text(encoding="utf-8"))
    pytester.makepyfile("def test_text(golden):\n    golden('a.txt', 'one\\ntwo\\n')\n")
    folder = pytester.mkdir("golden")
    (folder / "a.txt").write_text("one\nthree\n", encoding="utf-8")

    failed = pytester.runpytest_inprocess("-p", "no:cacheprovider")
    failed.assert_outcomes(failed=1)
    failed.stdout.fnmatch_lines(["*a.txt differs*", "-three", "+two"])
    assert (folder / "a.txt.got").read_text(encoding="utf-8") == "one\ntwo\n"

    pytester.runpytest_inprocess("-p", "no:cacheprovider", "--update-goldens").assert_outcomes(passed=1)
    assert (folder / "a.txt").read_text(encoding="utf-8") == "one\ntwo\n"
    assert not (folder / "a.txt.got").exists()
