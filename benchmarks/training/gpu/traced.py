"""A trace of JAX around steps.

It is apart from the loop: pipeprof starts none where a file that the script has imported names a profiler.
"""

from contextlib import contextmanager

import jax


@contextmanager
def into(folder):
    """Write what happens inside to a folder, without the calls of Python."""
    options = jax.profiler.ProfileOptions()
    options.python_tracer_level = 0
    jax.profiler.start_trace(folder, profiler_options=options)
    try:
        yield
    finally:
        jax.profiler.stop_trace()
