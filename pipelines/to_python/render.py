"""Rendering of a loaded spec as a Python file that creates the same dataset."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pipeprof.pipelines.spec.loader import LoadedSpec
from pipeprof.pipelines.to_python.body import Body
from pipeprof.pipelines.to_python.code import docstring
from pipeprof.pipelines.to_python.module import Module, function_lines
from pipeprof.pipelines.to_python.special_calls import render_special_call
from pipeprof.pipelines.to_python.stages import Chains, RenderContext

_MAIN = """\
if __name__ == "__main__":
    for batch in make_dataset().take(3):
        print(tf.nest.map_structure(lambda tensor: getattr(tensor, "shape", tensor), batch))"""


def render(loaded: LoadedSpec, data_dirs: Mapping[str, Path], folder: Path | None = None) -> str:
    """Return Render Python code that creates the dataset of a spec.

    The file can be run, imported and profiled (``file.py:make_dataset``). Keys for measuring (``step``, ``measure``,
    ``ignore``) are left out.
    """
    module = Module(loaded, (folder or loaded.base_dir).absolute(), data_dirs)
    spec = loaded.spec
    scope = Body(module, render_special_call)
    if spec.measure.seed is not None:
        scope.lines.append(f"tf.random.set_seed({spec.measure.seed})")
    chains = Chains(module)
    dataset, _ = chains.variable(spec, RenderContext(scope))
    if spec.options.written():
        options = chains.options(spec.options, scope)
        scope.lines.append(f"{dataset} = {dataset}.with_options({options})")
    make = function_lines("make_dataset", [], [*scope.lines, f"return {dataset}"])
    described = loaded.spec.description or ""
    title = f"{loaded.spec.name}: {described}" if loaded.spec.name and described else loaded.spec.name or described
    first = title or f"The pipeline of {loaded.path.name}."
    changes = [f"--set {override}" for override in loaded.overrides]
    made = f"Made from {loaded.path.name}{' with ' if changes else ''}{' '.join(changes)}."
    blocks = [docstring([first, made] if title or changes else [first])]
    parts = ["\n".join([*blocks[0], "", *module.header()])]
    functions = [*module.functions, make]
    while functions and not functions[0][0].startswith("def "):
        # Statements follow the imports after one empty line, functions after two.
        parts[0] += "\n\n" + "\n".join(functions.pop(0))
    parts += ["\n".join(lines) for lines in (*functions, _MAIN.splitlines())]
    return "\n\n\n".join(parts) + "\n"


def data_folders(loaded: LoadedSpec) -> dict[str, Path]:
    """Return the folders of the inputs under ``data:``, existing or not."""
    from pipeprof.pipelines.data.folders import entry_name, find, locate

    cache = locate()
    return {
        name: find(entry, cache.readable) or cache.folder / entry_name(entry)
        for name, entry in loaded.spec.data.items()
    }
