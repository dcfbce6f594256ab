"""No line of an output is a command for the CI system that logs it, except in the format that consists of commands."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from unit.cli.test_formats import COMMAND as LIKE_A_COMMAND
from unit.cli.test_formats import hostile_profile

from pipeprof.cli.streams import without_commands
from pipeprof.pipelines.log_commands import has_command, spell_commands, spell_in_json
from pipeprof.pipelines.spec.yaml.writer import BlockWriter
from pipeprof.profiles.document.store import encode
from tests.unit.cli.reports import Pipeprof, Recorded

COMMANDS = ("::error::x", "::set-output name=a::b", "  ::stop-commands::t", "a ##[error]x", "##vso[task.x]y")


def test_a_command_is_spelled_out_and_other_text_stays() -> None:
    for text in [*COMMANDS, "a\n::error::b", "a\r::error::b", "\u00a0::x::", "\x1b[1m::error::x"]:
        assert has_command(text)
        assert not has_command(spell_commands(text))
        assert spell_commands(spell_commands(text)) == spell_commands(text)
    for text in ("a::b", "x[::2]", "# comment", "## [a]", "#[a]", "1 : : 2"):
        assert not has_command(text)
        assert without_commands(text) == text


def test_json_and_yaml_stay_the_same_documents() -> None:
    document = {"##[error]": "::error::##vso[a]", "b": ["#", "##["]}
    text = json.dumps(document, indent=1)
    assert not has_command(spell_in_json(text))
    assert json.loads(spell_in_json(text)) == document
    long = "word " * 20 + "::error::here is more " + "word " * 15 + "end"
    for text in (long, "##[error]" + " word" * 40, "::error::x"):
        lines = BlockWriter(lambda *_: False).entries({"description": text}, (), 0)
        written = without_commands("\n".join(line.text for line in lines))
        assert not LIKE_A_COMMAND.search(written)
        assert yaml.safe_load(written) == {"description": text}


def test_no_line_of_a_report_is_a_command(recorded: Recorded, pipeprof: Pipeprof) -> None:
    for command in COMMANDS:
        Path("profile.json").write_bytes(encode(hostile_profile(recorded("input-bound"), command)))
        for flags in ([], ["-v"], ["--json"]):
            result = pipeprof("show", "profile.json", *flags)
            assert (result.code, LIKE_A_COMMAND.search(result.out)) == (0, None), result.err
        assert json.loads(result.out)["target"]["text"] == command
        assert pipeprof("show", "profile.json", "--out", "a.txt").code == 0
        assert not LIKE_A_COMMAND.search(Path("a.txt").read_text())


def test_no_line_of_check_and_no_error_message_is_a_command(
    pipeprof: Pipeprof, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = "word " * 30
    Path("##[error]spec.yaml").write_text(
        f'version: 1\nname: "::error::x ##[error]"\ndescription: "{words}::error::x ##[error]"\n'
        'source: {from_tensor_slices: {tensors: {value: ["::error::a", "##[error]b"]}}}\n'
        'stages: [{map: {name: "::error::n", ops: [{tf.strings.join: {inputs: ["##[x]"]}}]}}]\n'
    )
    check, asked = ["check", "##[error]spec.yaml"], ["check", "::error::x.yaml"]
    for arguments in (check, [*check, "--json"], asked, ["show", "a\n::error::x"], ["rules", "##[error]"]):
        result = pipeprof(*arguments)
        assert not LIKE_A_COMMAND.search(result.out + result.err), result.out + result.err
    monkeypatch.setenv("PIPEPROF_CACHE_DIR", "/a\n::error::b")
    assert not LIKE_A_COMMAND.search(pipeprof("data", "list").err)
