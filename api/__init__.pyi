import os
from contextlib import AbstractContextManager
from typing import TypeVar, overload

from pipeprof import keras as keras
from pipeprof.rewriting import apply as apply

__version__: str

_Dataset = TypeVar("_Dataset")

@overload
def watch(what: str | os.PathLike[str]) -> AbstractContextManager[None]: ...
@overload
def watch(what: _Dataset) -> _Dataset: ...
