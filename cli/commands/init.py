"""``pipeprof init``: a first spec for the user's files or for generated ones."""

from __future__ import annotations

import shlex
from pathlib import Path

from pipeprof.cli.exit_codes import OK
from pipeprof.cli.options import InitOptions
from pipeprof.cli.output import check_file, file_path, same_file
from pipeprof.cli.streams import OutputError, say, write_stdout
from pipeprof.pipelines.data.look import look
from pipeprof.pipelines.errors import UsageError
from pipeprof.pipelines.spec.scaffold import example_spec, spec_for
from pipeprof.profiles.document.store import reason, write_atomically


def init(given: InitOptions) -> int:
    """Write a first spec; everything that cannot be written is refused before any data is read."""
    out = given.out
    if out == "-":
        write_stdout(_text(given.from_, Path.cwd()))
        return OK
    path = file_path("--out", out)
    if path.name and given.from_ is not None and same_file(path, Path(given.from_)):
        raise UsageError(f"--out {out}: the spec would read this file; use another name")
    check_file("--out", path, force=given.force)
    text = _text(given.from_, path.absolute().parent)
    try:
        write_atomically(path, text.encode())
    except OSError as error:
        raise OutputError(f"--out {out}: the file could not be written ({reason(error)})") from error
    say(f"Wrote {out}. Next: pipeprof run {shlex.quote(out)}")
    return OK


def _text(from_: str | None, folder: Path) -> str:
    if from_ is None:
        return example_spec()
    if from_.endswith(".py") or ".py:" in from_:
        raise UsageError(f"--from {from_}: a function is a target as it is: pipeprof run {from_}")
    path = Path(from_)
    found = look(from_, lambda note: say(f"pipeprof: note: {note}"))
    return spec_for(found, (path.name or path.resolve().name) if path.exists() else path.parent.name, folder)
