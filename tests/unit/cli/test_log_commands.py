"""No line of an output is a command for the CI system that logs it, except in the format that consists of commands."""

import json
import re
from pathlib import Path

import pytest
import yaml

from pipeprof.cli.formats.github import render_github
from pipeprof.cli.formats.registry import Output
from pipeprof.cli.pages.remarks import Checkout, remarks_on
from pipeprof.cli.streams import without_commands
from pipeprof.cli.text.blocks import Code, Column, Command, Heading, KeyValue, Prose, Table
from pipeprof.cli.text.paint import paint
from pipeprof.cli.text.style import Style
from pipeprof.pipelines.log_commands import has_command, spell_commands, spell_in_json
from pipeprof.pipelines.spec.yaml.writer import BlockWriter
from pipeprof.profiles.document.findings import Finding
from pipeprof.profiles.document.messages import Message, Problem
from pipeprof.profiles.document.store import encode

COMMANDS = ("::error::x", "::set-output name=a::b", "  ::stop-commands::t", "a ##[error]x", "##vso[task.x]y")
LIKE_A_COMMAND = re.compile(r"^(\s|\x1b\[[0-9;]*m)*::|##[A-Za-z]*\[", re.MULTILINE)
RECORDED = Path(__file__).parents[2] / "recorded" / "profiles" / "input-bound.json"


@pytest.mark.parametrize("text", [*COMMANDS, "a\n::error::b", "a\r::error::b", "\u00a0::x::", "\x1b[1m::error::x"])
def test_a_command_is_spelled_out(text):
    assert has_command(text)
    assert not has_command(spell_commands(text))
    assert spell_commands(spell_commands(text)) == spell_commands(text)


@pytest.mark.parametrize("text", ["a::b", "x[::2]", "# comment", "## [a]", "#[a]", "1 : : 2"])
def test_other_text_stays(text):
    assert not has_command(text)
    assert without_commands(text) == text


def test_json_stays_the_same_document():
    document = {"##[error]": "::error::##vso[a]", "b": ["#", "##["]}
    text = json.dumps(document, indent=1)
    assert not has_command(spell_in_json(text))
    assert json.loads(spell_in_json(text)) == document


def test_yaml_stays_the_same_document():
    long = "word " * 20 + "::error::here is more " + "word " * 15 + "end"
    for text in (long, "##[error]" + " word" * 40, "::error::x"):
        lines = BlockWriter(lambda *_: False).entries({"description": text}, (), 0)
        written = without_commands("\n".join(line.text for line in lines))
        assert not LIKE_A_COMMAND.search(written)
        assert yaml.safe_load(written) == {"description": text}


def annotations(profile):
    return render_github(Output(profile, tuple, Style(), remarks=lambda: remarks_on(profile, Checkout())))


def hostile(recorded, command):
    """A profile in which everything that comes from elsewhere is a command."""
    profile = recorded("input-bound")
    wrapped = "word " * 30
    profile.output = f"{command}\n{wrapped}{command}"
    profile.target.text, profile.host.name = command, command
    profile.warnings = [Message(code="odd", message=f"{wrapped * n}{command}") for n in range(3)]
    profile.errors = [Problem(code="raised", message=f"first\n{command}", traceback=f"{command}\n  {command}")]
    for stage in profile.stages or ():
        stage.name = command
    profile.findings = [
        Finding(rule="r", title=command, sentence=wrapped + command, patch=command, status="unverified")
    ]
    return profile


@pytest.mark.parametrize("command", COMMANDS)
def test_no_line_of_a_report_is_a_command(command, recorded, pipeprof, tmp_path):
    path = tmp_path / "profile.json"
    path.write_bytes(encode(hostile(recorded, command)))
    outputs = [
        pipeprof("show", path, *flags, "--color", color)
        for flags in ([], ["-v"], ["--finding", "1"], ["--json"])
        for color in ("never", "always")
    ]
    for result in outputs:
        assert result.code == 0, result.err
        assert not LIKE_A_COMMAND.search(result.out)
    expected = json.loads(path.read_text())
    # What may be pasted is not taken from the file.
    expected["findings"][0]["patch"] = None
    assert json.loads(outputs[-1].out) == expected
    assert pipeprof("show", path, "--out", tmp_path / "a.txt").code == 0
    assert not LIKE_A_COMMAND.search((tmp_path / "a.txt").read_text())


def test_every_kind_of_block_is_harmless():
    cut = "word " * 7
    blocks = [
        Heading("::error::a", "b"),
        Prose(f"{cut}::error::a"),
        KeyValue("::k::", f"{cut}::error::b"),
        Code("::error::a\n::b::c"),
        Command("::k::", "::v::", note="::n::"),
        Table([Column("::a::", ["::x::y"]), Column("b", ["##[c]"])]),
    ]
    text = without_commands(paint(blocks, Style(40)))
    assert text.count(r"\x3a:") >= 6
    assert not LIKE_A_COMMAND.search(text)


@pytest.mark.parametrize("command", COMMANDS)
def test_annotations_are_the_only_commands_of_their_format(command, recorded):
    lines = annotations(hostile(recorded, command)).splitlines()
    assert all(re.match(r"::(error|warning|notice)( [a-z]|::)", line) for line in lines)
    assert not any("##" in line and re.search(r"##[A-Za-z]*\[", line) for line in lines)
    calm = recorded("input-bound")
    calm.errors, calm.warnings, calm.findings, calm.target.text = [], [], [], command
    assert not LIKE_A_COMMAND.search(annotations(calm))


@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_no_line_of_check_is_a_command(flags, pipeprof, tmp_path):
    path = tmp_path / "##[error]spec.yaml"
    words = "word " * 30
    path.write_text(
        f'version: 1\nname: "::error::x ##[error]"\ndescription: "{words}::error::x ##[error]"\n'
        'source: {from_tensor_slices: {tensors: {value: ["::error::a", "##[error]b"]}}}\n'
        'stages: [{map: {name: "::error::n", ops: [{tf.strings.join: {inputs: ["##[x]"]}}]}}]\n'
    )
    result = pipeprof("check", path, *flags)
    assert not LIKE_A_COMMAND.search(result.out + result.err), result.out + result.err


def test_no_error_message_is_a_command(pipeprof, tmp_path, monkeypatch):
    monkeypatch.setenv("PIPEPROF_CACHE_DIR", str(tmp_path / "a\n::error::b"))
    for arguments in (
        ["check", "::error::x.yaml"],
        ["show", "a\n::error::x"],
        ["data", "list"],
        ["explain", "##[error]"],
    ):
        result = pipeprof(*arguments)
        assert not LIKE_A_COMMAND.search(result.out + result.err), result.err
