"""The text handling of the tool that runs the examples' commands again."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

PATH = Path(__file__).resolve().parents[2] / "docs" / "refresh_examples.py"
SPEC = importlib.util.spec_from_file_location("docs_refresh_examples", PATH)
tool = importlib.util.module_from_spec(SPEC)
sys.modules[SPEC.name] = tool
SPEC.loader.exec_module(tool)

README = """# A story

```
$ pipeprof run examples/a/spec.yaml
Input-bound: old.

Memory  old
  phase  1

$ pipeprof check examples/a/spec.yaml
…
Memory predicted  old
  owner
  source  old
…
```

Between.

<!-- runs: pipeprof run examples/a/quoted.yaml --seconds 3 -->

```
$ python examples/a/loops.py
old
$ ls
```

```yaml
$ pipeprof run: no command
```
"""
REPORT = """\
Step-bound: new,
in two lines.

Pipeline  new
  #

Memory  new
  phase  2
  phase  3

What to change
  1. One

  2. Two

Reliable  settled
"""
CHECK = """\
examples/a/spec.yaml: no errors

Memory predicted  new
  owner
  source  new
  stages  new
"""


def sessions(text):
    return [part for part in tool.parts(text) if isinstance(part, tool.Session)]


@pytest.mark.parametrize("text", [README, "", "no session", "```\n$ pipeprof run x\n```", "```\n$ python x\n```\n\n"])
def test_taking_a_readme_apart_loses_nothing(text):
    assert tool.joined(tool.parts(text)) == text


def test_the_readmes_themselves_survive():
    assert len(tool.READMES) > 5
    for path in tool.READMES:
        text = path.read_text(encoding="utf-8")
        assert tool.joined(tool.parts(text)) == text
        assert bool(sessions(text)) is ("\n$ " in text)


def test_commands_are_found_in_blocks_alone():
    assert [session.command for session in sessions(README)] == [
        "pipeprof run examples/a/spec.yaml",
        "pipeprof check examples/a/spec.yaml",
        "python examples/a/loops.py",
    ]
    assert tool.quoted_runs(README) == ["pipeprof run examples/a/quoted.yaml --seconds 3"]


def test_a_report_is_cut_at_its_headings():
    found = tool.sections(REPORT.splitlines())
    assert [section.kind for section in found] == ["verdict", "Pipeline", "Memory", "What", "Reliable"]
    assert found[3].lines == ("What to change", "  1. One", "", "  2. Two")


def test_a_session_shows_the_sections_it_showed():
    run, check, script = sessions(README)
    shown, notes = tool.refreshed(run, REPORT)
    assert shown == ["Step-bound: new,", "in two lines.", "", "Memory  new", "  phase  2", "  phase  3", ""]
    assert notes == ["has now: What"]
    assert tool.refreshed(script, "a\n\nb\n") == (["a", "", "b"], [])
    assert script.shown == ["old"]
    assert tool.refreshed(check, CHECK) == (
        [tool.OMITTED, "Memory predicted  new", "  owner", "  source  new", tool.OMITTED],
        [],
    )


def test_a_section_that_is_gone_is_told():
    run = sessions(README)[0]
    shown, notes = tool.refreshed(run, "Step-bound: new.\n")
    assert shown == ["Step-bound: new.", ""]
    assert notes == ["no longer: Memory"]


def test_a_section_cut_short_between_others_is_still_one_the_next_time():
    shown = ["Old.", "", "Pipeline  old", tool.OMITTED, "", "Memory  old", "  phase", tool.OMITTED]
    new = ["Step-bound: new,", "in two lines.", "", "Pipeline  new", tool.OMITTED]
    new += ["", "Memory  new", "  phase  2", tool.OMITTED]
    session = tool.Session("pipeprof run examples/a/spec.yaml", shown)
    assert tool.refreshed(session, REPORT) == (new, ["has now: What"])
    assert tool.refreshed(tool.Session(session.command, new), REPORT)[0] == new


def test_what_is_shown_again_stays_as_it_is():
    for session in sessions(README)[:1]:
        assert tool.refreshed(session, "\n".join(session.shown)) == (session.shown, [])


def test_a_command_that_fails_is_not_shown(monkeypatch, tmp_path):
    monkeypatch.setattr(tool, "ROOT", tmp_path)
    readme = tmp_path / "README.md"
    (tmp_path / "fails.py").write_text("print('half'); raise SystemExit(3)")
    (tmp_path / "works.py").write_text("print(__import__('pathlib').Path('whole').absolute())")
    text = "```\n$ python works.py\nold\n$ python fails.py\nold\n```\n"
    readme.write_text(text)
    with pytest.raises(tool.RefreshError, match="ended with 3"):
        tool.refresh(readme, (), tmp_path / "kept")
    assert readme.read_text() == text.replace("old", "whole", 1)
    assert [path.read_text() for path in (tmp_path / "kept").iterdir()] == [f"{tmp_path / 'whole'}\n"]
