"""The stage behind which a tf.data service works: its workers make the elements."""

from typing import Annotated, Any, ClassVar, Final

from pydantic import model_validator

from pipeprof.pipelines.ops.base import Stage
from pipeprof.pipelines.ops.checked import Checked
from pipeprof.pipelines.ops.model import Closed, argument
from pipeprof.pipelines.ops.problems import error, failure, mismatch
from pipeprof.pipelines.ops.protocol import Building
from pipeprof.pipelines.ops.values.values import FilledText, NotNegative, Positive, one_of

MODES: Final = ("parallel_epochs", "distributed_epoch")
"""Processing modes that TensorFlow takes as text."""
POLICIES: Final = ("OFF", "DYNAMIC", "FILE", "DATA", "FILE_OR_DATA", "HINT")
"""Names of the members of TensorFlow's `ShardingPolicy`."""
_SCHEME: Final = "grpc"
"""The only protocol that TensorFlow's servers speak."""


LOCAL: Final = "local"
"""The service that pipeprof starts itself."""


def _service(value: Any) -> str:
    if value == LOCAL:
        return LOCAL
    scheme, found, address = value.rpartition("://") if isinstance(value, str) else ("", "", "")
    host, colon, port = address.rpartition(":")
    if (found and scheme != _SCHEME) or not (host and colon and port.isdecimal()):
        raise mismatch(value, "address", "the dispatcher's host:port, such as localhost:5000, or local")
    return str(value)


Service = Annotated[str, Checked(_service, {"type": "string", "minLength": 1})]


class CrossTrainerCache(Closed):
    """tf.data.experimental.service.CrossTrainerCache: elements that several trainers share."""

    trainer_id: FilledText = argument("Name of this trainer; trainers of other names get the same elements.")


class Distributed(Stage):
    """Lets the workers of a tf.data service make the elements of all stages before it."""

    op: ClassVar[str] = "distribute"
    holder: ClassVar[str] = "tf.data.experimental.service"
    takes_name: ClassVar[bool] = False
    own_fields: ClassVar[frozenset[str]] = frozenset({"processing_mode", "cross_trainer_cache"})

    processing_mode: Annotated[str, one_of(*MODES, *POLICIES)] = argument(
        "How the workers share the data: parallel_epochs (each gives all of them) or distributed_epoch (each gives a "
        "part), or the name of a ShardingPolicy."
    )
    service: Service = argument(
        "Address of the dispatcher, host:port or grpc://host:port; local: one that pipeprof starts and ends itself."
    )
    job_name: FilledText | None = argument(
        "Name of a job that several readers share: each gets a part of its elements.", default=None
    )
    consumer_index: NotNegative | None = argument("Number of this reader of a shared job, from 0.", default=None)
    num_consumers: Positive | None = argument("Number of readers of a shared job, which take turns.", default=None)
    max_outstanding_requests: Positive | None = argument(
        "Most elements requested at a time; chosen by TensorFlow by default.", default=None
    )
    data_transfer_protocol: FilledText | None = argument(
        "Protocol for the elements; chosen by TensorFlow by default.", default=None
    )
    compression: Annotated[str, one_of("AUTO", "SNAPPY")] | None = argument(
        "AUTO, SNAPPY, or null for no compression of the elements on their way.", default="AUTO"
    )
    cross_trainer_cache: CrossTrainerCache | None = argument(
        "Elements that several trainers share; none by default.", default=None
    )
    target_workers: Annotated[str, one_of("AUTO", "ANY", "LOCAL")] = argument(
        "Which workers to read from: LOCAL ones run in this process.", default="AUTO"
    )

    @model_validator(mode="after")
    def _shared(self) -> "Distributed":
        turns = (self.consumer_index, self.num_consumers)
        if any(value is not None for value in turns):
            if None in turns or self.job_name is None:
                missing = next(
                    name for name in ("job_name", "consumer_index", "num_consumers") if getattr(self, name) is None
                )
                said = f"{missing} is missing: readers take turns in a job that they share by its name"
                raise failure((), error(said, "conflict", got=missing))
            if self.consumer_index is not None and self.consumer_index >= (self.num_consumers or 0):
                expected = f"a number below num_consumers, which is {self.num_consumers}"
                raise failure(("consumer_index",), mismatch(self.consumer_index, "number", expected))
        return self

    def apply(self, dataset: Any, building: Building, address: str) -> Any:
        """Register ``dataset`` with the service, and read what the workers make."""
        service, arguments = building.tf.data.experimental.service, building.arguments(self, address)
        arguments["service"] = building.service(self.service)
        mode = self.processing_mode
        arguments["processing_mode"] = mode if mode in MODES else service.ShardingPolicy[mode]
        if self.cross_trainer_cache is not None:
            arguments["cross_trainer_cache"] = service.CrossTrainerCache(self.cross_trainer_cache.trainer_id)
        return dataset.apply(service.distribute(**arguments))
