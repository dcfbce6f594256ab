"""Value of a TensorFlow step: a built-in network with its options."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from pipeprof.pipelines.ops.checked import Checked
from pipeprof.pipelines.ops.model import SCHEMA_PLACEHOLDER, Document
from pipeprof.pipelines.ops.problems import error, mismatch
from pipeprof.pipelines.ops.values.units import FLOP_PATTERN, Flops

NAMES = ("convnet", "transformer", "matmul")
_EXPECTED = "convnet, transformer or matmul with its work, such as matmul:2GFLOP"


class Network(Document):
    """A network that TensorFlow trains as the step, or a product of matrices."""

    model: Literal["convnet", "transformer", "matmul"] = Field(
        description="convnet: of images. transformer: one block, of tokens. matmul: products of matrices of "
        "its own. The first two use the batch's first part of that form, else data of their own."
    )
    flops: Flops | None = Field(
        default=None, description="Of matmul: floating-point operations per step, 1 GFLOP by default."
    )
    device: Literal["cpu", "gpu"] | None = Field(
        default=None, description="Where it computes; by default on the GPU, if TensorFlow has one."
    )

    @model_validator(mode="after")
    def _flops_of_matmul(self) -> "Network":
        if self.flops is not None and self.model != "matmul":
            raise error(f"flops: only matmul has a number of operations; {self.model} has its own", "network")
        return self


def _from_text(value: Any) -> Network:
    if isinstance(value, dict | Network):
        return Network.model_validate(value)
    name, colon, flops = value.partition(":") if isinstance(value, str) else ("", "", "")
    if name not in NAMES or (colon and name != "matmul"):
        raise mismatch(value, "network", _EXPECTED, NAMES)
    return Network.model_validate({"model": name, "flops": flops} if colon else {"model": name})


NetworkValue = Annotated[Network, Checked(_from_text, {SCHEMA_PLACEHOLDER: "network"})]
DEFINITIONS: dict[str, Any] = {
    "network": {
        "anyOf": [
            {"enum": list(NAMES)},
            {"type": "string", "pattern": f"^matmul:{FLOP_PATTERN}$"},
            {"$ref": "#/definitions/Network"},
        ]
    },
    "Network": Network,
}
"""What the schema of `NetworkValue` refers to."""
