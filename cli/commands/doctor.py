"""``pipeprof doctor``: what is wrong with the installation or the machine, and the facts that a bug report needs."""

from __future__ import annotations

import json
import sys

from pipeprof.cli.exit_codes import GATE, OK
from pipeprof.cli.options import DoctorOptions
from pipeprof.cli.private import hide_in, hider_here
from pipeprof.cli.render.style import style_of
from pipeprof.cli.render.terminal import paint
from pipeprof.cli.report.doctor import doctor_document, doctor_report
from pipeprof.cli.streams import write_stdout
from pipeprof.profiles.doctor.facts import gather
from pipeprof.profiles.doctor.faults import faults_of


def doctor(given: DoctorOptions) -> int:
    """Check the installation and the machine."""
    facts = gather()
    faults = faults_of(facts)
    hide = str if given.redact is False else hider_here().text
    if given.json:
        document = doctor_document(facts, faults)
        text = json.dumps(hide_in(document, hide) if given.redact else document, indent=2, ensure_ascii=False)
        write_stdout(f"{text}\n", "json")
    else:
        blocks = list(doctor_report(facts, faults, hide))
        write_stdout(paint(hide_in(blocks, hide) if given.redact else blocks, style_of(sys.stdout)))
    return GATE if any(fault.level == "fault" for fault in faults) else OK
