"""What a CI system takes for a command is spelled out; other text, and JSON and YAML, stay the same."""

import json
import re

import yaml

from pipeprof.cli.streams import spell_commands, spell_in_json, without_commands
from pipeprof.pipelines.spec.yaml_writer import block_lines

COMMANDS = ("::error::x", "::set-output name=a::b", "  ::stop-commands::t", "a ##[error]x", "##vso[task.x]y")


def has_command(text: str) -> bool:
    return re.search(r"((?:^|\r)(?:[^\S\r\n]|\x1b\[[0-9;]*m)*)::|##[A-Za-z]*\[", text, re.MULTILINE) is not None


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
        written = without_commands("\n".join(block_lines({"description": text}, 0)))
        assert not has_command(written)
        assert yaml.safe_load(written) == {"description": text}
