"""Installed packages: their versions, and which of them own the module ``tensorflow``. No package is imported."""

from __future__ import annotations

import importlib.util
import platform
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import metadata
from importlib.machinery import ModuleSpec
from typing import Final

SHOWN: Final = ("pipeprof", "keras", "numpy", "protobuf", "psutil", "pydantic", "typer")
_MODULE: Final = "tensorflow"
_OWNED_FILE: Final = re.compile(rf"^{_MODULE}/__init__\.py,", re.MULTILINE)


@dataclass(frozen=True)
class Package:
    """An installed package.

    Attributes:
        version: None if its metadata has none.
    """

    name: str
    version: str | None


@dataclass(frozen=True)
class TensorFlowInstallation:
    """The module ``tensorflow`` and the packages that own it.

    Attributes:
        owners: Packages that contain it, by name.
        importable: Whether Python finds it as a package with code, owned or not.
        unreadable: Number of installed packages whose metadata cannot be read.
    """

    owners: tuple[Package, ...]
    importable: bool
    unreadable: int = 0


def versions(version_of: Callable[[str], str] = metadata.version) -> dict[str, str | None]:
    """Return the version of Python and of each package of `SHOWN`; None if it is not installed or damaged."""
    return {"python": platform.python_version(), **{name: _version(name, version_of) for name in SHOWN}}


def _version(name: str, version_of: Callable[[str], str]) -> str | None:
    try:
        return version_of(name)
    # Damaged metadata raises whatever its parser meets, and others in newer Pythons.
    except Exception:
        return None


def find_tensorflow(
    distributions: Callable[[], Iterable[metadata.Distribution]] = metadata.distributions,
    find_spec: Callable[[str], ModuleSpec | None] = importlib.util.find_spec,
) -> TensorFlowInstallation:
    """Find the packages that own ``tensorflow``.

    Unlike `importlib.metadata.packages_distributions` it goes on after a package with damaged metadata.
    """
    owners: dict[str, Package] = {}
    unreadable = 0
    for distribution in distributions():
        try:
            if _owns(distribution):
                name = str(distribution.metadata["Name"] or "")
                if not name:
                    raise ValueError(name)
                # The first one on the path is the one that Python imports.
                owners.setdefault(re.sub(r"[-_.]+", "-", name).lower(), Package(name, distribution.version or None))
        except Exception:
            unreadable += 1
    return TensorFlowInstallation(tuple(owners[name] for name in sorted(owners)), _is_importable(find_spec), unreadable)


def _owns(distribution: metadata.Distribution) -> bool:
    top_level = distribution.read_text("top_level.txt")
    if top_level is not None:
        return _MODULE in top_level.split()
    return _OWNED_FILE.search(distribution.read_text("RECORD") or "") is not None


def _is_importable(find_spec: Callable[[str], ModuleSpec | None]) -> bool:
    try:
        spec = find_spec(_MODULE)
    except (ImportError, ValueError):
        return False
    # A folder without `__init__.py`, such as an incomplete removal leaves, has no origin.
    return spec is not None and spec.origin is not None
