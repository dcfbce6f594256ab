"""Pipelines between two specs: what each differs by, and the spec with some of the changes."""

from __future__ import annotations

from dataclasses import replace

from pydantic import ValidationError

from pipeprof.pipelines.check import find_element_faults
from pipeprof.pipelines.spec.errors.validation import find_faults
from pipeprof.pipelines.spec.loader import LoadedSpec
from pipeprof.pipelines.spec.mixing.mixture import Mixture
from pipeprof.pipelines.spec.mixing.shared_paths import as_from
from pipeprof.pipelines.spec.models import Spec
from pipeprof.pipelines.spec.paths import missing_files
from pipeprof.profiles.judge.why.units import Subset


class SpecVersions:
    """Pipelines between two specs.

    Args:
        b: The other one; of one in another folder, paths that lead to other files are changes.
    """

    rest: Subset = frozenset()

    def __init__(self, a: LoadedSpec, b: LoadedSpec) -> None:
        self._a = a
        self._mixture = Mixture(a.data, as_from(a.base_dir, b.base_dir, b.data, b.spec))
        self.changes = self._mixture.changes

    def problem(self, chosen: Subset) -> str | None:
        """Why A with some changes is no valid spec; None where it is."""
        data = self._mixture.data(chosen)
        try:
            spec = Spec.model_validate(data)
        except ValidationError as error:
            faults = find_faults(error, data)
            return faults[0].message if faults else "it is not valid"
        lacking = missing_files(spec, self._a.base_dir)
        if lacking:
            return lacking[0].message
        faults = find_element_faults(spec, spec.data, self._a.base_dir)
        return faults[0].message if faults else None

    def loaded(self, chosen: Subset) -> LoadedSpec:
        """A with some changes, which must be possible."""
        data = self._mixture.data(chosen)
        return replace(self._a, data=data, spec=Spec.model_validate(data))
