"""The changes of a search in the text of a Python function, checked: both give the same graph."""

from __future__ import annotations

import ast
import hashlib
import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeprof.pipelines.edits.edits import PipelineEdit, SetEnvironment, to_document
from pipeprof.pipelines.edits.plan import apply_call
from pipeprof.pipelines.from_python.compare import differences
from pipeprof.pipelines.ops.traits import SOURCES, STAGES
from pipeprof.pipelines.spec.edits.apply_files import unified
from pipeprof.pipelines.static.edit.apply import apply_to_source
from pipeprof.pipelines.static.edit.chain import OPTIONS, returns_of
from pipeprof.pipelines.static.edit.errors import CannotEditSourceError
from pipeprof.pipelines.static.written_calls import parsed
from pipeprof.pipelines.target.target import ParsedTarget
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.harness.describe_function import ask_for_graph
from pipeprof.profiles.protocol.source import GraphJob, unpacked

MOST_DIFFS = 3
"""Changes of a run that get a diff, the first ones: each takes two processes, some seconds."""
DIFF_SECONDS = 15.0
"""Time that a run has to have left for the check of a diff."""


@dataclass(frozen=True)
class EditedSource:
    """The text of a file with the changes."""

    text: str | None
    reason: str = ""


def in_text(text: str, function: str, stages: Iterable[Stage], steps: Sequence[Sequence[PipelineEdit]]) -> str:
    """Return a file's text with steps of edits of a function; variables of the environment have no place in it.

    Raises:
        CannotEditSourceError: The text does not show where an edit belongs.
    """
    written = [stage for stage in stages if stage.origin == "written"]
    made = Counter(map(_call, written))
    # One call may have made a stage of another name, with what is inside of it.
    names = {one.id: _call(one)[2] if made[_call(one)] == 1 else one.op for one in written}
    return apply_to_source(text, function, names, _of_pipeline(steps))


def _call(stage: Stage) -> tuple[str, str, str]:
    """The call that has made a stage: the line of stages it stands in, its place in the text, and its name."""
    name = stage.location.call if stage.location is not None else None
    return stage.id.rpartition(".")[0], str(stage.location), name if name in STAGES else stage.op


def _of_pipeline(steps: Sequence[Sequence[PipelineEdit]]) -> list[list[PipelineEdit]]:
    shown = [[edit for edit in step if not isinstance(edit, SetEnvironment)] for step in steps]
    if not any(shown):
        raise CannotEditSourceError("the changes are those of the environment alone")
    return [step for step in shown if step]


def edited_source(
    target: ParsedTarget, text: str, stages: Iterable[Stage], steps: Sequence[Sequence[PipelineEdit]]
) -> EditedSource:
    """Make steps of edits in a function's text, and compare with its edited graph."""
    try:
        after, shown = in_text(text, target.function or "", stages, steps), _of_pipeline(steps)
    except CannotEditSourceError as error:
        return EditedSource(None, str(error))
    job = GraphJob(str(target), list(target.arguments), str(target.path.resolve()))
    asked = [
        GraphJob(**{**vars(job), "steps": [[json.dumps(to_document(edit)) for edit in step] for step in shown]}),
        GraphJob(**{**vars(job), "text": after}),
    ]
    answers = list(map(ask_for_graph, asked))
    failure = next((answer.failure for answer in answers if answer.failure is not None), None)
    if failure is not None:
        return EditedSource(None, f"the edited text could not be checked: {failure}")
    planned, written = answers
    same = not differences(unpacked(planned.graph or ""), unpacked(written.graph or ""))
    if not same or planned.element != written.element:
        return EditedSource(None, "the edited text gives another graph than the plan")
    return EditedSource(after)


def text_as_measured(path: Path, sha256: str | None) -> str:
    """Return the text of a target's file, to which a diff may be made.

    Args:
        sha256: Of the file when it was measured.

    Raises:
        CannotEditSourceError: It was edited since, cannot be read, or is not written in UTF-8.
    """
    try:
        content = path.read_bytes()
    except OSError:
        content = b""
    if hashlib.sha256(content).hexdigest() != sha256:
        raise CannotEditSourceError(f"{path} was edited while it was measured")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise CannotEditSourceError(f"{path} is not written in UTF-8, which a diff is") from None


def add_diffs(
    profile: Profile, target: ParsedTarget, begin: Callable[[str], object], end_at: float | None = None
) -> None:
    """Give the proven changes of a function their diffs, where its text can have them.

    Args:
        begin: Is called before each diff is checked, with what is done in a few words.
        end_at: When the time of the whole command is over, in seconds of `time.monotonic`; None for never.
    """
    kept = [one for one in profile.findings or () if one.status == "kept" and one.is_known]
    kept = [one for one in kept if not any(isinstance(edit, SetEnvironment) for edit in one.edits)]
    if not kept or target.kind != "function":
        return
    try:
        before = text_as_measured(target.path, profile.target.sha256)
    except CannotEditSourceError:
        return
    for finding in kept[:MOST_DIFFS]:
        if end_at is not None and time.monotonic() + DIFF_SECONDS > end_at:
            return
        begin(f"checking the diff: {finding.title}")
        after = edited_source(target, before, profile.stages or (), [finding.edits]).text
        if after is not None:
            finding.diff = unified(before, after, str(target.path))


def with_plan(text: str, function: str, plan: str, data: str | None = None) -> str | None:
    r"""Return the text with the plan applied in the function's ``return``.

    Args:
        plan: Path of the plan, as the function is to open it.
        data: Folder of converted data that the plan reads; None where it reads none.

    Returns:
        None where this is not simply one line: several returns, or more than a dataset returned.

    Example:
        >>> print(with_plan("def make():\n    return dataset()\n", "make", "fast.plan.json"), end="")
        def make():
            import pipeprof
        <BLANKLINE>
            return pipeprof.apply(dataset(), "fast.plan.json")
    """
    last = _only_return(text, function)
    value = last.value if last is not None else None
    if last is None or value is None or isinstance(value, ast.Tuple | ast.List | ast.Dict | ast.Starred):
        return None
    # As Python counts them: a form feed ends none.
    lines = [f"{line}\n" for line in text.split("\n")]
    source = ast.get_source_segment(text, value)
    if source is None or last.end_lineno != value.end_lineno or text.count("\r"):
        return None
    first = lines[last.lineno - 1].encode()
    indent = first[: last.col_offset].decode()
    if indent.strip() or value.lineno != last.lineno:
        # Something else stands on the line, or the value is in brackets of its own.
        return None
    tail = lines[(last.end_lineno or last.lineno) - 1].encode()[last.end_col_offset or 0 :].decode()
    new = f"{indent}import pipeprof\n\n{indent}return {apply_call(source, plan, data)}{tail}"
    return "".join([*lines[: last.lineno - 1], new, *lines[last.end_lineno or last.lineno :]])[:-1]


def _only_return(text: str, function: str) -> ast.Return | None:
    """The ``return`` at the end of a function, if it is the only one."""
    tree = parsed(text)
    body = tree.body if tree is not None else []
    found = [node for node in body if isinstance(node, ast.FunctionDef) and node.name == function]
    returns = list(returns_of(found[0])) if len(found) == 1 else []
    return returns[0] if len(returns) == 1 and returns[0] is found[0].body[-1] else None


_ACTS = frozenset({
    "fit", "train", "evaluate", "predict", "save", "savez", "savetxt", "write", "remove", "delete", "unlink", "rename",
    "replace", "mkdir", "makedirs", "rmdir", "rmtree", "touch", "dump", "tofile", "memmap", "system", "run", "call",
    "reduce", "apply", "numpy",
})  # fmt: skip
"""Words in names of calls that do something, or take batches; `apply` calls a function that is not looked at."""
_OPS = (SOURCES.keys() | STAGES.keys() | {OPTIONS}) - {"apply"}
_PLAIN = frozenset(["Path", "bool", "dict", "float", "int", "len", "partial", "range", "slice", "str"])
"""Functions that take no batch of a dataset that is their argument."""
_LIBRARIES = (
    *("tf.data", "tensorflow.data", "tf.io.gfile.glob", "tf.random", "tf.strings", "os.path", "os.environ.get"),
    *("os.cpu_count", "glob.glob", "np", "numpy", "math"),
    *(f"tf.{name}" for name in ("TensorSpec", "cast", "constant", "convert_to_tensor", "ones", "range", "zeros")),
)
_LOOPS = (ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith)
_OTHERS = (
    *(ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp, ast.Await, ast.Yield, ast.YieldFrom, ast.NamedExpr),
    ast.Starred,
)
"""Expressions that iterate, or do more than give a value."""
_Function = ast.FunctionDef


def function_of_script(text: str, file: str, stages: Iterable[Stage]) -> str:
    r"""Return the function of a script whose lines make all stages of its dataset.

    The function is called to check an edited text. So the file has to be made for imports, with
    ``if __name__ == "__main__":``, and the function may have assignments, calls of a dataset's methods and a return.

    Raises:
        CannotEditSourceError: There is no such function, or it may do more.

    Example:
        >>> stage = Stage(id="source", op="range", location={"file": "train.py", "line": 2})
        >>> text = "def make():\n    return Dataset.range(3)\nif __name__ == '__main__':\n    fit(make())\n"
        >>> function_of_script(text, "train.py", [stage])
        'make'
    """
    try:
        body = ast.parse(text).body
    except (SyntaxError, ValueError) as error:
        raise CannotEditSourceError(f"{file} is not valid Python: {error}") from None
    places = [stage.location for stage in stages]
    lines = {place.line for place in places if place is not None and Path(place.file).name == file}
    functions = {node.name: node for node in body if isinstance(node, _Function)}
    makers = [
        node
        for node in functions.values()
        if lines and all(node.lineno <= line <= (node.end_lineno or 0) for line in lines)
    ]
    if not makers:
        raise CannotEditSourceError(f"no function of {file} makes the whole dataset")
    if not any(map(_is_guard, body)):
        raise CannotEditSourceError(f'{file} has no `if __name__ == "__main__":`, so to import it is to train')
    for node in body:
        if not isinstance(node, _Function | ast.ClassDef) and not _is_guard(node):
            _check_top(node, functions)
    _Reader(functions).check(makers[0])
    return makers[0].name


def _is_guard(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and "__main__" in ast.unparse(node.test)


def _check_top(node: ast.stmt, functions: Iterable[str]) -> None:
    """Refuse a statement that runs when the file is imported and may train or write."""
    for inner in ast.walk(node):
        calls = isinstance(inner, ast.Call) and (_acts(inner) or ast.unparse(inner.func) in functions)
        if calls or isinstance(inner, _LOOPS):
            raise CannotEditSourceError(f"line {node.lineno} runs when the file is imported")


def _acts(call: ast.Call) -> bool:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    return not _ACTS.isdisjoint(name.lower().split("_"))


class _Reader:
    """Looks at functions of a file, each once."""

    def __init__(self, functions: Mapping[str, _Function]) -> None:
        self._functions = functions
        self._checked: set[_Function] = set()

    def check(self, function: _Function) -> None:
        """Refuse a function that may do more than make and return something."""
        if function in self._checked:
            return
        self._checked.add(function)
        last = function.body[-1]
        if function.decorator_list:
            raise CannotEditSourceError(f"{function.name} is decorated")
        if not isinstance(last, ast.Return) or last.value is None:
            raise CannotEditSourceError(f"{function.name} does not end with the return of its dataset")
        own = {
            argument.arg for argument in (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)
        }
        inner = dict(self._functions)
        for statement in function.body:
            if isinstance(statement, _Function):
                inner[statement.name] = statement
            elif not isinstance(statement, ast.Import | ast.ImportFrom):
                for value in self._values(statement, function):
                    self._check_value(value, function, own, inner)
                own |= {
                    node.id
                    for node in ast.walk(statement)
                    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
                }

    def _values(self, statement: ast.stmt, function: _Function) -> Sequence[ast.expr]:
        """The expressions of a statement that only gives names values."""
        match statement:
            case ast.Expr(value=ast.Constant()) | ast.AnnAssign(value=None):
                return ()
            case ast.Assign(targets=targets, value=value):
                return (*targets, value)
            case ast.AnnAssign(target=target, value=ast.expr() as value) | ast.AugAssign(target=target, value=value):
                return target, value
            case ast.Return(value=ast.expr() as value) if statement is function.body[-1]:
                return (value,)
        raise _refused(statement, function)

    def _check_value(
        self, value: ast.expr, function: _Function, own: set[str], functions: Mapping[str, _Function]
    ) -> None:
        for node in _evaluated(value):
            if isinstance(node, _OTHERS):
                raise _refused(node, function)
            if not isinstance(node, ast.Call):
                continue
            called = node.func.id if isinstance(node.func, ast.Name) else None
            if called in functions:
                self.check(functions[called or ""])
            elif _acts(node) or not (called in _PLAIN or _is_known(node.func, own)):
                raise _refused(node, function)


def _evaluated(value: ast.AST) -> Iterator[ast.AST]:
    """The parts of an expression, without the bodies of functions in it: TensorFlow calls them on symbols."""
    yield value
    if not isinstance(value, ast.Lambda):
        for child in ast.iter_child_nodes(value):
            yield from _evaluated(child)


def _is_known(called: ast.expr, own: set[str]) -> bool:
    """Whether a call is one of a dataset's methods or of a library's function that makes a value."""
    name = ast.unparse(called)
    if any(name == known or name.startswith(f"{known}.") for known in _LIBRARIES):
        return True
    if not isinstance(called, ast.Attribute) or called.attr not in _OPS:
        return isinstance(called, ast.Name) and called.id in _OPS and called.id[:1].isupper()
    receiver = called.value
    if isinstance(receiver, ast.Name):
        return receiver.id in own or receiver.id.endswith("Dataset")
    return isinstance(receiver, ast.Call)


def _refused(node: ast.stmt | ast.expr, function: _Function) -> CannotEditSourceError:
    what = ast.unparse(node).partition("\n")[0]
    shown = what if len(what) <= 60 else f"{what[:59]}…"
    return CannotEditSourceError(
        f"{function.name} may do more than make the dataset, so it is not called: line {node.lineno}, `{shown}`"
    )
