"""Feature specs of the functions that parse tf.train.Example records, by TensorFlow's own names."""

from dataclasses import dataclass
from typing import Annotated, Any

from pipeprof.pipelines.ops.checked import Checked
from pipeprof.pipelines.ops.model import SCHEMA_PLACEHOLDER, Closed, argument
from pipeprof.pipelines.ops.problems import Problems, mismatch, unknown
from pipeprof.pipelines.ops.values.structures import Constant, Place
from pipeprof.pipelines.ops.values.values import Dtype, FilledText, Flag, Integers, Shape, dtype_among

_DTYPES = ("float32", "int64", "string")
FeatureDtype = Annotated[
    str,
    Checked(
        dtype_among(_DTYPES, "a dtype that a record can hold: float32, int64 or string"),
        {"enum": [*_DTYPES, *(f"tf.{name}" for name in _DTYPES)]},
    ),
]
_EXAMPLE = "FixedLenFeature: {shape: [], dtype: string}"


class FixedLenFeature(Closed):
    """A feature with the same number of values in every record."""

    shape: Shape = argument("Shape of the values.")
    dtype: FeatureDtype = argument("float32, int64 or string.")
    default_value: Constant = argument("Default for records without the feature.", default=None)


class VarLenFeature(Closed):
    """A feature with any number of values; parsed to a sparse tensor."""

    dtype: FeatureDtype = argument("float32, int64 or string.")


class FixedLenSequenceFeature(Closed):
    """A sequence of values of one shape; parsed to a dense tensor."""

    shape: Shape = argument("Shape of each item of the sequence.")
    dtype: FeatureDtype = argument("float32, int64 or string.")
    allow_missing: Flag = argument("Whether the feature may be missing.", default=False)
    default_value: Constant = argument("Padding value.", default=None)


class RaggedFeature(Closed):
    """A feature with any number of values; parsed to a ragged tensor."""

    dtype: FeatureDtype = argument("float32, int64 or string.")
    value_key: FilledText | None = argument("Name in the record; default: the feature's name.", default=None)
    row_splits_dtype: Dtype = argument("dtype of the row splits.", default="int32")
    validate_: Flag = argument("Whether the partitions are checked.", default=False, alias="validate")

    @classmethod
    def keys(cls) -> list[str]:
        """Names as they are written."""
        return ["dtype", "value_key", "row_splits_dtype", "validate"]


class SparseFeature(Closed):
    """Indices in one feature and values in another; parsed to a sparse tensor."""

    index_key: FilledText = argument("Name of the feature that holds the indices.")
    value_key: FilledText = argument("Name of the feature that holds the values.")
    dtype: FeatureDtype = argument("float32, int64 or string.")
    size: Integers = argument("The dense size, as a list.")
    already_sorted: Flag = argument("Whether the indices are sorted in every record.", default=False)


KINDS: dict[str, type[Closed]] = {
    kind.__name__: kind
    for kind in (FixedLenFeature, VarLenFeature, FixedLenSequenceFeature, RaggedFeature, SparseFeature)
}


@dataclass(frozen=True)
class FeatureSpec:
    """One feature: the name of TensorFlow's class and what it is made with."""

    kind: str
    arguments: dict[str, Any]


def _feature(value: Any, place: Place, problems: Problems) -> FeatureSpec | None:
    if not isinstance(value, dict) or len(value) != 1:
        problems.add(place, mismatch(value, "feature", f"a mapping with exactly one key such as `{_EXAMPLE}`"), value)
        return None
    kind, arguments = next(iter(value.items()))
    if kind not in KINDS:
        problems.add((*place, str(kind)), unknown("feature", kind, KINDS), value)
        return None
    model = problems.read(KINDS[kind].model_validate, arguments, *place, kind)
    if model is None:
        return None
    return FeatureSpec(kind, {name.rstrip("_"): getattr(model, name) for name in sorted(model.model_fields_set)})


def parse_features(value: Any) -> dict[str, FeatureSpec | None]:
    """Feature specs by the name of the feature."""
    if not isinstance(value, dict) or not value:
        raise mismatch(value, "features", f"a mapping of names to features such as `image: {{{_EXAMPLE}}}`")
    problems = Problems()
    parsed = {name: _feature(inner, (str(name),), problems) for name, inner in value.items()}
    problems.raise_if_any()
    return parsed


Features = Annotated[
    dict[str, Any],
    Checked(
        parse_features, {"type": "object", "minProperties": 1, "additionalProperties": {SCHEMA_PLACEHOLDER: "feature"}}
    ),
]
