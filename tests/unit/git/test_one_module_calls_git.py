"""One module calls git for what a checkout holds."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
CALL = re.compile(r"""which\(["']git["']|\[["']git["']|["']git (?:status|rev-parse|log|show|ls-files)\b""")
VERSION_ALONE = "profiles/doctor/facts.py"


def test_one_module_calls_git():
    files = [path for name in ("api", "cli", "pipelines", "profiles") for path in (ROOT / name).rglob("*.py")]
    callers = {path.relative_to(ROOT).as_posix() for path in files if CALL.search(path.read_text(encoding="utf-8"))}
    assert callers == {"profiles/git/calls.py", VERSION_ALONE}
