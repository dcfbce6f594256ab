"""What other libraries keep to themselves is not used: it may change with any version."""

import ast
from collections.abc import Iterator

from source_trees import nodes, sources

# Python's own, documented in spite of the underscore.
DOCUMENTED = {"os._exit", "sys._current_frames"}
NAMED_TUPLES = {"_fields", "_replace", "_asdict"}
OWN = {"self", "cls", "super()"}
ASKING = {"getattr", "hasattr", "setattr", "delattr"}


def is_private(name: str) -> bool:
    return name.startswith("_") and not (name.startswith("__") and name.endswith("__"))


def private_uses(source: str) -> Iterator[str]:
    """Attributes with a leading underscore of anything but the object itself, and modules that are private."""
    for node in nodes(source):
        match node:
            case ast.Attribute(value=value, attr=name) if is_private(name):
                text = ast.unparse(node)
                if ast.unparse(value) not in OWN and name not in NAMED_TUPLES and text not in DOCUMENTED:
                    yield f"{node.lineno}: {text}"
            case ast.Call(func=ast.Name(id=asked), args=[_, ast.Constant(value=str(name)), *_]) if asked in ASKING:
                if is_private(name) and name not in NAMED_TUPLES:
                    yield f"{node.lineno}: {ast.unparse(node)}"
            case ast.Import(names=names):
                yield from (f"{node.lineno}: {one.name}" for one in names if is_inside(one.name))
            case ast.ImportFrom(module=str(module), names=names, level=0):
                if is_inside(module):
                    yield f"{node.lineno}: {module}"
                if not module.startswith("pipeprof"):
                    yield from (f"{node.lineno}: {module}.{one.name}" for one in names if is_private(one.name))


def is_inside(module: str) -> bool:
    """Whether a module is a part of TensorFlow that is not its API, or private by its name."""
    return module.startswith("tensorflow.python") or any(
        is_private(part) for part in module.split(".") if not module.startswith("pipeprof")
    )


def test_nothing_private_of_other_libraries_is_used() -> None:
    assert [f"{path}:{use}" for path, text in sources().items() for use in private_uses(text)] == []


def test_the_check_sees_what_it_is_for() -> None:
    for source in (
        "dataset._functions()",
        "self.dataset._inputs()",
        "getattr(held, '_dataset', held)",
        "from tensorflow.python.data.ops import dataset_ops",
        "import tensorflow.python.eager.context as context",
        "from rich._wrap import divide_line",
        "from numpy import _core",
    ):
        assert list(private_uses(source)), source
    for source in ("self._seen", "super()._line()", "os._exit(0)", "value._fields", "type(value).__name__", "_own(3)"):
        assert list(private_uses(source)) == []
