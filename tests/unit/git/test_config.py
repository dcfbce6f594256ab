"""The configuration that git runs with: nothing of a checkout's names a command or a place."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeprof.profiles.git.calls import fixed_config


def listed(**values: str) -> bytes:
    """What ``git config --null --list`` prints."""
    return b"".join(f"{key.replace('__', '.')}\n{value}\0".encode() for key, value in values.items())


@pytest.mark.parametrize(
    "key",
    [
        "core.fsmonitor", "core.hookspath", "core.sshcommand", "core.pager", "core.editor", "core.worktree",
        "core.attributesfile", "core.alternaterefscommand", "include.path", "includeif.gitdir:/.path",
        "filter.x.clean", "filter.x.smudge", "filter.x.process", "alias.status", "diff.external",
        "diff.x.textconv", "merge.x.driver", "remote.origin.url", "remote.origin.uploadpack",
        "extensions.worktreeconfig", "extensions.partialclone", "uploadpack.packobjectshook", "credential.helper",
        "gpg.program", "trace2.eventtarget", "branch.x\ny.merge",
    ],
)  # fmt: skip
def test_of_a_repository_nothing_is_taken_that_names_a_command_or_a_place(key):
    assert fixed_config(f"{key}\n/evil\0".encode()) == fixed_config(b"")


def test_what_says_how_contents_and_refs_are_written_is_taken():
    text = fixed_config(
        listed(core__autocrlf="input", extensions__objectformat="sha256", branch__main__merge="refs/heads/main")
        + b"core.filemode\0"
    )
    assert 'autocrlf = "input"' in text
    assert 'objectformat = "sha256"' in text
    assert '[branch "main"]\n\tmerge = "refs/heads/main"' in text
    # A key without a value is true.
    assert "filemode\n" in text


NAMES = st.text(st.characters(blacklist_characters="\0\n", blacklist_categories=("Cs",)), min_size=1, max_size=12)


@given(NAMES, NAMES)
def test_no_name_or_value_adds_a_line(name, value):
    text = fixed_config(f"branch.{name}.merge\n{value}\0".encode())
    plain = fixed_config(b"")
    assert len(text.split("\n")) == len(plain.split("\n")) + 2
    assert text.endswith(plain)
