"""``pipeprof init``: a first spec for the user's files or for generated ones."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
from pathlib import Path

from pipeprof import __version__
from pipeprof.cli.exit_codes import OK
from pipeprof.cli.options import InitOptions
from pipeprof.cli.output import check_file, file_path, same_file
from pipeprof.cli.streams import OutputError, say, write_stdout
from pipeprof.pipelines.data.folders import locate
from pipeprof.pipelines.data.inspect.look import look
from pipeprof.pipelines.errors import UsageError
from pipeprof.pipelines.spec.scaffold import example_spec, spec_for
from pipeprof.pipelines.spec.schema.schema import SCHEMA_ID, spec_schema
from pipeprof.profiles.document.store import reason, write_atomically


def init(given: InitOptions) -> int:
    """Write a first spec; everything that cannot be written is refused before any data is read."""
    out, schema = given.out, given.schema
    if schema is not None:
        _check_schema(schema, out, force=given.force)
    if out != "-":
        path = file_path("--out", out)
        if path.name and given.from_ is not None and same_file(path, Path(given.from_)):
            raise UsageError(f"--out {out}: the spec would read this file; use another name")
        check_file("--out", path, force=given.force)
    folder = Path.cwd() if out == "-" else Path(out).absolute().parent
    text = _text(given.from_, folder, _schema_name(schema, folder) if schema is not None else None)
    if out == "-":
        write_stdout(text)
    else:
        _write(out, text)
    if schema is not None:
        _write_schema(schema)
    if out != "-":
        say(f"Wrote {out}{f' and {schema}' if schema else ''}. Next: pipeprof run {shlex.quote(out)}")
    return OK


def _text(from_: str | None, folder: Path, schema: str | None) -> str:
    """Write the spec's text, with paths relative to a folder."""
    if from_ is None:
        return example_spec(schema)
    if from_.endswith(".py") or ".py:" in from_:
        raise UsageError(f"--from {from_}: a function is a target as it is: pipeprof run {from_}")
    path = Path(from_)
    found = look(from_, lambda note: say(f"pipeprof: note: {note}"))
    return spec_for(found, (path.name or path.resolve().name) if path.exists() else path.parent.name, folder, schema)


def _schema_name(schema: str, folder: Path) -> str:
    """The path of the schema as the spec's first line names it."""
    relative = Path(os.path.relpath(Path(schema).absolute(), folder)).as_posix()
    return relative if relative.startswith("../") else f"./{relative}"


def _check_schema(schema: str, out: str, *, force: bool) -> None:
    """Refuse an unusable ``--schema``; an older schema may be replaced.

    Raises:
        UsageError: The file cannot or must not be written.
    """

    def is_schema(path: Path) -> bool:
        return path.is_file() and f'"$id": "{SCHEMA_ID}' in path.read_text(encoding="utf-8", errors="replace")

    path = file_path("--schema", schema)
    check_file("--schema", path, force=force, own=is_schema)
    if out != "-" and path.absolute() == Path(out).absolute():
        raise UsageError(f"--schema {schema}: --out names the same file; use another name")


def _write_schema(schema: str) -> None:
    """Write the schema, which is large, into the cache, and the file that the user names as a reference to it."""
    whole = spec_schema()
    kept = locate().folder / f"spec-schema-{__version__}.json"
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


def _write(out: str, text: str, flag: str = "--out") -> None:
    try:
        write_atomically(Path(out), text.encode())
    except OSError as error:
        raise OutputError(f"{flag} {out}: the file could not be written ({reason(error)})") from error
