"""What a line of Python that takes much of the time does, by its text: building objects anew, reading one row."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias, TypeGuard

from pipeprof.pipelines.static.imports import Imports
from pipeprof.pipelines.static.written_calls import parsed

HotKind: TypeAlias = Literal["built-anew", "opens-file", "one-row", "processes"]
_FUNCTIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_BUILDERS: Final = frozenset(
    {"compile", "from_pretrained", "load", "open", "read_csv", "read_feather", "read_parquet", "read_pickle"}
)
"""Names of functions that make an object of a constant, in addition to classes."""
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
_INIT: Final = "__init__"
_IMPURE: Final = frozenset({"random", "time", "uuid", "secrets"})
_IN_MEMORY: Final = 8
_OPEN: Final = 64
"""Files that are kept."""


@dataclass(frozen=True)
class Kept:
    """A file that is opened once, and kept.

    Attributes:
        opened: The line that makes the function which opens and keeps it.
        used: What to write in the function.
        replaced: What that stands in the place of.
        most: How many are kept.
    """

    opened: str
    used: str
    replaced: str
    most: int
    where: Literal["open", "in memory"]


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
    """

    kind: HotKind
    text: str
    function: str
    library: str
    line: int
    instead: Kept | None = None


def hot_call(text: str, function: str, line: int) -> HotCall | None:
    r"""Return what a hot line of a file does that could be done less often; None where the text does not show it.

    Args:
        line: Where in it it was seen most often, from 1.

    Example:
        >>> code = "import re\ndef f(x):\n    return re.compile('a+').sub('', x)\n"
        >>> hot_call(code, "f", 3)
        HotCall(kind='built-anew', text="re.compile('a+')", function='f', library='re', line=3, instead=None)
    """
    tree = parsed(text)
    if tree is None:
        return None
    file = _File(tree)
    found = file.around(function, line)
    return next(file.calls(found, line), None) if found is not None else None


def builders(text: str) -> list[tuple[HotCall, list[range]]]:
    r"""Return the calls of functions without arguments inside other functions, with the lines that they lead to.

    Example:
        >>> code = "def build():\n    return [1]\ndef f(x):\n    return build()[0] + x\n"
        >>> [(call.text, call.function, call.line, lines) for call, lines in builders(code)]
        [('build()', 'f', 4, [range(1, 3)])]
    """
    tree = parsed(text)
    if tree is None:
        return []
    file, found = _File(tree), []
    for function in {id(one): one for one in file.functions.values()}.values():
        for node in _own_nodes(function):
            made = file.functions.get(_called_without_arguments(node))
            if made is not None and made is not function and not _parameters(made) and not file.is_impure(made):
                call = HotCall("built-anew", ast.unparse(node), function.name, "", getattr(node, "lineno", 1))
                found.append((call, file.lines_of(made)))
    inside = [lines for _, ranges in found for lines in ranges]
    return [(call, ranges) for call, ranges in found if not any(call.line in lines for lines in inside)]


def _called_without_arguments(node: ast.AST) -> str:
    """The name of the function that a call without arguments calls; empty for other nodes."""
    match node:
        case ast.Call(func=ast.Name(id=name), args=[], keywords=[]):
            return name
    return ""


class _File:
    """Functions and imports of a file."""

    def __init__(self, tree: ast.Module) -> None:
        self._tree = tree
        self.functions: dict[str, ast.FunctionDef] = {}
        imports = Imports(tree)
        self._imports, self._name = imports.names, imports.dotted
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                self.functions.setdefault(node.name, node)
            elif isinstance(node, ast.ClassDef):
                # A class is called as its `__init__` is.
                for one in node.body:
                    if isinstance(one, ast.FunctionDef) and one.name == _INIT:
                        self.functions[node.name] = one

    def around(self, name: str, line: int) -> ast.FunctionDef | None:
        """The innermost function of that name with a line."""
        found = [
            node
            for node in ast.walk(self._tree)
            if isinstance(node, ast.FunctionDef)
            and node.name == name.rpartition(".")[2]
            and node.lineno <= line <= (node.end_lineno or node.lineno)
        ]
        return max(found, key=lambda node: node.lineno, default=None)

    def calls(self, function: ast.FunctionDef, line: int) -> Iterator[HotCall]:
        """What the function does in a line, the most telling first."""
        bound = _bound(function)
        nodes = [node for node in _own_nodes(function) if _covers(node, line)]
        calls = [node for node in nodes if isinstance(node, ast.Call)]
        # Processes are started in one line, and their results are taken in another.
        starting = any(self._name(node.func).startswith(tuple(_PROCESSES)) for node in calls)
        sent = filter(_is_call, _own_nodes(function)) if starting else calls
        taking = [node for node in sent if self._takes_from_processes(node, function)]
        yield from (self._hot("processes", node, function) for node in taking)
        # The outermost call that is the same each time is the one to take out.
        often = not _is_generator(function) or any(isinstance(node, ast.For | ast.While) for node in nodes)
        same = [node for node in calls if often and self._is_same_each_time(node, bound)]
        yield from (self._hot("built-anew", node, function) for node in same)
        opening = [node for node in calls if self._opens(node)]
        yield from (self._hot("opens-file", node, function) for node in opening if self._library(node) in _ONE_EACH)
        # Of a file with many rows: each call takes one of them, by an index that it was given.
        opened = {name: node for name, node in _assigned(function) if self._opens(node)}
        bases = [_base(node) for node in _own_nodes(function) if _indexed_by(node, bound)]
        rows = {id(opened[base.id] if isinstance(base, ast.Name) and base.id in opened else base) for base in bases}
        here = [opened.get(base.id) for base in map(_base, nodes) if isinstance(base, ast.Name)]
        yield from (self._once(node, function) for node in (*opening, *filter(None, here)) if id(node) in rows)
        for node in nodes:
            if self._gives_rows() and _indexed_by(node, bound):
                yield self._hot("one-row", node, function)

    def lines_of(self, function: ast.FunctionDef) -> list[range]:
        """The lines of a function, and of those of the file that it calls."""
        found: dict[str, range] = {}
        todo = [function]
        while todo:
            one = todo.pop()
            if one.name not in found:
                found[one.name] = range(one.lineno, (one.end_lineno or one.lineno) + 1)
                names = {node.id for node in ast.walk(one) if isinstance(node, ast.Name)}
                todo += [self.functions[name] for name in names & self.functions.keys()]
        return list(found.values())

    def is_impure(self, function: ast.AST) -> bool:
        """Whether a function draws numbers, reads a clock, keeps a state or is a generator."""
        return any(
            isinstance(node, ast.Global | ast.Nonlocal | ast.Yield | ast.YieldFrom)
            or (isinstance(node, ast.Name | ast.Attribute) and bool(set(self._name(node).split(".")) & _IMPURE))
            for node in ast.walk(function)
        )

    def _is_same_each_time(self, call: ast.Call, bound: set[str]) -> bool:
        """Whether a call makes an object of nothing that its function has."""
        name = self._name(call.func)
        last = name.rpartition(".")[2]
        root = next(iter(name.split(".")))
        own = self.functions.get(name)
        if own is not None and (self.is_impure(own) or _parameters(own)):
            return False
        known = own is not None or "." in name or name == "open" or name in self._imports.values()
        names = {node.id for node in ast.walk(call) if isinstance(node, ast.Name)}
        if not known or names & bound or root in ("tensorflow", "numpy", *_IMPURE) or set(name.split(".")) & _IMPURE:
            return name in ("numpy.load",) and not names & bound
        if own is not None:
            return True
        imported = root in {value.partition(".")[0] for value in self._imports.values()} or name == "open"
        return imported and (last[:1].isupper() or last in _BUILDERS)

    def _takes_from_processes(self, call: ast.Call, function: ast.FunctionDef) -> bool:
        uses = {self._name(node) for node in ast.walk(function) if isinstance(node, ast.Name | ast.Attribute)}
        pools = any(name.startswith(tuple(_PROCESSES)) for name in uses if name)
        return pools and isinstance(call.func, ast.Attribute) and call.func.attr in _SENDING

    def _gives_rows(self) -> bool:
        """Whether the file works with a library whose rows are read by their index."""
        return not _ROWS.isdisjoint({value.partition(".")[0] for value in self._imports.values()})

    def _library(self, call: ast.Call) -> str:
        root = self._name(call.func).partition(".")[0]
        return root if root in {value.partition(".")[0] for value in self._imports.values()} else ""

    def _opens(self, call: ast.Call) -> bool:
        return bool(self._library(call)) and bool(call.args) and _last(self._name(call.func)) in _OPENERS

    def _once(self, call: ast.Call, function: ast.FunctionDef) -> HotCall:
        """A file that each call of a function opens for a row of it, with what opens it once."""
        return replace(self._hot("opens-file", call, function), instead=self._kept(call, function))

    def _kept(self, call: ast.Call, function: ast.FunctionDef) -> Kept | None:
        path, *others = map(ast.unparse, (*call.args, *call.keywords))
        read = {one.id for other in (*call.args[1:], *call.keywords) for one in ast.walk(other) if _is_name(one)}
        name = next((name for name, one in _assigned(function) if one is call), "")
        around = [one for one in ast.walk(function) if isinstance(one, ast.With) and _opens_with(one, call)]
        if read & _bound(function) or any(len(one.items) > 1 for one in around):
            return None
        text, made = ast.unparse(call), f"{ast.unparse(call.func)}({', '.join(['path', *others])})"
        replaced = f"{name} = {text}" if name else text
        if around:
            # What closes the file at its end must go: it is kept.
            replaced = f"with {text}{f' as {name}' if name else ''}:, whose lines move out of it"
        in_memory = self._library(call) in {"numpy", "pandas"} or _last(self._name(call.func)).startswith("read")
        most, given = (_IN_MEMORY if in_memory else _OPEN), "path"
        used = f"{name} = opened({path})" if name else f"opened({path})"
        arrays = [one for one in _own_nodes(function) if _is_array_of(one, name, call)]
        if self._library(call) == "numpy" and arrays:
            # Of an archive, only what is indexed is read.
            if name and sum(_is_name(one) and one.id == name for one in ast.walk(function)) != len(arrays) + 1:
                return None
            made, given, every = f"{made}[array]", "path, array", dict.fromkeys(map(ast.unparse, arrays))
            used = ", ".join(f"opened({path}, {one[one.rindex('[') + 1 : -1]})" for one in every)
            replaced = f"{', '.join(every)}{f', without {replaced}' if name else ''}"
        opened = f"opened = functools.lru_cache(maxsize={most})(lambda {given}: {made})"
        return Kept(opened, used, replaced, most, "in memory" if in_memory else "open")

    def _hot(self, kind: HotKind, node: ast.AST, function: ast.FunctionDef) -> HotCall:
        library = self._library(node) if isinstance(node, ast.Call) else ""
        return HotCall(kind, ast.unparse(node), function.name, library, getattr(node, "lineno", function.lineno))


def _is_call(node: ast.AST) -> TypeGuard[ast.Call]:
    return isinstance(node, ast.Call)


def _assigned(function: ast.FunctionDef) -> Iterator[tuple[str, ast.Call]]:
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


def _parameters(function: ast.FunctionDef) -> list[str]:
    """The names of parameters that a call has to give."""
    given = [*function.args.posonlyargs, *function.args.args]
    needed = given[: len(given) - len(function.args.defaults)]
    return [one.arg for one in needed][1 if function.name == _INIT else 0 :]


def _bound(function: ast.FunctionDef) -> set[str]:
    given = function.args
    names = {one.arg for one in (*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg) if one}
    return names | {
        node.id for node in ast.walk(function) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }


def _is_generator(function: ast.FunctionDef) -> bool:
    return any(isinstance(node, ast.Yield | ast.YieldFrom) for node in _own_nodes(function))


def _covers(node: ast.AST, line: int) -> bool:
    first = getattr(node, "lineno", None)
    return first is not None and first <= line <= (getattr(node, "end_lineno", None) or first)


def _own_nodes(function: ast.FunctionDef) -> Iterator[ast.AST]:
    """The nodes of a function's body, outer ones first, without those of functions inside it."""
    todo: list[ast.AST] = [*function.body]
    while todo:
        node = todo.pop(0)
        yield node
        if not isinstance(node, _FUNCTIONS):
            todo += ast.iter_child_nodes(node)
