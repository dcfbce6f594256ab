"""Files of the user's that this process reads as they are after a change; the files do not change."""

from __future__ import annotations

import importlib.machinery
import io
import linecache
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def read_instead(texts: Mapping[str, str]) -> None:
    """Import or run files with other texts in this process.

    Args:
        texts: By the absolute paths of the files.
    """
    original, open_code = importlib.machinery.SourceFileLoader.get_code, io.open_code
    wanted = {Path(path).resolve(): text for path, text in texts.items()}
    # AutoGraph reads the text of functions, by the lines of the code that runs.
    for path, text in texts.items():
        for name in {path, str(Path(path).resolve()), path.removeprefix(f"{Path.cwd()}/")}:
            linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)

    def get_code(self: Any, fullname: str) -> Any:
        file = self.get_filename(fullname)
        text = wanted.get(Path(file).resolve())
        return self.source_to_code(text.encode(), file) if text is not None else original(self, fullname)

    def code_of(name: str) -> Any:
        text = wanted.get(Path(name).resolve())
        return io.BytesIO(text.encode()) if text is not None else open_code(name)

    # Of this process alone.
    io.open_code = code_of  # type: ignore[assignment]
    importlib.machinery.SourceFileLoader.get_code = get_code  # type: ignore[method-assign]
