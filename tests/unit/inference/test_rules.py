"""Inference rules lie in the module that is named as the functions they are for."""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType

from pipeprof.pipelines.inference import rules as rules_package
from pipeprof.pipelines.ops.functions.catalog import table
from pipeprof.pipelines.ops.functions.layers import layer_table


def tables(package: ModuleType, attribute: str) -> dict[str, set[str]]:
    """The names in the tables of a package's modules, by module."""
    modules = {
        info.name: importlib.import_module(f"{package.__name__}.{info.name}")
        for info in pkgutil.iter_modules(package.__path__)
    }
    return {name: set(vars(module).get(attribute, ())) for name, module in modules.items()}


def test_a_rule_lies_in_the_module_of_its_functions() -> None:
    rules = tables(rules_package, "RULES")
    named = {(function.split(".")[1], name, function) for name, found in rules.items() for function in found}
    misplaced = [function for space, name, function in named if space in rules and space != name]

    assert sum(map(len, rules.values())) > 200
    assert misplaced == []


def test_a_rule_is_about_one_function_that_a_spec_may_call() -> None:
    found = [function for names in tables(rules_package, "RULES").values() for function in names]

    assert len(found) == len(set(found))
    assert set(found) <= {*table(), *layer_table()}
