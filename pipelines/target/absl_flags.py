"""Defaults for absl flags in the user's files, which only scripts parse; pipeprof runs no file as a script."""

from __future__ import annotations

import sys

from pipeprof.pipelines.target.user_files import is_users


def leave_defaults() -> list[str]:
    """Set unparsed flags of the user's files to their defaults."""
    flags = getattr(sys.modules.get("absl.flags"), "FLAGS", None)
    if flags is None or flags.is_parsed():
        return []
    modules = flags.flags_by_module_dict()
    files = {module: getattr(sys.modules.get(module), "__file__", None) or "<unknown>" for module in modules}
    names = [f"--{flag.name}" for module in modules if is_users(files[module]) for flag in modules[module]]
    if names:
        flags.mark_as_parsed()
    return names
