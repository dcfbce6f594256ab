"""Python expressions for a spec's files and file patterns."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pipeprof.pipelines.ops.values.values import FilePatterns
from pipeprof.pipelines.spec.paths import has_scheme, is_glob
from pipeprof.pipelines.to_python.code import listed, text
from pipeprof.pipelines.to_python.module import Module

_SYNTHESISED: Final = "data:"


class Files:
    """The expressions of files; imports and folders that they need are added to the module."""

    def __init__(self, module: Module) -> None:
        self.module = module

    def file(self, path: str) -> str:
        """Render a file as a pathlib path (as text if only TensorFlow can read it)."""
        if has_scheme(path):
            return text(path)
        if path.startswith(_SYNTHESISED):
            name, _, below = path.removeprefix(_SYNTHESISED).partition("/")
            folder = self.module.data_folder(name)
            return f"{folder} / {text(below)}" if below else folder
        if Path(path).expanduser().is_absolute():
            self.module.imports.add("from pathlib import Path")
            return f"Path({text(path)}).expanduser()" if path.startswith("~") else f"Path({text(path)})"
        return f"{self.module.here()} / {text(path)}"

    def path(self, path: str) -> str:
        """Render a file as text."""
        return text(path) if has_scheme(path) else f"str({self.file(path)})"

    def _literal(self, path: str) -> bool:
        """Return whether a path with wildcards is the name of an existing file."""
        if not is_glob(path) or path.startswith(_SYNTHESISED) or has_scheme(path):
            return not is_glob(path)
        return (self.module.loaded.base_dir / Path(path).expanduser()).exists()

    def pattern(self, path: str) -> str:
        """Render a pattern for TensorFlow to match."""
        if self._literal(path) and is_glob(path):
            self.module.imports.add("import glob")
            return f"glob.escape({self.path(path)})"
        return self._escape(path)

    def _escape(self, path: str) -> str:
        """Render the path as text, with wildcards in its folder escaped."""
        folder = self._folder_of(path)
        if folder is None or not is_glob(str(folder)):
            return self.path(path)
        self.module.imports.add("import glob")
        base, _, below = self.file(path).partition(" / ")
        return f'glob.escape(str({base})) + "/" + {below}'

    def _folder_of(self, path: str) -> Path | None:
        if has_scheme(path) or Path(path).expanduser().is_absolute():
            return None
        if path.startswith(_SYNTHESISED):
            return self.module.data_dirs.get(path.removeprefix(_SYNTHESISED).partition("/")[0])
        return self.module.loaded.base_dir

    def patterns(self, files: FilePatterns) -> str:
        """Render files as patterns: a text, or a list of several."""
        shown = [self.pattern(path) for path in files.patterns]
        return shown[0] if len(shown) == 1 else listed(shown)

    def files(self, files: FilePatterns, *, always_list: bool = False) -> str:
        """Render files as the names that match now."""
        shown: list[tuple[str, bool]] = [self._matching(path) for path in files.patterns]
        if len(shown) == 1:
            names, several = shown[0]
            return names if several or not always_list else listed([names])
        return listed(f"*{names}" if several else names for names, several in shown)

    def _matching(self, path: str) -> tuple[str, bool]:
        """Return the expression, and whether it gives several names."""
        if has_scheme(path):
            return (f"tf.io.gfile.glob({text(path)})", True) if "*" in path else (text(path), False)
        if self._literal(path):
            return self.path(path), False
        self.module.imports.add("import glob")
        recursive = ", recursive=True" if "**" in path else ""
        return f"sorted(glob.glob({self._escape(path)}{recursive}))", True
