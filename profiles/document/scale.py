"""How many workers of a tf.data service pay: what was predicted and measured."""

from typing import Literal

from pydantic import Field

from pipeprof.profiles.document.base import Model
from pipeprof.profiles.document.findings import Edit

ScaleLimit = Literal["workers", "client", "link", "step"]
"""What sets the rate: the workers, the cores of the host that reads from them, the link to it, or the step."""

ScaleStatus = Literal["workers", "no", "predicted", "not-proven", "interrupted"]


class ScaleCut(Model):
    """A place at which the pipeline can be cut: workers make everything up to a stage."""

    stage: str
    """Address of the last stage on the workers."""
    name: str
    """Of that stage, as reports have it."""
    refused: str | None = None
    """Why it is no place for a cut; `None` where it is one."""
    messages_per_batch: float | None = None
    """Elements that are sent for a batch; `None` if unknown."""
    bytes_per_batch: float | None = None
    """Bytes that are sent for a batch; `None` if unknown."""
    worker_ms: float | None = None
    """CPU time per batch on the workers, sending included, as predicted."""
    client_ms: float | None = None
    """CPU time per batch on the host that reads, receiving included, as predicted."""
    workers: int | None = None
    """Number of workers after which one more adds too little, as predicted; 0 where none pays."""
    batches_per_second: float | None = None
    """With these workers, as predicted."""


class ScaleRow(Model):
    """A number of workers. Rates and cores are those of the real sizes, whatever the proof was scaled by."""

    workers: int
    """How many; 0 is the pipeline without a service."""
    predicted: float | None = None
    """Batches per second. Of 0 workers: as the run measured it."""
    predicted_by: Literal["run", "worker"] | None = None
    """`run`: from the costs of the run. `worker`: from one measured worker."""
    limit: ScaleLimit | None = None
    """What sets the predicted rate; `None` without a worker."""
    batches_per_second: float | None = None
    """Measured; `None` where it was not."""
    low: float | None = None
    """Lower end of the interval at 98 %."""
    high: float | None = None
    """Upper end; `None` of a single round."""
    speedup: float | None = None
    """Over the pipeline without a service, measured in the same rounds."""
    speedup_low: float | None = None
    """Lower end of the interval at 98 %."""
    speedup_high: float | None = None
    """Upper end."""
    step_up: float | None = None
    """Over one worker fewer, measured in the same rounds."""
    step_up_low: float | None = None
    """Lower end of the interval at 98 %."""
    step_up_high: float | None = None
    """Upper end."""
    wait_share: float | None = None
    """Part of the time in which the device waited, measured; `None` without a step."""
    worker_cores: float | None = None
    """Cores that all workers together used."""
    client_cores: float | None = None
    """Cores that the host that reads used."""
    memory_bytes: int | None = None
    """Resident memory of all workers."""
    price: float | None = None
    """Of a million batches, in the unit of `--price`, by the measured rate where there is one."""


class Better(Model):
    """A change that was measured and needs no worker."""

    title: str
    """The change in a few words."""
    speedup: float
    """Steps per second with it over without."""
    low: float | None = None
    """Lower end of the interval at 98 %."""


class Scale(Model):
    """Of `pipeprof scale`: whether workers pay, how many, and what they make."""

    status: ScaleStatus
    """`workers`: measured, and they pay. `no`: they do not. `predicted`: nothing was measured (`--predict-only`).
    `not-proven`: predicted to pay, and not measured to its end. `interrupted`: ended from outside."""
    sentence: str
    """The conclusion."""
    workers: int | None = None
    """The number that is recommended; `None` where nothing was measured, 0 where none pays."""
    worker_cores: float
    """Cores of a worker."""
    stage: str | None = None
    """Address of the last stage on the workers, of the best cut."""
    processing_mode: str
    """How the workers share the data."""
    factor: float | None = None
    """By which cores and step were scaled down for the proof; `None` where nothing was measured."""
    step_ms: float | None = None
    """Step in the proof before it was stretched by that factor; `None` without one."""
    simulated_step: bool = Field(default=False)
    """Whether a simulated step of that length stood for the real one, which cannot be stretched."""
    link_bytes_per_second: float | None = None
    """Of `--link`."""
    price_of_host: float | None = None
    """Of `--price`."""
    price_of_worker: float | None = None
    """Of `--price`."""
    costs_known_by: Literal["measured", "constants"] = Field(default="constants")
    """`measured`: what an element costs both sides was measured on this machine. `constants`: on another one."""
    cuts: list[ScaleCut] = Field(default_factory=list)
    """All places, in the order of the stages."""
    rows: list[ScaleRow] = Field(default_factory=list)
    """By the number of workers, of the best cut."""
    better: Better | None = None
    """The best change without a worker that was measured for the same pipeline; `None` where none was."""
    edit: list[Edit] = Field(default_factory=list)
    """The best cut as an edit."""
    lines: list[str] = Field(default_factory=list)
    """The best cut as lines to write: of a spec as YAML, else as Python."""
    seconds: float = 0.0
    """That measuring with workers took, starts of processes included."""
