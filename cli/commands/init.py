"""``pipeprof init``: a first spec for the user's files, for a user's function, or for generated files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pipeprof.cli.exit_codes import epilog
from pipeprof.cli.options import Arg, NoPython, Text, flag, option

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pipeprof.profiles.harness.describe_function import DescribedTarget

DEFAULT_OUT = "pipeprof.yaml"
EPILOG = epilog(
    "pipeprof init",
    "pipeprof init --from photos/",
    "pipeprof init --from 'shards/*.tfrecord' --out shards.yaml",
    "pipeprof init --from input.py:train --arg batch_size=64 --out train.yaml",
    codes=(0, 1, 2, 5),
)
_INDENT = "  "
_KEPT = "spec-schema"
"""Name of the schema in the cache, before the version."""


def is_function(text: str) -> bool:
    """Whether ``--from`` names a function, or the file of one.

    Example:
        >>> is_function("input.py:train"), is_function("flowers.input:train"), is_function("photos/")
        (True, True, False)
    """
    import os

    from pipeprof.pipelines.target.modules import is_module_name

    file, colon, function = text.rpartition(":")
    if text.endswith(".py"):
        return True
    named = bool(colon) and (not function or is_module_name(function))
    return named and not os.path.lexists(text) and (file.endswith(".py") or is_module_name(file))


def describe_function(
    text: str,
    arguments: Sequence[str],
    *,
    folder: Path,
    arrays: str | None,
    no_python: bool,
    force: bool,
    schema: str | None = None,
) -> DescribedTarget:
    """Call the function in a worker and write its spec.

    Args:
        arrays: Prefix of the names of saved arrays; None to save none.
        schema: The schema as the spec's first line names it; None for no such line.

    Raises:
        UsageError: There is no such function, it gives no dataset, or it must not be run.
        PipelineFailedError: The function raised.
    """
    import sys
    from contextlib import closing
    from dataclasses import replace

    from pipeprof.cli.text.progress import progress_if_long
    from pipeprof.pipelines.errors import UsageError
    from pipeprof.pipelines.target.arguments import check_arguments, parse_arguments
    from pipeprof.pipelines.target.target import parse_target
    from pipeprof.profiles.harness.describe_function import describe_target

    target = parse_target(text)
    if no_python:
        raise UsageError(f"--no-python: {text} is Python code; remove --no-python")
    given = parse_arguments(arguments)
    check_arguments(replace(target, arguments=given))
    with closing(progress_if_long(sys.stderr)) as progress:
        progress.phase(f"calling {text}", None)
        return describe_target(
            text, given, folder=folder.resolve(), name=str(target.function), arrays=arrays, force=force, schema=schema
        )


def report(found: DescribedTarget, text: str, written: str) -> str:
    """Say which parts of a function became YAML and whether the graphs are equal, after the sentence `written`."""
    lines = list(found.warnings)
    if found.printed:
        lines += [f"{text} printed:", *(f"{_INDENT}{line}" for line in found.printed.splitlines())]
    lines.append(written)
    if found.unsaid:
        lines += ["Could not be written as YAML:", *(f"{_INDENT}{name}" for name in found.unsaid)]
    if found.equal is None:
        lines.append(f"Not verified against the graph of {text}: {found.why}.")
    elif found.equal:
        lines.append(
            f"Verified: TensorFlow builds the same graph from the spec as from {text} (structure, ops, arguments)."
        )
    else:
        lines.append(f"Not equal: TensorFlow builds a different graph from the spec than from {text}:")
        lines += [f"{_INDENT}{difference}" for difference in found.differences]
    return "\n".join(lines)


def init(
    *,
    from_: Annotated[
        Text,
        option(
            "--from",
            "WHAT",
            "Data to read: images, TFRecord, CSV, .npy or .npz (a file, folder or glob). Or file.py:function: "
            "calls it and writes the dataset that it returns as a spec.  [default: generated photos]",
        ),
    ] = None,
    args: Arg = None,
    save_arrays: Annotated[
        bool, flag("--save-arrays", "Save a function's in-memory arrays as .npy files next to the spec.")
    ] = False,
    schema: Annotated[
        Text,
        option(
            "--schema",
            "FILE",
            "Also write a reference to the JSON Schema of specs to FILE, and name it in the spec's first line: editors "
            "then check and complete the spec.",
        ),
    ] = None,
    no_python: NoPython = False,
    out: Annotated[str, typer.Option("--out", "-o", metavar="FILE", help="File to write; - is stdout.")] = DEFAULT_OUT,
    force: Annotated[bool, flag("--force", "Overwrite existing files.")] = False,
) -> None:
    """Write a first spec for your data or for a function.

    Of a function, its stages become stages that --set can edit; the stages up to the last one that YAML cannot express
    stay Python.
    """
    import shlex

    from pipeprof.cli.streams import say, write_stdout

    if schema is not None:
        _check_schema(schema, out, force=force)
    named = _schema_name(schema, out)
    if from_ is not None and is_function(from_):
        _from_function(from_, out, args or (), named, force=force, save_arrays=save_arrays, no_python=no_python)
        _write_schema(schema)
        return
    _refuse(args, save_arrays=save_arrays)
    if out == "-":
        write_stdout(_text(from_, ".", named))
        _write_schema(schema)
        return
    _check_out(out, from_, force=force)
    _write(out, _text(from_, out, named))
    _write_schema(schema)
    say(f"Wrote {out}{f' and {schema}' if schema else ''}. Next: pipeprof run {shlex.quote(out)}")


def _refuse(args: Sequence[str] | None, *, save_arrays: bool) -> None:
    from pipeprof.pipelines.errors import UsageError

    flag = "--arg" if args else "--save-arrays" if save_arrays else None
    if flag is not None:
        raise UsageError(f"{flag} applies to functions only: use --from file.py:function")


def _from_function(
    text: str, out: str, args: Sequence[str], schema: str | None, *, force: bool, save_arrays: bool, no_python: bool
) -> None:
    import shlex
    from pathlib import Path

    from pipeprof.cli.streams import say, write_stdout

    to_stdout = out == "-"
    if not to_stdout:
        _check_out(out, text, force=force)
    folder = Path.cwd() if to_stdout else Path(out).absolute().parent
    arrays = ("array" if to_stdout else Path(out).stem) if save_arrays else None
    found = describe_function(text, args, folder=folder, arrays=arrays, no_python=no_python, force=force, schema=schema)
    parts = _parts(found.python, found.stages)
    if to_stdout:
        write_stdout(found.text)
        say(report(found, text, f"The spec of {text} has {parts}."))
        return
    _write(out, found.text)
    say(report(found, text, f"Wrote {out}: {parts}."))
    say(f"Next: pipeprof run {shlex.quote(out)}")


def _parts(python: str | None, count: int) -> str:
    """Describe a spec of a function; `python` is the last stage that stays Python, with its line, None without one."""
    stages = "1 stage" if count == 1 else f"{count} stages"
    if python is None:
        return f"a source and {stages}"
    return f"Python up to {python}, then {stages}" if count else f"all of it Python, up to {python}"


def _text(from_: str | None, out: str, schema: str | None) -> str:
    """Write the spec's text, with paths relative to ``out``, or to the current folder if it is ``.``."""
    from pathlib import Path

    from pipeprof.pipelines.spec.scaffold import example_spec, spec_for

    if from_ is None:
        return example_spec(schema)
    from pipeprof.cli.streams import say
    from pipeprof.pipelines.data.inspect.look import look

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
