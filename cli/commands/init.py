"""``pipeprof init``: a first spec, over files of the user's, of a user's function, or over generated files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pipeprof.cli.exit_codes import EXIT_CODES, epilog
from pipeprof.cli.options import Arg, NoPython

if TYPE_CHECKING:
    from collections.abc import Sequence

DEFAULT_OUT = "pipeprof.yaml"
EPILOG = epilog(
    "pipeprof init",
    "pipeprof init --from photos/",
    "pipeprof init --from 'shards/*.tfrecord' --out shards.yaml",
    "pipeprof init --from input.py:train --arg batch_size=64 --out train.yaml",
    codes=[entry for entry in EXIT_CODES if entry.code in {0, 1, 2, 5}],
)


def init(
    *,
    from_: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="WHAT",
            help="A folder of images, TFRecord or CSV files (a file, a folder or a glob), a .npy or .npz file; or "
            "file.py:function (package.module:function), which is called, to write the dataset that it returns. "
            "Without it the spec is an example over generated photos.",
        ),
    ] = None,
    args: Arg = None,
    save_arrays: Annotated[
        bool, typer.Option("--save-arrays", help="Keep a function's arrays in memory as .npy files beside the spec.")
    ] = False,
    no_python: NoPython = False,
    out: Annotated[
        str, typer.Option("--out", "-o", metavar="FILE", help="The spec to write; - is stdout.")
    ] = DEFAULT_OUT,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is already there.")] = False,
) -> None:
    """Write a commented spec that runs as it is, and beside it the schema by which editors check and complete it."""
    import shlex

    from pipeprof.cli.commands.init_function import is_function
    from pipeprof.cli.streams import say, write_stdout

    if from_ is not None and is_function(from_):
        _from_function(from_, out, args or (), force=force, save_arrays=save_arrays, no_python=no_python)
        return
    _refuse(args, save_arrays=save_arrays)
    if out == "-":
        write_stdout(_text(from_, "."))
        return
    _check_out(out, from_, force=force)
    _write(out, _text(from_, out))
    written = _write_schema(out)
    say(f"Wrote {out}{f', and {written} for editors' if written else ''}. Next: pipeprof run {shlex.quote(out)}")


def _refuse(args: Sequence[str] | None, *, save_arrays: bool) -> None:
    from pipeprof.pipelines.errors import UsageError

    flag = "--arg" if args else "--save-arrays" if save_arrays else None
    if flag is not None:
        msg = f"{flag} is for a function; give it as --from file.py:function"
        raise UsageError(msg)


def _from_function(
    text: str, out: str, args: Sequence[str], *, force: bool, save_arrays: bool, no_python: bool
) -> None:
    import shlex
    from pathlib import Path

    from pipeprof.cli.commands.init_function import describe_function, report
    from pipeprof.cli.streams import say, write_stdout

    to_stdout = out == "-"
    if not to_stdout:
        _check_out(out, text, force=force)
    folder = Path.cwd() if to_stdout else Path(out).absolute().parent
    arrays = ("array" if to_stdout else Path(out).stem) if save_arrays else None
    found = describe_function(text, args, folder=folder, arrays=arrays, no_python=no_python, force=force)
    if to_stdout:
        write_stdout(found.text)
        say(report(found, text, f"The spec of {text} has a source and {_stages(found.stages)}."))
        return
    _write(out, found.text)
    schema = _write_schema(out)
    beside = f", and {schema} for editors" if schema else ""
    say(report(found, text, f"Wrote {out}, a source and {_stages(found.stages)}{beside}."))
    say(f"Next: pipeprof run {shlex.quote(out)}")


def _stages(count: int) -> str:
    return "1 stage" if count == 1 else f"{count} stages"


def _text(from_: str | None, out: str) -> str:
    """The spec's text, with paths that are right for a file ``out``, or for the current folder if it is ``.``."""
    from pathlib import Path

    from pipeprof.pipelines.spec.scaffold import example_spec, spec_for

    if from_ is None:
        return example_spec()
    from pipeprof.pipelines.data.inspect.look import look

    base_dir = Path.cwd() if out == "." else Path(out).absolute().parent
    path = Path(from_)
    return spec_for(look(from_), (path.name or path.resolve().name) if path.exists() else path.parent.name, base_dir)


def _write_schema(out: str) -> str | None:
    """The schema that the spec's first line names, beside it; kept where somebody else's file has its name.

    Returns:
        Its path if it was written, None if it is there already.
    """
    import json
    from pathlib import Path

    from pipeprof.pipelines.spec.scaffold import SCHEMA_FILE
    from pipeprof.pipelines.spec.schema.changes import editor_schema
    from pipeprof.pipelines.spec.schema.schema import SCHEMA_ID

    path = Path(out).parent / SCHEMA_FILE
    text = json.dumps(editor_schema(), indent=2, ensure_ascii=False) + "\n"
    if path.exists() or path.is_symlink():
        before = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
        if before == text or f'"$id": "{SCHEMA_ID}"' not in before:
            return None
    _write(str(path), text)
    return str(path)


def _check_out(out: str, from_: str | None, *, force: bool) -> None:
    """Refuse before anything is looked at.

    Raises:
        UsageError: The file cannot or must not be written.
    """
    from pathlib import Path

    from pipeprof.pipelines.errors import UsageError

    path = Path(out)
    if not path.parent.is_dir():
        msg = f"--out {out}: the folder {path.parent} does not exist; make it first"
    elif path.is_dir():
        msg = f"--out {out}: this is a folder; give a file in it"
    elif from_ is not None and path.exists() and Path(from_).exists() and path.samefile(from_):
        msg = f"--out {out}: this is the file that the spec would read; give another name"
    elif (path.exists() or path.is_symlink()) and not force:
        msg = f"--out {out}: the file exists; give --force to replace it, or another name"
    else:
        return
    raise UsageError(msg)


def _write(out: str, text: str) -> None:
    from pathlib import Path

    from pipeprof.cli.output import OutputError
    from pipeprof.profiles.document.store import reason, write_atomically

    try:
        write_atomically(Path(out), text.encode())
    except OSError as error:
        msg = f"--out {out}: the spec could not be written ({reason(error)})"
        raise OutputError(msg) from error
