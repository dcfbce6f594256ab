"""How much the redaction hides: many secrets as they are written, and pages in which there are none."""

import json
import re
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.redaction.samples import HOST, HOST_LONG, ORDINARY, OWN, REVIEWED, SEEN, USER, VARIABLES

from pipeprof.profiles.redaction import known
from pipeprof.profiles.redaction.known import HIDDEN, Hider, Private, secrets_of

ROOT = Path(__file__).parents[3]
HIDER = Hider(Private(root="/srv/app", folder="/srv/app", names=(USER, HOST, HOST_LONG)))
SAMPLES = REVIEWED + OWN
PATTERNS = ("tests/golden/**/*", "examples/**/*", "docs/**/*.md", "README.md", "CHANGELOG.md", "CONTRIBUTING.md")
SUFFIXES = {".txt", ".md", ".yaml", ".py", ".json", ".html", ".sarif", ".xml"}
PAGES = sorted(path for pattern in PATTERNS for path in ROOT.glob(pattern) if path.suffix in SUFFIXES)
PIECES = st.sampled_from((
    *(text for text, _ in SAMPLES), *ORDINARY, HIDDEN, "password", "token", ": ", "=", "'", '"', "\\",
    "//", "@", "-p", "(", ")", " ", "\n", "&sig=", "-----",
))  # fmt: skip


def test_nearly_all_samples_are_hidden():
    every = SAMPLES + SEEN
    # These and no others: whoever hides one of them takes it off the list.
    assert [(text, secret) for text, secret in every if secret in HIDER.text(text)] == list(SEEN)
    assert len(SEEN) <= 0.05 * len(every)


@pytest.mark.parametrize(("name", "value"), VARIABLES, ids=[name for name, _ in VARIABLES])
def test_values_of_variables_with_names_of_secrets(name, value):
    secret = re.sub(r".*://[^:]*:|@.*", "", value) if "://" in value else value
    hider = Hider(Private(values=secrets_of({name: value})))
    assert hider.text(f"got {secret}, {secret!r} and x{secret}y" if not secret.isalpha() else secret).count(HIDDEN) > 0
    assert secret not in hider.text(f"open {secret}!")


@pytest.mark.parametrize(
    "name",
    ["PWD", "OLDPWD", "HOME", "EDITOR", "MAX_TOKENS_PER_STEP", "COMPAT", "TOKENIZERS_PARALLELISM", "SSH_AUTH_SOCK"],
)
def test_other_variables_are_not_looked_for(name):
    assert secrets_of({name: "/srv/projectx"}) == {}


@pytest.mark.parametrize(
    "value",
    [
        "train", "images", "bilinear", "float32", "spec.yaml", "data/train", "train_images.tfrecord", "validation",
        "prefetch", "shuffle", "decode_jpeg", "123456", "1234567890", "3.14159", "1e-6", "2.21.0", "2026-01-02",
        "12:30:05", "128MiB", "false", "None", "short", "224x224", "simulate:12ms",
    ],
)  # fmt: skip
def test_ordinary_values_stay(value):
    text = f"reading {value} of {value}_x, the {value}"
    assert Hider(Private(values={"SPLIT": value})).text(text) == text


@pytest.mark.parametrize(
    "value", ["projectx-9931", "projectx", "acme/vault", "train-9931", "a b c d e f", "/data/projectx/", "žluťoučký"]
)
def test_other_values_are_hidden_whatever_their_variable_is_called(value):
    hider = Hider(Private(values={"PLACE": value}))
    assert value not in hider.text(f"{value}: no such file, in '{value}', {value}/x.txt and gs://{value}-2/x")


def test_a_value_is_hidden_as_python_json_and_urls_write_it():
    value = "ab\"c'd\\e f/é"
    hider = Hider(Private(values={"A_TOKEN": value}))
    in_json = json.dumps(value), json.dumps(value, ensure_ascii=False)
    for written in (value, repr(value), *in_json, quote(value, safe="")):
        assert HIDDEN in hider.text(written)
        assert "é" not in hider.text(written)
    lines = Hider(Private(values={"A_KEY": "first-line-1\nsecond-line-2\n"}))
    assert lines.text("it has second-line-2 only") == f"it has {HIDDEN} only"


@pytest.mark.parametrize("form", known.FORMS + known.ADDRESSES)
def test_each_form_is_that_of_a_sample(form):
    assert any(re.search(form, text) for text, _ in SAMPLES)


@pytest.mark.parametrize("line", ORDINARY)
def test_ordinary_lines_stay(line):
    assert HIDER.text(line) == line


def test_pages_of_reports_have_no_secrets():
    assert len(PAGES) > 100
    for path in PAGES:
        text = path.read_text(encoding="utf-8", errors="surrogateescape")
        assert known.hide_addresses(known.hide_secrets(text)) == text, path


@given(st.lists(PIECES | st.text(max_size=3), max_size=6).map("".join))
def test_what_is_hidden_stays_as_it_is(text):
    once = HIDER.text(text)
    assert HIDER.text(once) == once


@pytest.mark.parametrize(
    ("names", "text", "hidden"),
    [
        (("vm",), "ada@vm:~$", f"ada@{HIDDEN}:~$"),
        (("vm",), "vmlinux, kvm, VM, vm-scale, a.vm", "vmlinux, kvm, VM, vm-scale, a.vm"),
        (("a",), "a batch of a stage", "a batch of a stage"),
        (("a",), "a@gpu, ssh://a:22, host=a, user=A", f"{HIDDEN}@gpu, ssh://{HIDDEN}:22, host={HIDDEN}, user={HIDDEN}"),
        (("ms",), "12 ms on ms", "12 ms on ms"),
        (("data",), "the data of data@gpu", f"the data of {HIDDEN}@gpu"),
        (("root", "runner"), "root and runner", "root and runner"),
        (("Ada-PC",), "ADA-PC, ada-pc.lan", f"{HIDDEN}, {HIDDEN}"),
        (("ada",), "ada_ds, x/ada-2/y, Canada, adapt, fada12", f"{HIDDEN}_ds, x/{HIDDEN}-2/y, Canada, adapt, fada12"),
        (("ada",), "9f8ada3c", "9f8ada3c"),
    ],
)
def test_names_of_users_and_hosts(names, text, hidden):
    assert Hider(Private(names=names)).text(text) == hidden
