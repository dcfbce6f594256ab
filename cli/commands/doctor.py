"""``pipeprof doctor``: what is wrong with the installation or the machine, and the facts that a bug report needs."""

from __future__ import annotations

from typing import Annotated

import typer

from pipeprof.cli.exit_codes import epilog
from pipeprof.cli.options import Json

EPILOG = epilog("pipeprof doctor", "pipeprof doctor --json | jq '.faults[].message'")

BlockRedact = Annotated[
    bool | None,
    typer.Option(
        "--redact/--no-redact",
        help="Remove paths, names and secrets.  [default: in the block for a bug report]",
        show_default=False,
    ),
]


def doctor(*, json: Json = False, redact: BlockRedact = None) -> None:
    """Check the installation and the machine.

    Prints the facts that a bug report needs. Loads no TensorFlow and writes nothing.
    """
    import json as encoder
    import os
    import sys

    from pipeprof.cli import exit_codes
    from pipeprof.cli.pages.doctor import doctor_document, doctor_report, hide_texts, terminal_of
    from pipeprof.cli.private import hider_here
    from pipeprof.cli.streams import write_stdout
    from pipeprof.cli.report.blocks import with_texts
    from pipeprof.cli.render.terminal import paint
    from pipeprof.cli.render.style import style_of
    from pipeprof.profiles.doctor.facts import gather
    from pipeprof.profiles.doctor.faults import faults_of

    style = style_of(sys.stdout, "auto")
    terminal = terminal_of(
        os.environ, is_terminal=sys.stdout.isatty(), columns=style.width, encoding=sys.stdout.encoding
    )
    facts = gather()
    faults = faults_of(facts)
    hide = str if redact is False else hider_here().text
    if json:
        document = doctor_document(facts, terminal, faults)
        text = encoder.dumps(hide_texts(document, hide) if redact else document, indent=2, ensure_ascii=False)
        write_stdout(f"{text}\n", "json")
    else:
        blocks = doctor_report(facts, terminal, faults, hide)
        write_stdout(paint((with_texts(block, hide) for block in blocks) if redact else blocks, style))
    if any(fault.level == "fault" for fault in faults):
        raise typer.Exit(exit_codes.GATE)
