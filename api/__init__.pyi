import os
from contextlib import AbstractContextManager
from typing import TypeVar, overload

from pipeprof import keras as keras
from pipeprof.building import dataset as dataset
from pipeprof.profiling import DatasetProfile
from pipeprof.profiling import load_ipython_extension as load_ipython_extension
from pipeprof.profiling import profile as profile

__version__: str
Profile = DatasetProfile

_Dataset = TypeVar("_Dataset")

@overload
def watch(what: str | os.PathLike[str]) -> AbstractContextManager[None]: ...
@overload
def watch(what: _Dataset) -> _Dataset: ...
