"""The functions that ``ops:`` may call: an allowlist of public TensorFlow functions with their parameters.

They stand in ``signatures.json``, one line for each: its name and its signature as TensorFlow has it. None of them
writes files, opens sockets or runs Python; a test traces every one and looks.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass

from pipeprof.pipelines.tables import read_table

# Functions whose first parameter takes a list of tensors: several inputs go there together.
TAKES_LIST = frozenset(
    {
        "tf.add_n", "tf.clip_by_global_norm", "tf.concat", "tf.identity_n", "tf.linalg.global_norm",
        "tf.math.accumulate_n", "tf.math.add_n", "tf.ragged.cross", "tf.ragged.cross_hashed", "tf.ragged.stack",
        "tf.shape_n", "tf.sparse.cross", "tf.sparse.cross_hashed", "tf.stack", "tf.strings.join",
    }
)  # fmt: skip
# Functions that take any number of positional arguments; here they stand in a list of that name.
STARRED = {"tf.einsum": "inputs", "tf.meshgrid": "args"}
# Functions that make a tensor from their arguments alone: the element only ever stands for the first parameter.
MAKES_TENSOR = frozenset(
    {
        "tf.constant", "tf.convert_to_tensor", "tf.eye", "tf.fill", "tf.linspace", "tf.ones", "tf.range", "tf.zeros",
        "tf.random.gamma", "tf.random.normal", "tf.random.poisson", "tf.random.truncated_normal", "tf.random.uniform",
        "tf.linalg.eye", "tf.math.sobol_sample", "tf.ragged.constant", "tf.random.stateless_binomial",
        "tf.random.stateless_gamma", "tf.random.stateless_normal", "tf.random.stateless_parameterized_truncated_normal",
        "tf.random.stateless_poisson", "tf.random.stateless_truncated_normal", "tf.random.stateless_uniform",
        "tf.signal.hamming_window", "tf.signal.hann_window", "tf.signal.kaiser_bessel_derived_window",
        "tf.signal.kaiser_window", "tf.signal.vorbis_window", "tf.sparse.eye",
    }
)  # fmt: skip
DTYPE_PARAMETERS = frozenset({"dtype", "out_type", "output_type", "type", "index_type", "row_splits_dtype", "out_idx"})
FEATURE_PARAMETERS = frozenset({"features", "context_features", "sequence_features"})

_WRITES = "it writes files or communicates with other processes"
_PYTHON = "it runs Python: write the function in a file and use `python: file.py:function`"
_REFUSED = {
    "tf.py_func": _PYTHON, "tf.compat.v1.py_func": _PYTHON, "tf.io.write_file": _WRITES,
    "tf.io.write_graph": _WRITES, "tf.print": _WRITES, "tf.while_loop": _PYTHON, "tf.function": _PYTHON,
    "tf.case": "write `tf.switch_case` or `tf.cond`", "tf.foldl": _PYTHON, "tf.foldr": _PYTHON, "tf.scan": _PYTHON,
    "tf.sparse.map_values": _PYTHON,
}  # fmt: skip
_REFUSED_PREFIXES = {
    "tf.summary.": _WRITES,
    "tf.io.gfile.": _WRITES,
    "tf.saved_model.": _WRITES,
    "tf.train.": _WRITES,
    "tf.debugging.": _WRITES,
    "tf.distribute.": _WRITES,
    "tf.data.": "it creates a dataset: sources and stages belong under `source:` and `stages:`",
    "tf.raw_ops.": "raw ops are not checked; use the public function",
    "tf.keras.": "only preprocessing layers are; wrap others in a function, `python: file.py:function`",
}


@dataclass(frozen=True)
class Parameter:
    """A parameter of a function; ``default`` is its repr, None when the parameter is required."""

    name: str
    default: str | None

    @property
    def required(self) -> bool:
        """Whether the function cannot be called without it."""
        return self.default is None


@dataclass(frozen=True)
class Function:
    """A function of the allowlist."""

    name: str
    parameters: tuple[Parameter, ...]

    @property
    def takes_list(self) -> bool:
        """Whether several inputs go into one parameter together."""
        return self.name in TAKES_LIST or self.name in STARRED

    @property
    def makes_tensor(self) -> bool:
        """Whether the element is an input only when the first parameter is left out."""
        return self.name in MAKES_TENSOR

    def names(self) -> list[str]:
        """Names of the parameters, in order."""
        return [parameter.name for parameter in self.parameters]

    def inputs(self, given: set[str], count: int) -> list[str] | None:
        """The parameters that ``count`` inputs go to, when ``given`` are given by name; None when there is no room."""
        if self.takes_list and (count > 1 or (count and self.name in STARRED)):
            together = STARRED.get(self.name, self.parameters[0].name)
            return [together] * count if together not in given else None
        free = [name for name in self.names() if name not in given and name != "name"]
        return free[:count] if len(free) >= count else None


def split_signature(text: str) -> list[str]:
    """The parameters of a signature's text: split at the commas that stand outside brackets and quotes.

    Example:
        >>> split_signature("x, axis=(0, 1), sep=','")
        ['x', 'axis=(0, 1)', "sep=','"]
    """
    parts, depth, quote, current = [], 0, "", ""
    for letter in text:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        elif letter in "([{":
            depth += 1
        elif letter in ")]}":
            depth -= 1
        if letter == "," and depth == 0 and not quote:
            parts.append(current.strip())
            current = ""
        else:
            current += letter
    return [*parts, current.strip()] if current.strip() else parts


@functools.cache
def table() -> Mapping[str, str]:
    """All rows: name of the function to the text of its signature."""
    rows: dict[str, str] = read_table("pipeprof.pipelines.build", "signatures")
    return rows


@functools.cache
def function(name: str) -> Function | None:
    """The function of this name, or None when it is not in the allowlist."""
    text = table().get(name)
    if text is None:
        return None
    pairs = [part.partition("=") for part in split_signature(text)]
    return Function(name, tuple(Parameter(key, default if equals else None) for key, equals, default in pairs))


def refusal(name: str) -> str | None:
    """Why a function is left out on purpose; None when it simply is not there."""
    if name in _REFUSED:
        return _REFUSED[name]
    return next((reason for prefix, reason in _REFUSED_PREFIXES.items() if name.startswith(prefix)), None)
