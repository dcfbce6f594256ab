"""What was measured of strangers' pipelines: gain by hand, what was said, what was proven; and the readers' labels.

Usage: ``python benchmarks/strangers/table.py [RESULT] [--fill]``. RESULT is what bench.py wrote; by default what is
kept in benchmarks/results. ``--fill`` gives every sentence that has no label a place in labels.yaml, for a reader to
fill. Ends with 1 while a sentence is wrong, or more than a fifth of them are empty.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import yaml

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE))

from labels import FILE, counted, read, table, to_fill, too_many


def main() -> int:
    """Print the table and the counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("result", type=Path, nargs="?", default=HERE.parent / "results" / "strangers.json")
    parser.add_argument("--fill", action="store_true", help="give sentences without a label a place in labels.yaml")
    given = parser.parse_args()
    cases = json.loads(given.result.read_text(encoding="utf-8"))["cases"]
    labels = read()
    if given.fill:
        labels = to_fill(cases, labels)
        text = yaml.safe_dump(labels, sort_keys=False, allow_unicode=True, width=10**6)
        FILE.write_text(text, encoding="utf-8")
    count = counted(cases, labels)
    print(table(cases))
    print(", ".join(f"{number} {label}" for label, number in count.items()), "sentences")
    return int(too_many(count))


if __name__ == "__main__":
    sys.exit(main())
