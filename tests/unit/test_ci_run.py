"""`.ci/run` with programs that stand for make and apt-get: which tests run, and what decides."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

RUN = Path(__file__).parents[2] / ".ci" / "run"
USED = ("bash", "cat", "chmod", "dirname", "grep", "mktemp", "nice", "rm", "sleep", "tail", "touch")
MAKE = """#!/usr/bin/env bash
target=${!#}
echo "make $target" >>"$SEEN"
touch "$SEEN.$target"
case $target in
  test) exit "${TEST_ENDS:-0}" ;;
  pages-tools)
    [ -z "${NO_NPM:-}" ] || { printf 'npm is missing: apt-get install -y npm\\nmake: *** Error 1\\n'; exit 2; } ;;
  test-pages) exit "${PAGES_END:-0}" ;;
esac
"""
APT_GET = """#!/usr/bin/env bash
echo "apt-get ${*//[![:alpha:] ]/}" >>"$SEEN"
case " $* " in
  *" install "*)
    # Only where make begins before this has ended.
    for _ in {1..3000}; do [ -e "$SEEN.test" ] && break; sleep 0.02; done
    [ -e "$SEEN.test" ] || exit 1
    [ -z "${NO_PACKAGE:-}" ] || { echo "E: Unable to locate package chromium" >&2; exit 100; }
    printf '#!/bin/sh\\n' >"$BIN/chromium"; chmod +x "$BIN/chromium" ;;
  *" update "*) exit "${UPDATE_ENDS:-0}" ;;
esac
"""
TIMEOUT = """#!/usr/bin/env bash
[ "${TOO_LATE:-}" != "$1" ] || exit 124
shift
exec "$@"
"""


class Machine:
    """A machine that has only these programs."""

    def __init__(self, folder: Path) -> None:
        self.bin, self.seen = folder / "bin", folder / "seen"
        self.bin.mkdir()
        for name in USED:
            (self.bin / name).symlink_to(str(shutil.which(name)))
        self.add("env", '#!/bin/sh\nexec "$@"\n')
        self.add("make", MAKE)
        self.add("timeout", TIMEOUT)
        self.add("id", "#!/bin/sh\necho ${USER_ID:-0}\n")

    def add(self, name: str, text: str) -> None:
        (self.bin / name).write_text(text)
        (self.bin / name).chmod(0o755)

    def run(self, **variables: str) -> tuple[int, str, list[str]]:
        """How it ended, what it said, and what it ran."""
        given = {"PATH": str(self.bin), "BIN": str(self.bin), "SEEN": str(self.seen), "TMPDIR": str(self.bin.parent)}
        done = subprocess.run(
            ["bash", RUN], env=given | variables, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
        )
        assert not list(self.bin.parent.glob("tmp.*"))
        return done.returncode, done.stdout + done.stderr, self.seen.read_text().splitlines()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def ran(seen: list[str]) -> list[str]:
    return [line for line in seen if line.startswith("make")]


ALL = ["make test", "make pages-tools", "make test-pages"]


def test_where_chromium_is_nothing_is_installed(machine: Machine) -> None:
    machine.add("chromium", "#!/bin/sh\n")
    machine.add("apt-get", APT_GET)
    code, said, seen = machine.run()
    assert (code, said, seen) == (0, "", ALL)


def test_chromium_is_installed_beside_the_tests(machine: Machine) -> None:
    machine.add("apt-get", APT_GET)
    code, said, seen = machine.run()
    assert (code, said, ran(seen)) == (0, "", ALL)
    installs = [line for line in seen if line.startswith("apt-get")]
    assert [line.split()[-1] for line in installs] == ["update", "chromium"]


@pytest.mark.parametrize("code", [0, 2])
@pytest.mark.parametrize(
    ("variables", "why"),
    [
        ({"USER_ID": "1000"}, "apt-get install chromium needs root"),
        ({"NO_PACKAGE": "1"}, "apt-get install chromium ended with 100 (124: not done within 600 s)"),
        ({"NO_PACKAGE": "1", "UPDATE_ENDS": "100"}, "apt-get install chromium ended with 100"),
        ({"NO_PACKAGE": "1", "TOO_LATE": "60"}, "apt-get install chromium ended with 100"),
        ({"TOO_LATE": "600"}, "apt-get install chromium ended with 124 (124: not done within 600 s)"),
        ({"NO_NPM": "1"}, "npm is missing: apt-get install -y npm"),
        ({"TOO_LATE": "90"}, "what they need was not there within 90 s"),
    ],
)
def test_without_chromium_the_other_tests_decide_and_a_line_says_so(
    machine: Machine, variables: dict[str, str], why: str, code: int
) -> None:
    machine.add("apt-get", APT_GET)
    ended, said, seen = machine.run(**variables, TEST_ENDS=str(code))
    assert ended == code
    assert said.startswith(f"The page tests did not run: {why}")
    assert said.count("\n") == 1
    assert "make test-pages" not in seen


def test_after_a_slow_machine_the_page_tests_have_no_time(machine: Machine) -> None:
    machine.add("chromium", "#!/bin/sh\n")
    code, said, seen = machine.run(LATEST="-1", TEST_ENDS="2")
    assert (code, seen) == (2, ["make test"])
    assert said.startswith("The page tests did not run: make test took ")


def test_without_apt_get_a_line_says_so(machine: Machine) -> None:
    code, said, seen = machine.run()
    assert (code, ran(seen)) == (0, ["make test"])
    assert said == "The page tests did not run: there is no apt-get to install Chromium with\n"


@pytest.mark.parametrize(("test", "pages"), [("2", "0"), ("0", "2"), ("2", "2")])
def test_both_have_to_pass_and_both_run(machine: Machine, test: str, pages: str) -> None:
    machine.add("chromium-browser", "#!/bin/sh\n")
    code, _, seen = machine.run(TEST_ENDS=test, PAGES_END=pages)
    assert (code, seen) == (2, ALL)
