"""The dataset that a worker measures: how it is made and changed, and what can be read of it without iterating it."""

from __future__ import annotations

import importlib.machinery
import inspect
import io
import json
import linecache
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from pipeprof.pipelines.changes.chain import CannotChangeError
from pipeprof.pipelines.changes.edits import known_edits
from pipeprof.pipelines.changes.recorded_calls import CallWatch, RecordedCalls
from pipeprof.pipelines.errors import PipeprofError, UsageError
from pipeprof.pipelines.graph.observe.build_watch import component_bytes, held_bytes
from pipeprof.pipelines.graph.observe.reading import ObservedGraphs, read_graphs, read_written, readable
from pipeprof.pipelines.graph.stages import StageGraph
from pipeprof.pipelines.meaning.traits import traits
from pipeprof.pipelines.steps.called import fitted
from pipeprof.pipelines.tables import read_table
from pipeprof.pipelines.target.arguments import call
from pipeprof.pipelines.target.modules import top_folder
from pipeprof.pipelines.target.names_in_file import calls_at_import, parse_file
from pipeprof.pipelines.target.running import delete_generated_files, leave_defaults, load_function
from pipeprof.pipelines.target.target import ParsedTarget, parse_target
from pipeprof.pipelines.target.user_files import is_users
from pipeprof.profiles.host import procfs
from pipeprof.profiles.protocol.options import SERVICE, Options, RefPlace, from_pairs
from pipeprof.profiles.protocol.wrapped import OLDEST, as_text, is_older

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeprof.pipelines.graph.read.records import GraphDict, MadeDict, PlaceDict
    from pipeprof.pipelines.meaning.traits import Traits


UNEXPLAINED_BYTES = 300_000_000
CONSTANT_COPIES = 6
"""Copies of a constant while the pipeline is built, the array included: up to five stay in the heap and in graphs."""


class Pipeline:
    """The dataset of a job, with what was seen while it was made.

    Attributes:
        watch: The calls that made the dataset; None where nobody has to know them.
        source_bytes: Bytes that sources and constants hold, which a graph would hold once more.
        fill_seconds: How long its first element took.
        swallows: Whether it hides errors, as far as its graph was read.
    """

    def __init__(self, job: Options) -> None:
        self._job = job
        self._spec: Any = None
        self._context: Any = None
        self.dataset: Any = None
        self.called: Called | None = None
        self.watch: CallWatch | None = None
        self.made: list[MadeDict] = []
        self.source_bytes = 0
        self.fill_seconds = 0.0
        self.swallows = False
        self.service: str | None = None

    def load_data(self) -> None:
        """Load the arrays of a spec."""
        from pipeprof.pipelines.build.arrays import BuildContext
        from pipeprof.pipelines.build.dataset import load_arrays

        job = self._job
        self._spec = from_pairs(job.data)
        self._context = BuildContext(
            base_dir=Path(job.base_dir or "."),
            data_dirs={name: Path(folder) for name, folder in job.data_dirs.items()},
            seed=job.seed,
            service=self.service,
        )
        load_arrays(self._spec, self._context)

    def build(self, watched_from: int) -> CallWatch:
        """Make the dataset; return the calls that made it.

        Args:
            watched_from: Bytes of a spec's arrays from which the calls are kept.
        """
        if self._job.kind != "spec":
            self.called = call_target(str(self._job.target), self._arguments())
            self.dataset, self.watch = self.called.dataset, self.called.watch
            self.made = self.watch.made
            return self.watch
        from pipeprof.pipelines.build.dataset import build
        from pipeprof.pipelines.spec.operations import placed

        # A dataset that cannot be serialised is known only from observations of its build; a function of the user's
        # may use an array.
        rows = [traits(step.op) for step in placed(self._spec)]
        seen = any(row.remote or row.swallows for row in rows)
        watched = self.array_bytes() > watched_from or len(self._job.user_files) > 1 or seen
        watch = CallWatch()
        with watch:
            self.dataset = build(self._spec, self._context)
        self.watch = watch if watched else None
        return watch

    def _arguments(self) -> list[tuple[str, str]]:
        arguments = self._job.target.arguments
        if self.service is None:
            return list(arguments)
        return [(name, value.replace(SERVICE, self.service)) for name, value in arguments]

    def weigh(self, grown: int) -> None:
        """Tell what sources and constants hold, after a build in which the process grew by so many bytes."""
        arrays = self.array_bytes() or held_bytes(self.made)
        inside = self.watch.lines.held_bytes(self.dataset) if self.watch is not None else 0
        # Known arrays explain their own bytes, their tensors and a temporary copy, constants their copies in graphs;
        # other growth may be constants that were not observed.
        explained = 3.5 * arrays + CONSTANT_COPIES * inside + UNEXPLAINED_BYTES
        self.source_bytes = arrays + inside if grown < explained else max(grown, arrays + inside)

    def array_bytes(self) -> int:
        """Return the bytes of a spec's arrays."""
        return sum(nbytes for _, nbytes in self._context.held()) if self._context is not None else 0

    def components(self) -> list[tuple[str, int]]:
        """Return type and bytes of the arrays that in-memory sources and constants of graphs were made of."""
        constants = self.watch.lines.constants if self.watch is not None else []
        return [
            *(self._context.held() if self._context is not None else ()),
            *component_bytes(self.made),
            *((constant.dtype, constant.nbytes) for constant in constants),
        ]

    def edit(self, steps: Sequence[Sequence[str]], ops: Mapping[str, str] | None = None) -> None:
        """Make steps of changes by calling tf.data again as the user's code did.

        Raises:
            CannotChangeError: A change is not possible on this pipeline.
        """
        from pipeprof.pipelines.changes.in_calls import apply_changes

        parsed = [known_edits(map(json.loads, step)) for step in steps]
        with self.recording() as calls:
            self.dataset = apply_changes(self.dataset, parsed, calls, self.builder(), ops=ops)

    def datasets_before(self, picks: Callable[[Traits], bool]) -> list[Any]:
        """Make the datasets before each call that is picked."""
        from pipeprof.pipelines.changes.replay import datasets_before

        with self.recording() as calls:
            return datasets_before(self.dataset, picks, calls, self.builder())

    @contextmanager
    def recording(self) -> Iterator[RecordedCalls]:
        """Record the calls of the body, beside those that made the dataset."""
        if self.watch is None:
            raise CannotChangeError(None, "how the dataset was made was not seen")
        with self.watch:
            yield self.watch.calls

    def builder(self) -> Any:
        """Return what makes new stages."""
        import tensorflow as tf

        from pipeprof.pipelines.build.arrays import BuildContext
        from pipeprof.pipelines.build.dataset import Builder

        return Builder(tf, self._context or BuildContext(Path(), seed=self._job.seed, service=self.service))

    def room(self) -> int | None:
        """Return the bytes that are left to the limit of memory; None without one."""
        limit = self._job.memory_limit
        return limit - (procfs.rss_bytes("self") or 0) if limit is not None else None

    def graphs(self) -> ObservedGraphs:
        """Read the graph as written and as executed."""
        found = read_graphs(self.dataset, in_memory=self.source_bytes, room=self.room(), watch=self.watch)
        self.swallows = any(node.traits.swallows for node in StageGraph.from_dict(found.written).nodes.values())
        return found

    def written_graph(self) -> GraphDict | None:
        """Return the graph as written, to find the stage of a failure; `None` if it cannot be read."""
        if self.dataset is None:
            return None
        room = self.room()
        dataset, left = readable(self.dataset, in_memory=self.source_bytes, room=room, watch=self.watch)
        return read_written(dataset, in_memory=left, room=room)

    def place_of(self, identity: str) -> PlaceDict | None:
        """Return the place where the user's function created a node of the graph as written; `None` if unknown."""
        written = self.written_graph()
        if self.called is None or written is None:
            return None
        return self.called.watch.lines.places(self.dataset, written).get(identity)


_EXPECTED = "expected a tf.data.Dataset, or a dataset and a step"
_CONTEXT = "input-context"
_GENERATOR = "wrap it with tf.data.Dataset.from_generator(function, output_signature=…)"


def describe_returned(result: Any) -> str:
    """Complete the sentence that begins with ``file.py:function returned``.

    Example:
        >>> describe_returned(None)
        'None; expected a tf.data.Dataset, or a dataset and a step: does it lack a return?'
    """
    if result is None:
        return f"None; {_EXPECTED}: does it lack a return?"
    if inspect.isgenerator(result):
        return f"a generator; {_GENERATOR}"
    values = result.values() if isinstance(result, Mapping) else result if isinstance(result, list | tuple) else ()
    datasets, help_ = sum(map(_is_dataset, values)), _EXPECTED
    if datasets == 1:
        help_ = "return the dataset alone, or with a callable step after it"
    elif datasets:
        help_ = "pipeprof measures one pipeline: return one of them, e.g. chosen with --arg"
    return _advice_by_class(result) or f"{_a(_kind(result))}; {help_}"


def _advice_by_class(result: Any) -> str | None:
    bases = [(base.__name__, f"{base.__module__}.") for base in type(result).__mro__]
    # Module prefix, name of a base class, advice; the first match is used.
    for module, name, what, help_ in read_table("pipeprof.profiles.worker", "returned"):
        keras = name in ("PyDataset", "Sequence")
        if any(name == base and at.startswith(module) and (not keras or "keras" in at) for base, at in bases):
            return f"{what}; {help_}"
    return None


def _is_dataset(value: Any) -> bool:
    return any(base.__name__ == "DatasetV2" for base in type(value).__mro__)


def _kind(value: Any) -> str:
    """Name the class with its package, because many packages have a `Dataset` or a `Tensor`."""
    kind = type(value)
    package = kind.__module__.partition(".")[0]
    if _is_dataset(value):
        return "Dataset"
    if value is None:
        return "None"
    return kind.__name__ if package in ("builtins", "__main__") else f"{package}.{kind.__name__}"


def _a(word: str) -> str:
    return f"an {word}" if word[:1] in "aeiouAEIOU" else f"a {word}"


# Settings that cannot change after TensorFlow's first op.
_BEFORE_ALL = frozenset(
    {
        "set_intra_op_parallelism_threads",
        "set_inter_op_parallelism_threads",
        "set_visible_devices",
        "set_memory_growth",
        "set_logical_device_configuration",
        "set_virtual_device_configuration",
        "set_soft_device_placement",
    }
)


class NotADatasetError(UsageError):
    """The target's function returned something that is not a `tf.data.Dataset`."""


@dataclass(frozen=True)
class Called:
    """Result of calling the target's function: a dataset, and a step if one came with it."""

    dataset: Any
    watch: CallWatch
    step: Callable[..., Any] | None = None
    notes: tuple[tuple[str, str], ...] = ()


def look_like_a_script(file: str) -> None:
    """Set ``sys.argv`` as for a script without options."""
    sys.argv[:] = [file]


def call_target(text: str, arguments: Iterable[Iterable[str]] = ()) -> Called:
    """Import and call the function `text` names, e.g. ``input.py:train``.

    Args:
        arguments: Pairs of a name and the text of its value.

    Raises:
        NotADatasetError: It returned something else.
        UsageError: The arguments do not fit.
    """
    import tensorflow as tf

    target = replace(parse_target(text), arguments=tuple((name, value) for name, value in arguments))
    notes: list[tuple[str, str]] = []

    def context() -> Any:
        notes.append((_CONTEXT, f"{text} received tf.distribute.InputContext(1, 0, 1): all data on one worker."))
        return tf.distribute.InputContext(1, 0, 1)

    with CallWatch(_own_file_test(target)) as watch:
        function = load_function(target)
        _need_eager(text)
        notes += _unparsed_flags(text)
        result = call(function, target, context)
    _need_eager(text)
    if watch.note is not None:
        notes.append(("no-lines", f"{text}: {watch.note}."))
    dataset, step = result, None
    if isinstance(result, tuple) and len(result) == 2 and not isinstance(result[1], tf.data.Dataset):
        dataset, step = result if callable(result[1]) else (result, None)
    if not isinstance(dataset, tf.data.Dataset):
        raise NotADatasetError(f"{text} returned {describe_returned(result)}")
    if step is not None:
        step = fitted(step, dataset.element_spec, f"the step that {text} returned")
    return Called(dataset, watch, step, tuple(notes))


def _need_eager(text: str) -> None:
    import tensorflow as tf

    if not tf.executing_eagerly():
        raise UsageError(
            f"{text} switches eager execution off, e.g. by tf.compat.v1.disable_v2_behavior(), and without it no "
            "dataset can be iterated here; leave that out of the file"
        )


def _unparsed_flags(text: str) -> list[tuple[str, str]]:
    names = leave_defaults()
    if not names:
        return []
    return [("flags", f"{text} is not run as a script: the flags {', '.join(names)} have their defaults.")]


def import_early(text: str) -> list[tuple[str, str]]:
    """Import the target's file before TensorFlow's first op, if a setting in it must precede that; return warnings."""
    target = parse_target(text)
    found = next((name for name in calls_at_import(parse_file(target.path)) if name in _BEFORE_ALL), None)
    if found is None:
        return []
    load_function(target)
    said = (
        f"{text} calls {found}, which TensorFlow allows only before it runs anything: the file was imported first, "
        "so its memory counts as TensorFlow's baseline."
    )
    return [("imported-early", said)]


def _own_file_test(target: ParsedTarget) -> Callable[[str], bool]:
    """Return a test for the user's own files; those of the target's package count even where it is installed."""
    if is_users(str(target.path)):
        return is_users
    package = top_folder(target.module, target.path) if target.module is not None else target.path.resolve()

    def own(file: str) -> bool:
        place = Path(file)
        return is_users(file) or place == package or package in place.parents

    return own


class NoTensorFlowError(PipeprofError):
    """TensorFlow is not installed for this Python, or its installation is broken."""


def import_tensorflow() -> Any:
    """TensorFlow, in a version that will do; from now on, files that AutoGraph generates are deleted.

    Raises:
        NoTensorFlowError: It cannot be imported.
        UsageError: It is too old.
    """
    try:
        import tensorflow as tf
    except ImportError as error:
        install = f"{sys.executable} -m pip install 'tensorflow>={as_text(OLDEST)}'"
        if isinstance(error, ModuleNotFoundError) and error.name == "tensorflow":
            msg = f"TensorFlow is not installed for {sys.executable}: {install}"
        else:
            msg = f"TensorFlow cannot be imported ({' '.join(str(error).split())}): repair it, e.g. {install}"
        raise NoTensorFlowError(msg) from error
    require_tensorflow(tf.__version__)
    delete_generated_files()
    return tf


def require_tensorflow(version: str) -> None:
    """Raise a `UsageError` for a TensorFlow older than the oldest that is supported."""
    if not is_older(version):
        return
    needed = as_text(OLDEST)
    msg = f"TensorFlow {version} is installed; pipeprof needs {needed} or newer: pip install 'tensorflow>={needed}'"
    raise UsageError(msg)


def enter_ref(place: RefPlace) -> None:
    """Take the place in the tree of the current folder and of the modules of the work tree."""
    os.chdir(place.folder)
    sys.meta_path.insert(0, _Finder(place))


class _Finder(MetaPathFinder):
    """Finds the ref's file of a module that Python finds in the work tree: by PYTHONPATH or an editable install."""

    def __init__(self, place: RefPlace) -> None:
        self._tree, self._work_tree = Path(place.tree), Path(place.work_tree)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """See `MetaPathFinder`."""
        for finder in sys.meta_path:
            search = getattr(finder, "find_spec", None)
            found = search(fullname, path, target) if finder is not self and search is not None else None
            if found is not None:
                return self._at_ref(found)
        return None

    def _at_ref(self, found: ModuleSpec) -> ModuleSpec | None:
        own = Path(found.origin).resolve() if found.has_location and found.origin is not None else None
        if own is None or not own.is_relative_to(self._work_tree):
            return found
        file = self._tree / own.relative_to(self._work_tree)
        # What git does not track, such as an environment in the work tree, is linked or not there.
        if not file.is_file() or not file.resolve().is_relative_to(self._tree):
            return found
        within = [str(file.parent)] if found.submodule_search_locations is not None else None
        return spec_from_file_location(found.name, file, submodule_search_locations=within)


def read_instead(texts: Mapping[str, str]) -> None:
    """Import or run files with other texts in this process, by the files' absolute paths."""
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
