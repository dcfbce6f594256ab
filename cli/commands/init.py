"""``pipeprof init``: a first spec for the user's files or for generated ones."""

from __future__ import annotations

from typing import Annotated

import typer

from pipeprof.cli.exit_codes import epilog
from pipeprof.cli.options import Text, flag, option

DEFAULT_OUT = "pipeprof.yaml"
EPILOG = epilog(
    "pipeprof init",
    "pipeprof init --from photos/",
    "pipeprof init --from 'shards/*.tfrecord' --out shards.yaml",
    codes=(0, 1, 2),
)
_KEPT = "spec-schema"
"""Name of the schema in the cache, before the version."""


def init(
    *,
    from_: Annotated[
        Text,
        option(
            "--from",
            "WHAT",
            "Data to read: images, TFRecord, CSV, .npy or .npz (a file, folder or glob).  [default: generated photos]",
        ),
    ] = None,
    schema: Annotated[
        Text,
        option(
            "--schema",
            "FILE",
            "Also write a reference to the JSON Schema of specs to FILE, and name it in the spec's first line: editors "
            "then check and complete the spec.",
        ),
    ] = None,
    out: Annotated[str, typer.Option("--out", "-o", metavar="FILE", help="File to write; - is stdout.")] = DEFAULT_OUT,
    force: Annotated[bool, flag("--force", "Overwrite existing files.")] = False,
) -> None:
    """Write a first spec for your data."""
    import shlex

    from pipeprof.cli.streams import say, write_stdout

    if schema is not None:
        _check_schema(schema, out, force=force)
    named = _schema_name(schema, out)
    if out == "-":
        write_stdout(_text(from_, ".", named))
        _write_schema(schema)
        return
    _check_out(out, from_, force=force)
    _write(out, _text(from_, out, named))
    _write_schema(schema)
    say(f"Wrote {out}{f' and {schema}' if schema else ''}. Next: pipeprof run {shlex.quote(out)}")


def _text(from_: str | None, out: str, schema: str | None) -> str:
    """Write the spec's text, with paths relative to ``out``, or to the current folder if it is ``.``."""
    from pathlib import Path

    from pipeprof.pipelines.spec.scaffold import example_spec, spec_for

    if from_ is None:
        return example_spec(schema)
    from pipeprof.cli.streams import say
    from pipeprof.pipelines.data.inspect.look import look
    from pipeprof.pipelines.errors import UsageError

    if from_.endswith(".py") or ".py:" in from_:
        raise UsageError(f"--from {from_}: a function is a target as it is: pipeprof run {from_}")
    base_dir = Path.cwd() if out == "." else Path(out).absolute().parent
    path = Path(from_)
    found = look(from_, lambda note: say(f"pipeprof: note: {note}"))
    return spec_for(found, (path.name or path.resolve().name) if path.exists() else path.parent.name, base_dir, schema)


def _schema_name(schema: str | None, out: str) -> str | None:
    """Return the path of the schema as the spec's first line names it."""
    import os
    from pathlib import Path

    if schema is None:
        return None
    folder = Path.cwd() if out == "-" else Path(out).absolute().parent
    relative = Path(os.path.relpath(Path(schema).absolute(), folder)).as_posix()
    return relative if relative.startswith("../") else f"./{relative}"


def _check_schema(schema: str, out: str, *, force: bool) -> None:
    """Refuse an unusable ``--schema`` before anything is read; an older schema may be replaced.

    Raises:
        UsageError: The file cannot or must not be written.
    """
    from pathlib import Path

    from pipeprof.cli.output import check_file, file_path
    from pipeprof.pipelines.errors import UsageError
    from pipeprof.pipelines.spec.schema.schema import SCHEMA_ID

    def is_schema(path: Path) -> bool:
        return path.is_file() and f'"$id": "{SCHEMA_ID}' in path.read_text(encoding="utf-8", errors="replace")

    path = file_path("--schema", schema)
    check_file("--schema", path, force=force, own=is_schema)
    if out != "-" and path.absolute() == Path(out).absolute():
        raise UsageError(f"--schema {schema}: --out names the same file; use another name")


def _write_schema(schema: str | None) -> None:
    """Write the schema, which is large, into the cache, and the file that the user names as a reference to it."""
    import contextlib
    import json

    from pipeprof import __version__
    from pipeprof.pipelines.data.folders import locate
    from pipeprof.pipelines.spec.schema.schema import SCHEMA_ID, spec_schema

    if schema is None:
        return
    whole = spec_schema()
    kept = locate().folder / f"{_KEPT}-{__version__}.json"
    with contextlib.suppress(OSError):
        # Where it cannot be made, the file in it cannot be written either.
        kept.parent.mkdir(parents=True, exist_ok=True)
    _write(str(kept), json.dumps(whole, ensure_ascii=False), "--schema")
    reference = {
        "$schema": whole["$schema"],
        "$id": f"{SCHEMA_ID}-reference",
        "$comment": f"Of this machine: `pipeprof init --schema {schema}` writes it anew.",
        "allOf": [{"$ref": kept.as_uri()}],
    }
    _write(schema, json.dumps(reference, indent=2, ensure_ascii=False) + "\n", "--schema")


def _check_out(out: str, from_: str | None, *, force: bool) -> None:
    """Refuse an unusable ``--out`` before any data is read.

    Raises:
        UsageError: The file cannot or must not be written.
    """
    from pathlib import Path

    from pipeprof.cli.output import check_file, file_path, same_file
    from pipeprof.pipelines.errors import UsageError

    path = file_path("--out", out)
    if path.name and from_ is not None and same_file(path, Path(from_)):
        raise UsageError(f"--out {out}: the spec would read this file; use another name")
    check_file("--out", path, force=force)


def _write(out: str, text: str, flag: str = "--out") -> None:
    from pathlib import Path

    from pipeprof.cli.streams import OutputError
    from pipeprof.profiles.document.store import reason, write_atomically

    try:
        write_atomically(Path(out), text.encode())
    except OSError as error:
        raise OutputError(f"{flag} {out}: the file could not be written ({reason(error)})") from error
