"""Base of the calls that are not plain TensorFlow functions; each is a class in a module of this package.

Its docstring says which code the call stands for; its fields are the arguments.
"""

# No `from __future__ import annotations`: pydantic evaluates the annotations of a base anew for every subclass.
import functools
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Protocol

from pydantic import ValidationError

from pipeprof.pipelines.ops.calls.opcall import ROUTES, OpCall, parse_routes
from pipeprof.pipelines.ops.model import Closed
from pipeprof.pipelines.ops.problems import Problems, error, mismatch
from pipeprof.pipelines.ops.registry import Registry

Chain = tuple[OpCall, ...]


class Running(Protocol):
    """Interface of the chain in which a call runs; TensorFlow's objects are all `Any` here."""

    @property
    def tf(self) -> Any:
        """The module tensorflow."""

    def constant(self, value: Any) -> Any:
        """A constant of the spec as TensorFlow takes it."""

    def constants(self, operation: OpCall) -> dict[str, Any]:
        """All constants of a call as TensorFlow takes them."""

    def chain(self, operation: OpCall, place: str, element: Any, *, answers: bool = False) -> Any:
        """``element`` after the chain at ``place``, unchanged where none was written.

        With ``answers`` the result of the last call stands alone, also when ``on`` picked a field.
        """

    def uniform(self, shape: list[int], maxval: int | None = None) -> Any:
        """Random numbers, drawn for each element: float32 in [0, 1), or int32 below ``maxval``."""

    def shuffled(self, count: int) -> Any:
        """The numbers below ``count`` in random order, drawn for each element."""

    def seed(self) -> Any:
        """The seed of this call inside of ``for_each``; None elsewhere."""

    def seeded(self, operation: OpCall, place: str, seed: Any) -> "Running":
        """A chain in which all draws at ``place`` derive from ``seed``."""

    def made(self, operation: OpCall) -> Any:
        """The object that was made for a call when the pipeline was built."""


class Making(Protocol):
    """Interface of the builder for objects that a call creates outside of traced functions."""

    @property
    def tf(self) -> Any:
        """The module tensorflow."""

    def constant(self, value: Any) -> Any:
        """A constant of the spec as TensorFlow takes it."""

    def python(self, reference: Any) -> Callable[..., Any]:
        """The user's function."""

    def traceable(self, reference: Any) -> Callable[..., Any]:
        """The user's function, which autograph rewrites."""


class SpecialCall(Closed):
    """A call of its own form. ``call`` is its name in a spec."""

    noun: ClassVar[str] = "argument"
    call: ClassVar[str] = ""
    family: ClassVar[str] = ""
    """structure, control, table or python."""
    routes: ClassVar[tuple[str, ...]] = ROUTES
    short: ClassVar[str | None] = None
    """The argument that a value stands for which is no mapping of arguments."""
    chained: ClassVar[tuple[str, ...]] = ()
    """Arguments that are a chain, or a list of chains."""
    same_target: ClassVar[bool] = False
    """Whether the results go back to several fields of ``on`` when ``to`` is not written."""
    makes: ClassVar[bool] = False
    """Whether `make` makes an object when the pipeline is built."""

    @classmethod
    def arguments_of(cls, value: Any) -> Any:
        """``value`` as a mapping of arguments and routes."""
        known = {*cls.keys(), *cls.routes}
        if value is None:
            return {}
        if cls.short and not (isinstance(value, dict) and value.keys() & known and cls._is_long(value)):
            return {cls.short: value}
        return value

    @classmethod
    def _is_long(cls, value: dict[Any, Any]) -> bool:
        return True

    @classmethod
    def draws(cls, operation: OpCall) -> bool:
        """Whether it draws random numbers itself."""
        return False

    @classmethod
    def run(cls, operation: OpCall, given: Any, element: Any, running: Running) -> Any:
        """The result of the call.

        Args:
            given: Input picked by ``on``: the element, a field, a tuple of fields, or a mapping by parameter.
        """
        raise NotImplementedError

    @classmethod
    def make(cls, operation: OpCall, making: Making) -> Any:
        """Create the objects that exist once per pipeline."""
        raise NotImplementedError

    @classmethod
    def parse(cls, value: Any, *, bare: bool) -> OpCall:
        """The call from what stands under its name.

        Raises:
            ValidationError: Everything that is wrong, located below the name.
        """
        given = cls.arguments_of(None if bare else value)
        if not isinstance(given, dict):
            raise mismatch(value, "arguments", f"a mapping of {cls.call}'s arguments")
        if not given and cls.short and cls.model_fields[cls.short].is_required():
            raise error(f"missing value of {cls.call}: expected {cls._example()}", "missing_argument", got=None)
        problems = Problems()
        routes = {key: inner for key, inner in given.items() if key in cls.routes}
        on, to = parse_routes(routes, problems)
        cls._check_routes(on, to, problems)
        arguments: dict[str, Any] = {}
        chains: dict[str, Chain] = {}
        try:
            model = cls.model_validate({key: inner for key, inner in given.items() if key not in routes})
        except ValidationError as found:
            problems.extend(found, without=cls.short or "" if given is not value else "")
        else:
            written = [name for name in cls.model_fields if name in model.model_fields_set]
            arguments = {name.rstrip("_"): getattr(model, name) for name in written if name not in cls.chained}
            for name in (name for name in written if name in cls.chained):
                chains |= _named(name, getattr(model, name))
        problems.raise_if_any()
        if cls.same_target and to is None and isinstance(on, tuple):
            to = on
        return OpCall(cls.call, arguments, on, to, bare, chains)

    @classmethod
    def _example(cls) -> str:
        return f"`{(cls.__doc__ or '').partition('``')[2].partition('``')[0]}`"

    @classmethod
    def _check_routes(cls, on: Any, to: Any, problems: Problems) -> None:
        if isinstance(on, dict) and cls.same_target:
            problems.add(("on",), mismatch(on, "field", "a key or an index of the element, or a list of them"))


def _named(name: str, value: Any) -> dict[str, Chain]:
    if value is None:
        return {}
    if all(isinstance(item, OpCall) for item in value):
        return {name: tuple(value)}
    return {f"{name}.{index}": tuple(chain) for index, chain in enumerate(value)}


@functools.cache
def special_calls() -> Mapping[str, type[SpecialCall]]:
    """All of them by name."""
    return Registry("calls", SpecialCall, "call")
