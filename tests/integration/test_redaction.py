"""What a function prints and raises, in every file of a redacted run."""

from __future__ import annotations

from pathlib import Path

from integration import forked

SECRETS = {
    "PGPASSWORD": "pgSecretPw99",
    "KAGGLE_KEY": "kaggle0123456789abcdef",
    "AZURE_STORAGE_KEY": "azureStorageKey99xx",
    "DB_PASS": "dbSecretPw99",
}
FORMS = {
    "Authorization: Basic YWxpY2U6cGFzc3dvcmQ=": "YWxpY2U6",
    "password: plainPw33": "plainPw33",
    "--password flagPw22": "flagPw22",
    "mysql -u root -pmyPw4411": "myPw4411",
    "clientSecret=camelSecret1": "camelSecret1",
    "mail joan.doe@acme-corp.com": "joan.doe",
    "at 10.20.30.40": "10.20.30.40",
    "//ada:urlPw123@h.org/x": "urlPw123",
}
CODE = f"""
import os
import tensorflow as tf

TEXTS = [os.environ[name] for name in {list(SECRETS)!r}] + {list(FORMS)!r}

def make():
    print("\\n".join(TEXTS), flush=True)
    raise ValueError(" | ".join(TEXTS))
"""
FILES = ("r.html", "r.md", "r.sarif", "r.txt", "r.json")


def test_nothing_that_is_printed_or_raised_leaks(tmp_path: Path) -> None:
    (tmp_path / "p.py").write_text(CODE)
    outputs = [word for name in FILES for word in ("--out", name)]
    options = ["--redact", "--no-verify", "--seconds", "0.3"]
    found = forked.run(["run", "p.py:make", *options, *outputs], tmp_path, **SECRETS)
    assert found.returncode == 5, found.stderr
    texts = {name: (tmp_path / name).read_text() for name in FILES} | {"out": found.stdout, "err": found.stderr}
    assert all("(redacted)" in texts[name] for name in FILES)
    values = (*SECRETS.values(), *FORMS.values())
    assert [(name, value) for name, text in texts.items() for value in values if value in text] == []
