"""What a reader thinks of the reports: labels of their sentences, and what all cases say together with them.

labels.yaml is filled by a reader alone; the program lists what is to be labelled, and counts::

    CASE:
      "…": right      # or wrong, or empty: it says nothing that helps
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

FILE = Path(__file__).resolve().parent / "labels.yaml"
LABELS = ("right", "wrong", "empty")
EMPTY = 0.2
"""The largest share of empty ones."""
WORDS = 4
"""A line of fewer is a number with its name."""

_CARD = 5
"""Indent of what belongs to a change."""
BROKEN = {"finished": False}
"""Claims of a case whose measurement itself failed."""

Json = dict[str, Any]


def sentences(report: Sequence[str], width: int) -> list[str]:
    """What the lines of a report, broken to a width, say sentence by sentence, each once."""
    joined: list[str] = []
    before = ""
    for line in report:
        words = line.split()
        if before and words and _goes_on(before, line, width):
            joined[-1] += " " + " ".join(words)
        else:
            joined.append(" ".join(words))
        before = line
    said = [part for text in joined for part in re.split(r"(?<=[.!?]) (?=[A-Z`])", text)]
    return list(dict.fromkeys(one for one in said if len(re.findall(r"[^\W\d_]{2,}", one)) >= WORDS))


def _goes_on(before: str, line: str, width: int) -> bool:
    """Whether a line goes on with the text of the one before, in which its first word had no place."""
    own, indent = (len(one) - len(one.lstrip()) for one in (before, line))
    if before.startswith("Next ") and indent:
        return True
    # A command, code, and a place with what to change there begin anew, and nothing follows what was cut.
    if before.endswith("…") or len(before) > width or "   " in line.strip() or line.lstrip().startswith("pipeprof "):
        return False
    # Below a label with a text, or a row of a table, is only what stands in its column.
    in_columns = 0 < own < _CARD and "  " in before.strip()
    aligned = before[:indent].strip() and before[:indent].endswith("  ") if in_columns else indent == own
    first, *rest = line.split()
    first = f"{first} {rest[0]}" if first[-1].isdigit() and rest else first
    return bool(aligned) and len(before) + 1 + len(first) > width


def read(file: Path = FILE) -> dict[str, Json]:
    """The labels of all cases; a ValueError for one that is none of the three."""
    found: dict[str, Json] = yaml.safe_load(file.read_text(encoding="utf-8")) or {} if file.exists() else {}
    for name, given in found.items():
        for sentence, label in given.items():
            if label is not None and label not in LABELS:
                msg = f"{file.name}: {name}: {label!r} is no label of {sentence!r}: expected {', '.join(LABELS)}"
                raise ValueError(msg)
    return found


def reported(case: Json) -> list[str]:
    """The sentences of a measured case's report, without the lines of code in it."""
    reports = {int(columns): lines for columns, lines in (case["raw"].get("report") or {}).items()}
    code = "".join("".join((one.get("python") or "").split()) for one in case["raw"].get("findings") or [])
    said = sentences(reports[max(reports)], max(reports)) if reports else []
    return [one for one in said if "".join(one.split()) not in code]


def counted(cases: Mapping[str, Json], labels: Mapping[str, Json]) -> Json:
    """How many sentences of reports have each label, and how many are unlabelled."""
    count = Counter(
        labels.get(name, {}).get(sentence) or "unlabelled"
        for name, case in cases.items()
        for sentence in reported(case)
    )
    return {label: count[label] for label in (*LABELS, "unlabelled")}


def to_fill(cases: Mapping[str, Json], labels: Mapping[str, Json]) -> dict[str, Json]:
    """The labels with a place for each sentence that has none, and without those of sentences that no report has."""
    return {
        name: {sentence: labels.get(name, {}).get(sentence) for sentence in reported(case)}
        for name, case in cases.items()
    }


def conclude(cases: Mapping[str, Json], reached: float, labels: Mapping[str, Json] | None = None) -> tuple[str, Json]:
    """Outcome and figures of all cases with the labels, of which a share of the gains of edits has to be proven."""
    labels = read() if labels is None else labels
    found = {name: case["figures"] for name, case in cases.items() if case["outcome"] is not None}
    gains = {name: figures for name, figures in found.items() if figures.get("counts")}
    proven = {
        edit: [figures["claims"]["proven"] for figures in gains.values() if figures["edit"] is edit]
        for edit in (True, False)
    }
    count = counted(cases, labels)
    # Whether a gain is proven is a share of all, and what a disturbed machine breaks is no fault.
    broken = {
        name: [claim for claim, holds in figures.get("claims", BROKEN).items() if not holds and claim != "proven"]
        for name, figures in found.items()
    }
    sure = [name for name, claims in broken.items() if claims and not found[name].get("disturbed")]
    figures = {
        "gains": len(gains),
        "edits_proven": f"{sum(proven[True])} of {len(proven[True])}",
        "others_bounded": f"{sum(proven[False])} of {len(proven[False])}",
        "sentences": count,
        "do_not_hold": {name: claims for name, claims in broken.items() if claims},
    }
    fails = bool(sure) or sum(proven[True]) < reached * len(proven[True]) or not all(proven[False]) or too_many(count)
    if fails:
        return "does not hold", figures
    return "cannot tell" if count["unlabelled"] or figures["do_not_hold"] else "holds", figures


def too_many(count: Mapping[str, int]) -> bool:
    """Whether a sentence is wrong, or too large a share of them empty."""
    return count["wrong"] > 0 or count["empty"] > EMPTY * sum(count.values())


def table(cases: Mapping[str, Json]) -> str:
    """The gain by hand beside what was said and what was proven, in Markdown."""
    rows = ["| pipeline | gain by hand | what was said | proven |", "| --- | ---: | --- | ---: |"]
    for name, case in cases.items():
        found = case["figures"]
        hand = found.get("by_hand")
        said = "; ".join(": ".join(filter(None, one)) for one in found.get("said") or []) or "nothing"
        kept, ceiling = found.get("kept"), found.get("ceiling")
        proven = _times(kept) or (f"at most {_times(ceiling)}" if ceiling else "")
        text = f"{_times(hand[0])} ({hand[1]:.3g}–{hand[2]:.3g})" if hand else "none known"
        cells = [name, text, said.replace("|", "\\|"), proven]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def _times(gain: float | None) -> str:
    return f"{gain:.3g}×" if gain else ""
