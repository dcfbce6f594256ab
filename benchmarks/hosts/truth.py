"""One of several real processes of ``MultiWorkerMirroredStrategy``: what it gets of a dataset.

Usage: ``truth.py INDEX PORT PORT … -- FILE …``. FILE is Python with ``make_dataset()``, which builds a spec; each is
iterated once under the strategy. Says one line of JSON for each: records and steps, or the error.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from pathlib import Path
from typing import Any


def made(path: Path) -> Any:
    """The dataset that a file makes."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.make_dataset()


def counted(strategy: Any, path: Path) -> dict[str, Any]:
    """Records and steps of this host."""
    import tensorflow as tf

    records = steps = 0
    try:
        for batch in strategy.experimental_distribute_dataset(made(path)):
            steps += 1
            for part in strategy.experimental_local_results(batch):
                first = tf.nest.flatten(part)[0]
                records += int(first.shape[0])
    except (tf.errors.OpError, ValueError) as error:
        return {"error": f"{type(error).__name__}: {str(error).splitlines()[0][:300]}"}
    return {"records": records, "steps": steps}


def main() -> None:
    """Join the other processes, and count."""
    split = sys.argv.index("--")
    index, *ports = sys.argv[1:split]
    cluster = {"worker": [f"127.0.0.1:{port}" for port in ports]}
    os.environ["TF_CONFIG"] = json.dumps({"cluster": cluster, "task": {"type": "worker", "index": int(index)}})
    import tensorflow as tf

    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    for name in sys.argv[split + 1 :]:
        found = counted(strategy, Path(name))
        print(json.dumps({"file": name, **found}), flush=True)
        if "error" in found and "NotFound" not in found["error"]:
            # The others are told that a collective operation was aborted: this cluster is at its end.
            break
    os._exit(0)


if __name__ == "__main__":
    main()
