"""pipeprof: why a tf.data input pipeline is slow or memory-hungry."""

__version__ = "0.1.0"


def __dir__() -> list[str]:
    """List what a user's code imports, too."""
    return sorted([*globals(), "Profile", "dataset", "keras", "profile", "watch"])


def __getattr__(name: str) -> object:
    """Load what a user's code imports when it is used: this file runs before `python -m` can set the path."""
    modules = {"dataset": "building", "watch": "watching", "keras": "keras"}
    module = modules.get(name, "profiling" if name in ("profile", "Profile", "load_ipython_extension") else None)
    if module is None:
        raise AttributeError(f"module 'pipeprof' has no attribute {name!r}")
    from importlib import import_module

    found = import_module(f"pipeprof.{module}")
    return found if name == "keras" else getattr(found, {"Profile": "DatasetProfile"}.get(name, name))
