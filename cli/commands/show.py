"""``pipeprof show``: saved profiles as reports again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeprof.cli.exit_codes import epilog
from pipeprof.cli.options import Color, Force, Format, Json, Out, Redact

EPILOG = epilog(
    "pipeprof show pipeprof-out/flowers-20260731T101112Z.json",
    "pipeprof show profile.json --json | jq .steps.wait_ms",
    "pipeprof show profile.json --out report.txt",
)


def show(
    profiles: Annotated[list[str], typer.Argument(metavar="PROFILE...", help="Files that `pipeprof run` saved.")],
    *,
    form: Format = None,
    json: Json = False,
    out: Out = None,
    force: Force = False,
    color: Color = "auto",
    redact: Redact = False,
) -> None:
    """Print the report of saved profiles again.

    With several profiles, JSON is a list.
    """
    import sys

    from pipeprof.cli import output, streams
    from pipeprof.cli.options import COLORS, choice
    from pipeprof.cli.text.style import style_of
    from pipeprof.pipelines.errors import UsageError
    from pipeprof.profiles.document.redaction import redact_here
    from pipeprof.profiles.document.store import load_profile

    choice("--color", color, COLORS)
    outputs = output.plan_outputs(out, form, json=json, force=force)
    if len(profiles) > 1 and outputs.files:
        msg = f"--out takes one profile, got {len(profiles)}: show them one by one"
        raise UsageError(msg)
    paths = [Path(text) for text in profiles]
    documents = [load_profile(path) for path in paths]
    if redact:
        documents = [redact_here(document) for document in documents]
    if len(documents) == 1:
        output.write_reports(documents[0], outputs, color, paths[0])
        return
    style = style_of(sys.stdout, color)
    texts = [
        output.as_text(document, outputs.stdout or "text", style, path)
        for document, path in zip(documents, paths, strict=True)
    ]
    if outputs.stdout == "json":
        joined = ",\n".join(text.rstrip("\n") for text in texts)
        streams.write_stdout(f"[\n{joined}\n]\n")
    else:
        streams.write_stdout("\n\n".join(texts))
