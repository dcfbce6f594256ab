"""Stages that buffer elements: caches and prefetches."""

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar

from pydantic import model_validator

from pipeprof.pipelines.errors import PlainError
from pipeprof.pipelines.ops.base import Inner, Stage
from pipeprof.pipelines.ops.calls.element import ElementFunction, check_targets
from pipeprof.pipelines.ops.model import argument
from pipeprof.pipelines.ops.nested import PipelineFunction
from pipeprof.pipelines.ops.protocol import Building
from pipeprof.pipelines.ops.values.values import FilledOutputPath, FilledText, OutputPath, PositiveOrAutotune, one_of

SnapshotCompression = Annotated[str, one_of("AUTO", "GZIP", "SNAPPY", "NONE")]


class Cache(Stage):
    """Caches the elements of the first epoch for later epochs, in memory or in a file."""

    op: ClassVar[str] = "cache"

    filename: OutputPath = argument(
        "Path of the cache on disk, relative to the spec; empty: in memory.", default="", validate_default=False
    )


class Prefetch(Stage):
    """Prepares elements ahead of time, while the consumer is busy."""

    op: ClassVar[str] = "prefetch"

    buffer_size: PositiveOrAutotune = argument("Number of elements to buffer, or AUTOTUNE.")


class Snapshot(Stage):
    """Saves the elements of the first run to disk for later runs."""

    op: ClassVar[str] = "snapshot"
    own_fields: ClassVar[frozenset[str]] = frozenset({"reader_func", "shard_func"})

    path: FilledOutputPath = argument("Folder of the snapshot, relative to the spec; created if missing.")
    compression: SnapshotCompression | None = argument("AUTO, GZIP, SNAPPY or NONE.", default="AUTO")
    reader_func: PipelineFunction | None = argument(
        "Stages that combine the files: their input is a dataset with one dataset per file.", default=None
    )
    shard_func: ElementFunction | None = argument("File number of each element: an int64.", default=None)

    @model_validator(mode="after")
    def _complete(self) -> "Snapshot":
        if self.shard_func is not None:
            check_targets(self.shard_func.ops or [], ("shard_func",), predicate=True)
        return self

    def pipelines(self) -> Iterator[Inner]:
        """The function that reads."""
        if self.reader_func is not None and self.reader_func.python is None:
            yield Inner(("reader_func",), ("reader_func",), self.reader_func, per_element=True)

    def apply(self, dataset: Any, building: Building, address: str) -> Any:
        """Keep the elements of ``dataset``."""
        arguments = building.arguments(self, address)
        if self.reader_func is not None:
            arguments["reader_func"] = building.dataset_function(self.reader_func, address, "reader_func")
        if self.shard_func is not None:
            arguments["shard_func"] = building.element_function(
                self.shard_func, dataset, address, answers=True, argument="shard_func"
            )
        return dataset.snapshot(**arguments)


def _check_device(tf: Any, name: str) -> None:
    """Refuse a device that is not there, which TensorFlow says in its own words, or not before the first element."""
    wanted = tf.DeviceSpec.from_string(name)
    there = [tf.DeviceSpec.from_string(device.name) for device in tf.config.list_logical_devices()]
    same = [
        value
        for value in there
        if value.device_type == wanted.device_type and wanted.device_index in (value.device_index, None)
    ]
    if not same:
        listed = ", ".join(f"/{value.device_type}:{value.device_index}" for value in there)
        raise PlainError(f"no device {name} on this machine: expected one of {listed}")


class PrefetchToDevice(Stage):
    """Prepares elements ahead of time in the memory of a device; must be the last stage."""

    op: ClassVar[str] = "prefetch_to_device"
    holder: ClassVar[str] = "tf.data.experimental"
    takes_name: ClassVar[bool] = False

    device: FilledText = argument("The device, such as /GPU:0.")
    buffer_size: PositiveOrAutotune | None = argument(
        "Number of elements to buffer; chosen by TensorFlow by default.", default=None
    )

    def apply(self, dataset: Any, building: Building, address: str) -> Any:
        """Prefetch ``dataset``."""
        _check_device(building.tf, self.device)
        return super().apply(dataset, building, address)


class CopyToDevice(Stage):
    """Copies elements to the memory of a device."""

    op: ClassVar[str] = "copy_to_device"
    holder: ClassVar[str] = "tf.data.experimental"
    takes_name: ClassVar[bool] = False

    target_device: FilledText = argument("The device, such as /GPU:0.")
    source_device: FilledText = argument("Device of the input elements.", default="/cpu:0")

    def apply(self, dataset: Any, building: Building, address: str) -> Any:
        """Copy ``dataset``."""
        _check_device(building.tf, self.target_device)
        _check_device(building.tf, self.source_device)
        return super().apply(dataset, building, address)
