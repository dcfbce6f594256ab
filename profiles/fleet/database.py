"""DuckDB in memory: the one module that calls it.

A database never has a file of its own. What it is asked comes from users: so all tables are loaded first, and then
DuckDB itself refuses every file, extension and setting, whatever the text of a question is.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeprof.pipelines.errors import ProfileError, UsageError
from pipeprof.profiles.fleet.tables import KEY, RUNS, TABLES, Table

INSTALL = "pip install duckdb"
MEMORY = "2GB"
"""That a question may take; nothing goes to a disk in its place."""
_CLOSED = (
    "SET temp_directory = ''",
    f"SET memory_limit = '{MEMORY}'",
    "SET autoinstall_known_extensions = false",
    "SET autoload_known_extensions = false",
    "SET allow_community_extensions = false",
    "SET allow_persistent_secrets = false",
    # Else a name that is no table could be a variable of this program.
    "SET python_enable_replacements = false",
    "SET enable_external_access = false",
    "SET lock_configuration = true",
)
_FORBIDDEN = "fleet query reads the tables of the fleet and nothing else"


def duckdb() -> Any:
    """The module.

    Raises:
        UsageError: It is not installed.
    """
    try:
        import duckdb as found
    except ImportError:
        raise UsageError(f"fleet keeps its tables with DuckDB, which is not installed: {INSTALL}") from None
    return found


def in_memory() -> Any:
    """A database of DuckDB's that is not closed yet, as a context.

    Raises:
        UsageError: It is not installed.
    """
    return duckdb().connect(":memory:")


def write_parquet(connection: Any, lines: Path, table: Table, path: Path) -> None:
    """Write the rows of a table, one line of JSON each, as a Parquet file.

    Raises:
        OSError: The file cannot be written.
    """
    columns = ", ".join(f"{name!r}: {kind!r}" for name, kind in table.types.items())
    read = f"read_json({_quoted(lines)}, format = 'newline_delimited', columns = {{{columns}}})"
    try:
        connection.execute(f"COPY (SELECT * FROM {read}) TO {_quoted(path)} (FORMAT parquet, COMPRESSION zstd)")
    except duckdb().IOException as error:
        raise OSError(5, _first_line(error), str(path)) from None


class Database:
    """The tables of a fleet in memory, closed to everything outside.

    Attributes:
        connection: DuckDB's.
        damaged: Files that could not be read, and why.
    """

    def __init__(self, connection: Any, damaged: Sequence[str] = ()) -> None:
        self.connection = connection
        self.damaged = list(damaged)

    @classmethod
    def of(cls, files: Mapping[str, Sequence[Path]]) -> Database:
        """Load all tables; a profile that several files have counts once.

        Args:
            files: Parquet files by the name of their table.

        Raises:
            UsageError: DuckDB is not installed.
            ProfileError: No file of `runs` can be read.
        """
        library = duckdb()
        connection = in_memory()
        damaged: list[str] = []
        for table in TABLES:
            readable = _readable(library, connection, files.get(table.name, ()), damaged)
            if table is RUNS and not readable:
                raise ProfileError(f"the fleet cannot be read: {damaged[0]}")
            _load(connection, table, readable)
        connection.execute(f"ALTER TABLE {RUNS.name} DROP COLUMN import")
        for statement in _CLOSED:
            connection.execute(statement)
        return cls(connection, damaged)

    def hashes(self) -> set[str]:
        """Hashes of all profiles."""
        return {str(key) for (key,) in self.rows(f"SELECT {KEY} FROM {RUNS.name}")}

    def rows(self, statement: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """The rows of a statement of this program's own."""
        found: list[tuple[Any, ...]] = self.connection.execute(statement, list(values)).fetchall()
        return found

    def query(
        self, statement: str, seconds: float, most: int | None = None
    ) -> tuple[list[str], list[tuple[Any, ...]], bool]:
        """Answer a question in SQL.

        Args:
            most: Rows after which the answer ends.

        Returns:
            Names of the columns, rows, and whether there are more.

        Raises:
            UsageError: It is not one question, it would change something or read anything but the tables, or it took
                longer than `seconds`.
        """
        library = duckdb()
        try:
            statements = self.connection.extract_statements(statement)
        except library.Error as error:
            raise UsageError(f"fleet query: {_first_line(error)}") from None
        allowed = {library.StatementType.SELECT, library.StatementType.EXPLAIN}
        if len(statements) != 1 or statements[0].type not in allowed:
            raise UsageError(f"{_FORBIDDEN}: give one SELECT")
        timer = threading.Timer(seconds, self.connection.interrupt)
        timer.daemon = True
        timer.start()
        try:
            result = self.connection.execute(statements[0])
            columns = [column[0] for column in result.description or ()]
            rows = result.fetchall() if most is None else result.fetchmany(most + 1)
        except library.InterruptException:
            raise UsageError(f"fleet query: no answer within {seconds:g} s; --max-time sets it") from None
        except library.PermissionException:
            raise UsageError(f"{_FORBIDDEN}, and no files, extensions or settings") from None
        except library.Error as error:
            raise UsageError(f"fleet query: {_first_line(error)}") from None
        finally:
            timer.cancel()
        return columns, rows[:most], most is not None and len(rows) > most


def _readable(library: Any, connection: Any, paths: Sequence[Path], damaged: list[str]) -> list[Path]:
    """The files that can be read; of others, the reason is noted."""

    def fault(some: Sequence[Path]) -> str | None:
        try:
            connection.execute(f"SELECT {KEY} FROM {_files(some)} LIMIT 1").fetchall()
        except library.Error as error:
            return _first_line(error)
        return None

    if not paths or fault(paths) is None:
        return list(paths)
    faults = {path: fault([path]) for path in paths}
    damaged += [f"{path}: {why}" for path, why in faults.items() if why is not None]
    return [path for path in paths if faults[path] is None]


def _load(connection: Any, table: Table, paths: Sequence[Path]) -> None:
    """Make a table of files, whatever columns they have: those that are missing are null, others are left out."""
    if not paths:
        columns = ", ".join(f'NULL::{kind} AS "{name}"' for name, kind in table.types.items())
        connection.execute(f"CREATE TABLE {table.name} AS SELECT {columns} LIMIT 0")
        return
    files = _files(paths)
    there = {row[0] for row in connection.execute(f"DESCRIBE SELECT * FROM {files}").fetchall()}
    columns = ", ".join(
        f'TRY_CAST("{name}" AS {kind}) AS "{name}"' if name in there else f'NULL::{kind} AS "{name}"'
        for name, kind in table.types.items()
    )
    of_import = "parse_filename(filename, true)"
    if table is RUNS:
        once = f"QUALIFY row_number() OVER (PARTITION BY {KEY} ORDER BY {of_import}) = 1"
        select = f"SELECT {columns}, {of_import} AS import FROM {files} {once}"
    else:
        of_run = f"SELECT {KEY}, import FROM {RUNS.name}"
        select = f"SELECT {columns} FROM {files} WHERE ({KEY}, {of_import}) IN ({of_run})"
    connection.execute(f"CREATE TABLE {table.name} AS {select}")


def _files(paths: Sequence[Path]) -> str:
    listed = ", ".join(_quoted(path) for path in paths)
    return f"read_parquet([{listed}], union_by_name = true, filename = true)"


def _quoted(path: Path) -> str:
    text = str(path).replace("'", "''")
    return f"'{text}'"


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
