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
case " $* " in
  *" install "*)
    # Only where make begins before this has ended.
    for _ in {1..3000}; do [ -e "$SEEN.test" ] && break; sleep 0.02; done
    [ -e "$SEEN.test" ] || exit 1
    [ -z "${NO_PACKAGE:-}" ] || { echo "E: Unable to locate package chromium" >&2; exit 100; }
    printf '#!/bin/sh\\n' >"$BIN/chromium"; chmod +x "$BIN/chromium" ;;
esac
"""
TIMEOUT = """#!/usr/bin/env bash
[ "${TOO_LATE:-}" != "$1" ] || exit 124
shift
exec "$@"
"""
PROGRAMS = {"env": '#!/bin/sh\nexec "$@"\n', "make": MAKE, "timeout": TIMEOUT, "id": "#!/bin/sh\necho ${USER_ID:-0}\n"}
ALL = ["make test", "make pages-tools", "make test-pages"]
WITHOUT = "The page tests did not run: "


@pytest.mark.parametrize(
    ("has", "variables", "code", "said", "ran"),
    [
        ("chromium", {}, 0, "", ALL),
        ("chromium-browser", {"TEST_ENDS": "2"}, 2, "", ALL),
        ("chromium-browser", {"PAGES_END": "2"}, 2, "", ALL),
        ("chromium", {"LATEST": "-1", "TEST_ENDS": "2"}, 2, "make test took ", ALL[:1]),
        ("apt-get", {}, 0, "", ALL),
        ("apt-get", {"USER_ID": "1000"}, 0, "apt-get install chromium needs root", ALL[:1]),
        ("apt-get", {"NO_PACKAGE": "1", "TEST_ENDS": "2"}, 2, "apt-get install chromium ended with 100", ALL[:1]),
        ("apt-get", {"TOO_LATE": "600"}, 0, "apt-get install chromium ended with 124", ALL[:1]),
        ("apt-get", {"TOO_LATE": "90"}, 0, "what they need was not there within 90 s", ALL[:1]),
        ("apt-get", {"NO_NPM": "1"}, 0, "npm is missing: apt-get install -y npm", ALL[:2]),
        ("neither", {}, 0, "there is no apt-get to install Chromium with", ALL[:1]),
    ],
)
def test_both_have_to_pass_and_without_chromium_the_other_tests_decide(
    has: str, variables: dict[str, str], code: int, said: str, ran: list[str], tmp_path: Path
) -> None:
    programs, seen = tmp_path / "bin", tmp_path / "seen"
    programs.mkdir()
    for name in USED:
        (programs / name).symlink_to(str(shutil.which(name)))
    for name, text in {**PROGRAMS, has: APT_GET if has == "apt-get" else "#!/bin/sh\n"}.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    given = {"PATH": str(programs), "BIN": str(programs), "SEEN": str(seen), "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        ["bash", RUN], env=given | variables, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    assert (done.returncode, seen.read_text().splitlines()) == (code, ran)
    assert (done.stdout + done.stderr).startswith(WITHOUT + said if said else "")
    assert (done.stdout + done.stderr).count("\n") == bool(said)
    assert not list(tmp_path.glob("tmp.*"))
