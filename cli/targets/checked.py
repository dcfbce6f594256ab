"""What is known of a target that was checked: a target with errors needs no document and nothing that makes one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeprof.cli.exit_codes import GATE, INTERNAL, OK

if TYPE_CHECKING:
    from pipeprof.cli.options import CheckOptions
    from pipeprof.pipelines.errors import PipeprofError
    from pipeprof.pipelines.spec.load import LoadedSpec
    from pipeprof.pipelines.target.target import ParsedTarget
    from pipeprof.profiles.advise.advise import StaticAdvice
    from pipeprof.profiles.host.limits import MemoryLimit


@dataclass(frozen=True)
class Checked:
    """What is known of a target without running it: the cores and the memory that a run would have, or its error."""

    target: str
    given: CheckOptions
    cores: float
    limit: MemoryLimit | None
    parsed: ParsedTarget | None = None
    loaded: LoadedSpec | None = None
    told: StaticAdvice | None = None
    error: PipeprofError | None = None

    @property
    def advice(self) -> StaticAdvice:
        """What is advised; nothing of a target with errors, which needs none of what advice imports."""
        from pipeprof.profiles.advise.advise import StaticAdvice

        return self.told or StaticAdvice()

    @property
    def exit_code(self) -> int:
        """The exit code of this target."""
        if self.error is not None:
            return self.error.exit_code
        if self.given.fail_on is None:
            return OK
        # Nothing found and nothing looked at are not the same.
        return INTERNAL if self.advice.findings is None else GATE if self.advice.findings else OK
