"""pipeprof: why a tf.data input pipeline is slow or memory-hungry."""

__version__ = "0.1.0"


def __dir__() -> list[str]:
    """List what a user's code imports, too."""
    return sorted([*globals(), "Profile", "dataset", "keras", "profile", "watch"])


def __getattr__(name: str) -> object:
    """Load what a user's code imports when it is used: this file runs before `python -m` can set the path."""
    if name == "dataset":
        from pipeprof.building import dataset

        return dataset
    if name == "watch":
        from pipeprof.watching import watch

        return watch
    if name in ("profile", "Profile", "load_ipython_extension"):
        from importlib import import_module

        return getattr(import_module("pipeprof.profiling"), {"Profile": "DatasetProfile"}.get(name, name))
    if name == "keras":
        from importlib import import_module

        return import_module("pipeprof.keras")
    raise AttributeError(f"module 'pipeprof' has no attribute {name!r}")
