"""``pipeprof show``: which profile it shows, and the file that its hints name."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from pipeprof.profiles.document.store import encode, load_profile
from tests.unit.cli.reports import RECORDED, Pipeprof, Recorded, as_function


def test_without_a_file_the_latest_is_shown(pipeprof: Pipeprof) -> None:
    for _ in range(2):
        nothing = pipeprof("show")
        assert (nothing.code, nothing.out, nothing.err.count("\n")) == (6, "", 1)
        Path("pipeprof-out").mkdir(exist_ok=True)
    latest = Path("pipeprof-out/a-20260101T000001Z.json")
    for path, name, seconds in (("pipeprof-out/z-20260101T000000Z.json", "step-bound", 1), (latest, "input-bound", 2)):
        shutil.copy(RECORDED / f"{name}.json", path)
        os.utime(path, (seconds, seconds))
    Path("pipeprof-out/other.json").write_text("{}")
    result = pipeprof("show")
    assert (result.code, result.err) == (0, f"pipeprof: showing {latest}\n")
    assert pipeprof("show", "--json").out.encode() == encode(load_profile(latest))
    assert len(pipeprof("show", latest, "-v").out.splitlines()) > len(result.out.splitlines())


def test_what_shows_more_and_what_takes_a_change_name_that_file(pipeprof: Pipeprof, recorded: Recorded) -> None:
    profile = as_function(recorded("jpeg-folder"))
    profile.findings = (profile.findings or [])[:1]
    older, latest = (Path(f"pipeprof-out/a-20260101T00000{number}Z.json") for number in (0, 1))
    elsewhere = Path("my profile.json")
    latest.parent.mkdir()
    for seconds, path in enumerate((older, latest, elsewhere), 1000):
        path.write_bytes(encode(profile))
        os.utime(path, (seconds, seconds))
    for path, named in ((None, ""), (older, f"{older} "), (elsewhere, "'my profile.json' ")):
        shown = " ".join(pipeprof("show", *filter(None, [path])).out.split())
        assert f"all numbers: pipeprof show {named}-v" in shown
        change = f"--change '{path}:1'" if " " in str(path) else f"--change {path}:1" if named else "--change 1"
        assert f"{change} measures change 1" in shown


def test_several_profiles_are_shown_one_after_the_other(pipeprof: Pipeprof) -> None:
    paths = [RECORDED / f"{name}.json" for name in ("step-bound", "interrupted")]
    alone = [pipeprof("show", path).out for path in paths]
    assert pipeprof("show", *paths).out == "\n\n".join(alone)
    assert [one["complete"] for one in json.loads(pipeprof("show", *paths, "--json").out)] == [True, False]
    assert pipeprof("show", *paths, "--out", "a.md").code == 2
    assert [pipeprof("show", *paths, "--format", kind).code for kind in ("html", "sarif")] == [2, 2]
    assert pipeprof("show", paths[0], paths[0], "--format", "github").out.count("::") >= 4
