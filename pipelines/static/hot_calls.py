"""What a line of Python that takes much of the time does, by its text: building objects anew, reading one row."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final, Literal, TypeAlias, TypeGuard

from pipeprof.pipelines.static.dataset_names import FUNCTIONS, own_nodes
from pipeprof.pipelines.static.trees import names_in, reads
from pipeprof.pipelines.static.unchanging import File, Function, Once, Scope, free_names, parameters, sets
from pipeprof.pipelines.static.written_calls import parsed

HotKind: TypeAlias = Literal["built-anew", "opens-file", "one-row", "processes"]
_OPENERS: Final = frozenset(
    {
        *("File", "Dataset", "ParquetFile", "ZipFile", "imread", "load", "open", "open_dataset", "open_zarr"),
        *("read_csv", "read_feather", "read_parquet", "read_pickle", "read", "loadtxt", "memmap"),
    }
)
_ROWS: Final = frozenset({"h5py", "netCDF4", "pandas", "pyarrow", "tables", "xarray", "zarr"})
"""Libraries whose objects give rows by an index."""
_ONE_EACH: Final = frozenset({"PIL", "cv2", "imageio", "librosa", "soundfile"})
"""Libraries whose files hold one element."""
_PROCESSES: Final = frozenset({"multiprocessing", "concurrent.futures", "joblib", "torch.multiprocessing"})
_SENDING: Final = frozenset({"get", "imap", "imap_unordered", "map", "result", "starmap"})
_COMPREHENSIONS: Final = frozenset({"<dictcomp>", "<genexpr>", "<listcomp>", "<setcomp>"})
"""What Python calls the frames of comprehensions, which are lines of the functions around them."""
_IN_MEMORY: Final = 8
_OPEN: Final = 64
"""Files that are kept."""


@dataclass(frozen=True)
class Kept:
    """A file that is opened once, and kept.

    Attributes:
        opened: The line that makes the function which opens and keeps it.
        used: What to write in the function.
        replaced: What that stands in place of, in words with code in backticks.
        most: How many are kept.
        place: Where the line stands.
    """

    opened: str
    used: str
    replaced: str
    most: int
    where: Literal["open", "in memory"]
    place: str = ""


@dataclass(frozen=True)
class HotCall:
    """A call or an index in the user's file.

    Attributes:
        kind: It makes the same object in each call of its function; it opens a file for one element; it takes one row
            by its index; or it takes elements from other processes.
        text: As written.
        library: First part of the library's name; empty for the user's own functions.
        line: From 1.
        instead: How it is opened once, where each call takes one row of the file; None where that is not certain.
        once: How it is made once; None where that is not certain.
    """

    kind: HotKind
    text: str
    function: str
    library: str
    line: int
    instead: Kept | None = None
    once: Once | None = None


def hot_call(text: str, function: str, line: int) -> HotCall | None:
    r"""Return what a hot line of a file does that could be done less often; None where the text does not show it.

    Args:
        line: Where in it it was seen most often, from 1.

    Example:
        >>> code = "import re\ndef f(x):\n    return re.compile('a+').sub('', x)\n"
        >>> found = hot_call(code, "f", 3)
        >>> found.kind, found.text, found.once.lines, found.once.where
        ('built-anew', "re.compile('a+')", ("COMPILE = re.compile('a+')",), 'above line 2')
    """
    file = _file(text)
    if file is None:
        return None
    return next((call for scope in file.scopes(function, line) for call in file.calls(scope, line)), None)


def made_anew(text: str, function: str) -> list[HotCall]:
    r"""Return what a function makes in each call although it is the same each time, with what makes it once.

    Example:
        >>> code = "def f(x):\n    names = ['a' * n for n in range(9)]\n    return names[x]\n"
        >>> [(call.line, call.once.lines) for call in made_anew(code, "f")]
        [(2, ("NAMES = ['a' * n for n in range(9)]",))]
    """
    file = _file(text)
    defined = [one for one in file.all_functions if _name_of(one) == function] if file is not None else []
    if len(defined) != 1:
        return []
    lines = range(defined[0].lineno, (defined[0].end_lineno or defined[0].lineno) + 1)
    found = [call for line in lines if (call := hot_call(text, function, line)) is not None and call.once is not None]
    built = [one for one in dict.fromkeys(found) if one.kind == "built-anew"]
    # What others are made of goes with them.
    return [one for one in built if not any(_is_part(one, other) for other in built if other is not one)]


def _is_part(call: HotCall, other: HotCall) -> bool:
    texts = {line.partition(" = ")[2] for line in (other.once.lines if other.once is not None else ())}
    return call.once is not None and call.once.lines[-1].partition(" = ")[2] in texts


def builders(text: str) -> list[tuple[HotCall, list[range]]]:
    r"""Return calls of the file's functions that are the same each time, with the lines that they lead to.

    Example:
        >>> code = "def build():\n    return [1]\ndef f(x):\n    return build()[0] + x\n"
        >>> [(call.text, call.function, call.line, lines) for call, lines in builders(code)]
        [('build()', 'f', 4, [range(1, 3)])]
    """
    return [*_builders(text)]


@lru_cache(maxsize=4)
def _builders(text: str) -> tuple[tuple[HotCall, list[range]], ...]:
    file = _file(text)
    if file is None:
        return ()
    found = [(call, file.lines_of(made)) for function in file.all_functions for call, made in file.built_in(function)]
    inside = {line for lines in {one for _, ranges in found for one in ranges} for line in lines}
    return tuple((call, ranges) for call, ranges in found if call.line not in inside)


@lru_cache(maxsize=4)
def _file(text: str) -> _File | None:
    tree = parsed(text)
    return _File(tree) if tree is not None else None


class _File(File):
    """What the functions of a file do."""

    def scopes(self, name: str, line: int) -> list[Scope]:
        """The functions of that name with a line, the innermost first; of a generator the loop with it."""
        last = name.rpartition(".")[2]
        inside = last in _COMPREHENSIONS
        found = [node for node in self.all_functions if (inside or _name_of(node) == last) and _covers(node, line)]
        return [_repeated(one, line) for one in found[::-1]]

    def calls(self, scope: Scope, line: int) -> Iterator[HotCall]:
        """What a function does in a line, the most telling first."""
        function = self._function_of(scope)
        bound = parameters(function) | names_in(function, ast.Store)
        nodes = [node for node in own_nodes(function) if _covers(node, line)]
        calls = [node for node in nodes if isinstance(node, ast.Call)]
        # Processes are started in one line, and their results are taken in another.
        starting = any(self.imports.dotted(node.func).startswith(tuple(_PROCESSES)) for node in calls)
        sent = filter(_is_call, own_nodes(function)) if starting else calls
        taking = [node for node in sent if self._takes_from_processes(node, function)]
        yield from (self._hot("processes", node, function) for node in taking)
        yield from self._built_anew(scope, function, line)
        yield from self._parsed_anew(function, bound, line)
        opening = [node for node in calls if self._opens(node)]
        yield from (self._hot("opens-file", node, function) for node in opening if self._library(node) in _ONE_EACH)
        # Of a file with many rows: each call takes one of them, by an index that it was given.
        opened = {name: node for name, node in _assigned(function) if self._opens(node)}
        bases = [_base(node) for node in own_nodes(function) if _indexed_by(node, bound)]
        rows = {id(opened[base.id] if isinstance(base, ast.Name) and base.id in opened else base) for base in bases}
        here = [opened.get(base.id) for base in map(_base, nodes) if isinstance(base, ast.Name)]
        yield from (self._once(node, function, bound) for node in (*opening, *filter(None, here)) if id(node) in rows)
        if scope is not function or not _is_generator(function):
            # One file: each call reads another part of it.
            parts = [node for node in opening if free_names(node) & bound and not free_names(node.args[0]) & bound]
            yield from (self._hot("opens-file", node, function) for node in parts)
        for node in nodes:
            if self._gives_rows() and _indexed_by(node, bound):
                yield self._hot("one-row", node, function)

    def built_in(self, function: Function) -> Iterator[tuple[HotCall, ast.FunctionDef]]:
        """Calls of the file's functions and classes that are the same each time, with what they call."""
        for node in own_nodes(function):
            match node:
                case ast.Call(func=ast.Name(id=name)) if self.functions.get(name, function) is not function:
                    found = self._built_anew(_repeated(function, node.lineno), function, node.lineno, node)
                    yield from ((call, self.functions[name]) for call in found)

    def _function_of(self, scope: Scope) -> Function:
        """The function that a loop is in; a function itself."""
        functions = [one for one in (scope, *self.around(scope)) if isinstance(one, FUNCTIONS)]
        return functions[0]

    def _built_anew(
        self, scope: Scope, function: Function, line: int, only: ast.Call | None = None
    ) -> Iterator[HotCall]:
        """What a line makes that is the same each time: whole statements first, then the outermost expression."""
        if scope is function and _is_generator(function):
            return
        same = self.unchanging(scope)
        lines = same.lines_at(line) if only is None else None
        if lines is not None:
            read = {name for one in own_nodes(scope) for name in names_in(one, ast.Load)}
            names = ", ".join(sorted(sets(lines) & read))
            yield HotCall("built-anew", names, _name_of(function), "", lines.lineno, once=same.once(lines))
        for node in same.made_at(line):
            if only is None or node is only:
                yield replace(self._hot("built-anew", node, function), once=same.once(node))

    def _takes_from_processes(self, call: ast.Call, function: Function) -> bool:
        uses = {self.imports.dotted(node) for node in ast.walk(function) if isinstance(node, ast.Name | ast.Attribute)}
        pools = any(name.startswith(tuple(_PROCESSES)) for name in uses if name)
        return pools and isinstance(call.func, ast.Attribute) and call.func.attr in _SENDING

    def _gives_rows(self) -> bool:
        """Whether the file works with a library whose rows are read by their index."""
        return not _ROWS.isdisjoint({value.partition(".")[0] for value in self.imports.names.values()})

    def _library(self, call: ast.Call) -> str:
        root = self.imports.dotted(call.func).partition(".")[0]
        return root if root in {value.partition(".")[0] for value in self.imports.names.values()} else ""

    def _opens(self, call: ast.Call) -> bool:
        return bool(self._library(call)) and bool(call.args) and _last(self.imports.dotted(call.func)) in _OPENERS

    def _once(self, call: ast.Call, function: Function, bound: set[str]) -> HotCall:
        """A file that each call of a function opens for a row of it, with what opens it once."""
        return replace(self._hot("opens-file", call, function), instead=self._kept(call, function, bound))

    def _parsed_anew(self, function: Function, bound: set[str], line: int) -> Iterator[HotCall]:
        """A text file that each call of a function opens, and reads from its start, for a row of it."""
        nodes = list(own_nodes(function))
        named: list[tuple[ast.expr | None, ast.expr, ast.AST]] = [
            (one.items[0].optional_vars, one.items[0].context_expr, one) for one in nodes if isinstance(one, ast.With)
        ]
        named += [(one.targets[0], one.value, one) for one in nodes if isinstance(one, ast.Assign)]
        for to, call, around in named:
            if not (_is_call(call) and _reads_file(call) and isinstance(to, ast.Name)):
                continue
            rows = [row for node in nodes if (row := _row_of(node, to.id)) is not None]
            uses = [node for node in nodes if _is_name(node) and node.id == to.id and isinstance(node.ctx, ast.Load)]
            if len(rows) != 1 or len(uses) != 1 or not free_names(call.args[0]) & bound:
                continue
            ((whole, every, at),) = rows
            if not _covers(around, line) and not _covers(whole, line):
                continue
            path, *others = map(ast.unparse, (*call.args, *call.keywords))
            read = {name for one in (*call.args[1:], *call.keywords) for name in free_names(one)}
            if (read | (free_names(every) - {to.id})) & bound:
                continue
            again = f"{ast.unparse(call.func)}({', '.join(['path', *others])})"
            made = ast.unparse(_Named(to.id, again).visit(copy.deepcopy(every)))
            made = made if isinstance(whole, ast.Subscript) else f"list({made})"
            opened = f"opened = functools.lru_cache(maxsize={_IN_MEMORY})(lambda path: {made})"
            place = self.unchanging(function).place([opened], {"opened"}, {"functools"})
            if place is not None:
                replaced = f"`{ast.unparse(whole)}`, without `{ast.unparse(call)}`"
                used = f"opened({path})[{ast.unparse(at)}]"
                kept = Kept(opened, used, replaced, _IN_MEMORY, "in memory", place)
                yield replace(self._hot("opens-file", call, function), instead=kept)

    def _kept(self, call: ast.Call, function: Function, bound: set[str]) -> Kept | None:
        path, *others = map(ast.unparse, (*call.args, *call.keywords))
        read = {one.id for other in (*call.args[1:], *call.keywords) for one in ast.walk(other) if _is_name(one)}
        name = next((name for name, one in _assigned(function) if one is call), "")
        around = [one for one in ast.walk(function) if isinstance(one, ast.With) and _opens_with(one, call)]
        if read & bound or any(len(one.items) > 1 for one in around):
            return None
        text, made = ast.unparse(call), f"{ast.unparse(call.func)}({', '.join(['path', *others])})"
        replaced = f"`{name} = {text}`" if name else f"`{text}`"
        if around:
            # What closes the file at its end must go: it is kept.
            replaced = f"`with {text}{f' as {name}' if name else ''}:`, whose lines move out of it"
        in_memory = self._library(call) in {"numpy", "pandas"} or _last(self.imports.dotted(call.func)).startswith(
            "read"
        )
        most, given = (_IN_MEMORY if in_memory else _OPEN), "path"
        used = f"{name} = opened({path})" if name else f"opened({path})"
        arrays = [one for one in own_nodes(function) if _is_array_of(one, name, call)]
        if self._library(call) == "numpy" and arrays:
            # Of an archive, only what is indexed is read.
            if name and sum(_is_name(one) and one.id == name for one in ast.walk(function)) != len(arrays) + 1:
                return None
            made, given, every = f"{made}[array]", "path, array", dict.fromkeys(map(ast.unparse, arrays))
            used = ", ".join(f"opened({path}, {one[one.rindex('[') + 1 : -1]})" for one in every)
            replaced = f"{', '.join(f'`{one}`' for one in every)}{f', without {replaced}' if name else ''}"
        opened = f"opened = functools.lru_cache(maxsize={most})(lambda {given}: {made})"
        place = self.unchanging(function).place([opened], {"opened"}, {"functools"})
        return Kept(opened, used, replaced, most, "in memory" if in_memory else "open", place) if place else None

    def _hot(self, kind: HotKind, node: ast.AST, function: Function) -> HotCall:
        library = self._library(node) if isinstance(node, ast.Call) else ""
        return HotCall(kind, ast.unparse(node), _name_of(function), library, getattr(node, "lineno", function.lineno))


def _name_of(function: Function) -> str:
    return "<lambda>" if isinstance(function, ast.Lambda) else function.name


def _repeated(function: Function, line: int) -> Scope:
    """What runs for each element: a function, or the innermost loop of a generator that has a line in its body."""
    if not _is_generator(function):
        return function
    loops = [one for one in own_nodes(function) if isinstance(one, ast.For | ast.While)]
    return next((one for one in loops[::-1] if any(_covers(node, line) for node in one.body)), function)


def _is_call(node: ast.AST) -> TypeGuard[ast.Call]:
    return isinstance(node, ast.Call)


def _assigned(function: Function) -> Iterator[tuple[str, ast.Call]]:
    """Names that a function gives what a call returns, with the call."""
    for node in ast.walk(function):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call() as call):
                yield name, call
            case ast.withitem(context_expr=ast.Call() as call, optional_vars=ast.Name(id=name)):
                yield name, call


def _base(node: ast.AST) -> ast.AST:
    """What is indexed: ``a`` of ``a["x"][i]``."""
    while isinstance(node, ast.Subscript | ast.Attribute):
        node = node.value
    return node


def _is_name(node: ast.AST) -> TypeGuard[ast.Name]:
    return isinstance(node, ast.Name)


class _Named(ast.NodeTransformer):
    """Puts an expression in place of a name."""

    def __init__(self, name: str, by: str) -> None:
        self._name = name
        self._by = ast.parse(by, mode="eval").body

    def visit_Name(self, node: ast.Name) -> ast.AST:
        """Change the name."""
        return self._by if node.id == self._name else node


def _reads_file(call: ast.Call) -> bool:
    """Whether it is Python's own `open`, to read."""
    modes = [
        one.value
        for one in (*call.args[1:2], *(word.value for word in call.keywords if word.arg == "mode"))
        if isinstance(one, ast.Constant)
    ]
    reads = all(isinstance(mode, str) and not set(mode) & set("wax+") for mode in modes)
    return _is_name(call.func) and call.func.id == "open" and bool(call.args) and reads


def _row_of(node: ast.AST, file: str) -> tuple[ast.expr, ast.expr, ast.expr] | None:
    """What takes one row of what is read of a file: all of it, what is read, and the row's number."""
    match node:
        case ast.Call(func=ast.Name(id="next"), args=[ast.Call(func=function, args=[every, at, *_]), *_]) if (
            ast.unparse(function).rpartition(".")[2] == "islice" and reads(every, file)
        ):
            return node, every, at
        case ast.Subscript(value=ast.Call() as every, slice=at) if reads(every, file) and not isinstance(at, ast.Slice):
            return node, every, at
    return None


def _opens_with(node: ast.With, call: ast.Call) -> bool:
    return any(item.context_expr is call for item in node.items)


def _is_array_of(node: ast.AST, name: str, call: ast.Call) -> TypeGuard[ast.Subscript]:
    """Whether it is one array of an opened archive: ``stored["x"]``."""
    match node:
        case ast.Subscript(value=value, slice=ast.Constant(value=str())):
            return value is call or (_is_name(value) and value.id == name)
    return False


def _indexed_by(node: ast.AST, bound: set[str]) -> bool:
    """Whether something is indexed by what a function was given, and not by a range."""
    if not isinstance(node, ast.Subscript):
        return False
    names = {one.id for one in ast.walk(node.slice) if isinstance(one, ast.Name)}
    return bool(names & bound) and not any(isinstance(one, ast.Slice) for one in ast.walk(node.slice))


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def _is_generator(function: Function) -> bool:
    return any(isinstance(node, ast.Yield | ast.YieldFrom) for node in own_nodes(function))


def _covers(node: ast.AST, line: int) -> bool:
    first = getattr(node, "lineno", None)
    return first is not None and first <= line <= (getattr(node, "end_lineno", None) or first)
