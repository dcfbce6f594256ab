"""Inference rules lie in the module that is named as the functions they are for."""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType

from pipeprof.pipelines.inference import rules as rules_package
from pipeprof.pipelines.ops import functions as functions_package


def tables(package: ModuleType, attribute: str) -> dict[str, set[str]]:
    """The names in the tables of a package's modules, by module."""
    modules = {
        info.name: importlib.import_module(f"{package.__name__}.{info.name}")
        for info in pkgutil.iter_modules(package.__path__)
    }
    return {name: set(vars(module).get(attribute, ())) for name, module in modules.items()}


def test_a_rule_lies_in_the_module_of_its_functions() -> None:
    functions = tables(functions_package, "FUNCTIONS")
    rules = tables(rules_package, "RULES")

    misplaced = {name: found - functions.get(name, set()) for name, found in rules.items()}

    assert sum(map(len, rules.values())) > 200
    assert {name: found for name, found in misplaced.items() if found} == {}
