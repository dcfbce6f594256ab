"""Codes of warnings and errors: what each means, and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from pipeprof.cli.text.blocks import Block, Heading, Prose, TextSpan

Kind = Literal["warning of a run", "error of a run", "error in a spec"]


@dataclass(frozen=True)
class MessageCode:
    """A stable word that a message carries.

    Attributes:
        kind: Whether a run or a spec has it.
    """

    kind: Kind
    meaning: str
    action: str


_WARNINGS = {
    "budget": (
        "A metric has regressed whose budget is only a warning.",
        "Nothing for the exit code; `level: error` makes it one.",
    ),
    "dirty-tree": (
        "The work tree has changes that are not committed; it was measured as it is.",
        "Commit them if the result is to belong to a commit.",
    ),
    "other-host": (
        "Two saved profiles were measured on different hosts.",
        "Measure both now: pipeprof compare with the targets.",
    ),
    "other-batches": (
        "The batches of the two sides have other sizes: what a stage takes per batch is not compared.",
        "Give the stage a limit, which is about one side alone, or compare pipelines with the same batches.",
    ),
    "not-at-ref": (
        "The git ref has a file that its tree here has not: a link out of it, a submodule, an object of Git LFS.",
        "The message names the command that gets it. Where the function does not read it, nothing is to be done.",
    ),
    "other-step": ("The two sides have different steps.", "Measure both with the same --step."),
    "other-versions": (
        "Two saved profiles were measured with different versions.",
        "Measure both now: pipeprof compare with the targets.",
    ),
    "stage-not-timed": (
        "A stage that has a budget has no time on one side: it is missing, fused with another, or not in the model.",
        "Name another stage; without its time the gate has no verdict on it.",
    ),
    "time-over": ("--max-time ended a session before its last pair.", "Raise it; the pairs so far are complete."),
    "cache-elsewhere": (
        "The folder of the data cache cannot be used; another one took its place.",
        "Free the folder, or set XDG_CACHE_HOME.",
    ),
    "cold": (
        "`--cold` could not evict every file, or the files were read from memory after all.",
        "Treat the numbers as those of a warm page cache.",
    ),
    "disturbed": (
        "Other processes, or other machines of the same host, used the cores while the pipeline was measured.",
        "Repeat the measurement on an idle machine.",
    ),
    "forked": (
        "The function forked, and the copy returned as well; the copy was ended.",
        "Call os._exit in the copy, or start processes with multiprocessing.",
    ),
    "graph-without-arrays": (
        "The graph was read without the contents of large arrays.",
        "Nothing: values of arrays are not needed.",
    ),
    "ignored": ("The spec leaves findings out under `ignore`.", "Nothing, if the reason given there still holds."),
    "leak": (
        "Memory in use still grew after all buffers had filled.",
        "Look for lists, caches or files that the pipeline's own Python code keeps.",
    ),
    "lost-end": (
        "The worker ended after the measurement, in a later phase.",
        "The numbers are complete; what the later phase would have added is n/a.",
    ),
    "memory-not-known": ("`check` cannot predict the memory of a part of the pipeline.", "Measure it: pipeprof run."),
    "memory-not-predicted": (
        "A part of the memory depends on what is known only in a run.",
        "Measure it: pipeprof run.",
    ),
    "newer-tensorflow": (
        "The installed TensorFlow is newer than the versions that pipeprof was tested with.",
        "If a number is missing or looks wrong, repeat the run with the newest tested version (docs/promises.md).",
    ),
    "no-clear-refs": (
        "The kernel does not let pipeprof reset the high-water mark of memory; peaks are sampled.",
        "Nothing: short peaks between samples may be missing.",
    ),
    "no-fewer-cores": (
        "The pipeline failed while it was measured with half of the cores.",
        "The measurement is complete; whether more cores would help is less certain. Report the message as a bug.",
    ),
    "no-graph": ("The graph could not be read.", "Times are complete; rules that need the graph were not applied."),
    "no-ledger": ("Memory could not be attributed to its owners.", "The peak is right; report the message as a bug."),
    "no-lock": (
        "The lock that keeps measurements apart could not be taken.",
        "Make sure that no other measurement runs on this machine.",
    ),
    "no-sketch": (
        "The stages were not seen while the function made them.",
        "Nothing, unless the run ends before its graph is read: then its stages have no names.",
    ),
    "no-trace": (
        "The trace phase failed.",
        "Times of Python functions and ops are n/a; all other numbers are complete.",
    ),
    "not-judged": (
        "A rule or a part of the advice could not be evaluated.",
        "Read the message: it names what was missing.",
    ),
    "not-saved-there": (
        "The profile could not be saved where it belongs; it was saved elsewhere.",
        "Free space, or name a file with --out.",
    ),
    "interrupted-after": (
        "Ctrl-C or a signal ended the run when all was measured.",
        "Findings were not tried: run it again, or with --no-verify.",
    ),
    "not-settled": ("The rate was still changing when the warm-up ended.", "Measure longer: --seconds, or more data."),
    "repeated": (
        "The dataset ended and restarted while it was measured.",
        "Add `repeat` before `batch`, or measure more data.",
    ),
    "rule-failed": ("A rule raised an error; all others were applied.", "Report the message as a bug."),
    "slow-delete": (
        "TensorFlow took long to delete finished iterators.",
        "A training loop pays this after every epoch: keep one iterator with `repeat`.",
    ),
    "speed-not-judged": (
        "Rules on speed were not applied, because the step waits too little, or too few steps were measured.",
        "Nothing, or measure longer.",
    ),
    "stages-alias": ("A stage holds views of another stage's memory.", "Nothing: these bytes are counted once."),
    "stages-no-model": (
        "TensorFlow kept no costs of its stages.",
        "Set `autotune` to true: costs come from TensorFlow's model.",
    ),
    "stages-scaled": (
        "Costs of a stage come from a part of its elements.",
        "Treat the time of this stage as an estimate.",
    ),
    "stages-traced": (
        "A stage had ended before its costs were read; its time comes from the trace.",
        "Treat the time of this stage as an estimate: tracing slows it.",
    ),
    "stages-unattributed": (
        "A part of the time belongs to no stage that could be identified.",
        "Treat the shares as lower bounds.",
    ),
    "stages-unread": (
        "The stages could not be read.",
        "Rate, memory and waiting are complete; the table of stages is n/a.",
    ),
    "stages-unseen": ("No cost of a stage was seen.", "Measure longer."),
    "step-replaced": (
        "The function returned a step, and --step replaces it.",
        "Remove --step to use the function's own.",
    ),
    "unknown-rule": ("`ignore` names a rule that does not exist.", "Correct the name: pipeprof rules lists them."),
    "verification-ended": (
        "No more changes could be tried: another command was measuring, or no process could be started.",
        "Read the message; the measurement itself is complete.",
    ),
    "verification-interrupted": (
        "Ctrl-C or a signal ended the run while changes were tried.",
        "Findings that were not tried are predictions: run it again, or with a smaller --budget.",
    ),
}
_RUN_ERRORS = {
    "not-measured": (
        "A metric that is to be judged was not measured on both sides, or nothing was.",
        "Give a --step where a wait is judged, or take the metric out of the budgets.",
    ),
    "side-failed": (
        "One of two compared pipelines did not come to its end: there is no verdict.",
        "Run that side alone: pipeprof run.",
    ),
    "build": ("The pipeline could not be built.", "Correct the stage that the message names."),
    "no-tensorflow": ("TensorFlow is not installed, or cannot be imported.", "Install it: docs/install.md."),
    "channel-closed": (
        "The pipeline's code closed descriptors that it had not opened, and with them the worker's pipe.",
        "Look for os.close and os.closerange.",
    ),
    "crashed": (
        "The worker process crashed in native code.",
        "Run the pipeline without pipeprof; if it crashes there too, the named library is the cause.",
    ),
    "empty": (
        "The dataset gave no element.",
        "Check the paths, `take`, `skip` and `filter`; `drop_remainder` drops a last short batch.",
    ),
    "exited": (
        "The user's code ended the process.",
        'Move the call of sys.exit, or the command line, under `if __name__ == "__main__"`.',
    ),
    "hung": (
        "No step finished for --timeout seconds, or the pipeline was not built by then.",
        "Look at the last frames; raise --timeout if the pipeline is only slow.",
    ),
    "hung-up": ("The terminal was closed.", "Use nohup or tmux; what was measured is in the saved profile."),
    "interrupted": ("Ctrl-C ended the run.", "Nothing: what was measured is in the saved profile."),
    "killed": ("Another process killed the worker.", "Find out who did: the kernel's log, the batch system."),
    "max-time": ("--max-time was reached.", "Raise it, or lower --seconds."),
    "not-started": ("The worker process could not start.", "Read what it printed: the message quotes it."),
    "out-of-memory": ("The memory limit was reached.", "Reduce what the named stage holds, or raise --memory-limit."),
    "raised": ("The pipeline raised an exception.", "Correct the line that the message names."),
    "step-raised": ("The training step raised an exception.", "Correct the step; the pipeline worked up to there."),
    "target": ("The target cannot be called as given.", "Read the message: it names what is missing."),
    "terminated": ("SIGTERM ended the run.", "Nothing: what was measured is in the saved profile."),
}
_SPEC_ERRORS = {
    "budget": "A budget is no share, no value with its unit, and no level.",
    "level": "The level of a budget is none of off, warn and error.",
    "rate": "A rate is not written as a number per second.",
    "share": "A share is not written in percent.",
    "argument-twice": "An argument is given twice.",
    "missing-source": "A pipeline has no source.",
    "name-twice": "A name is used twice.",
    "not-last": "Something follows what has to be the last.",
    "unseeded": "A random function has no seed.",
    "alias-bomb": "The aliases of the YAML file grow beyond all bounds when they are resolved.",
    "ambiguous": "An overlay or a path fits several places.",
    "bad-key": "A key is not plain text.",
    "control-character": "The file contains a control character.",
    "different-branches": "The branches of a condition give different elements.",
    "different-elements": "Pipelines that are joined give different elements.",
    "directive": "The file contains a YAML directive.",
    "duplicate-key": "A key occurs twice in a mapping.",
    "duplicate-name": "Two stages have the same name.",
    "empty": "The file is empty.",
    "encoding": "The file is not UTF-8.",
    "extends-cycle": "A spec extends itself.",
    "merge": "An overlay does not fit the spec.",
    "missing-argument": "A required argument is missing.",
    "missing-field": "The element has no such field.",
    "missing-file": "There is no such file.",
    "missing-key": "A required key is missing.",
    "missing-to": "`to` is missing: where the result goes.",
    "no-dataset": "The function does not return a dataset.",
    "no-truth-value": "The condition is not one boolean.",
    "not-yet": "This version does not support it.",
    "out-of-range": "The number is outside of the allowed range.",
    "ragged-batch": "Elements of different shapes cannot be batched.",
    "recursive-alias": "A YAML alias contains itself.",
    "reference": "A `${VAR}` is malformed.",
    "refused-function": "`ops:` does not support this function, for the reason in the message.",
    "set-form": "`--set` is not PATH=VALUE.",
    "set-path": "`--set` names a path that does not exist.",
    "several-documents": "The file contains several YAML documents.",
    "source-form": "The source is not one key with its arguments.",
    "stage-form": "A stage is not one key with its arguments.",
    "syntax": "The file is not valid YAML.",
    "tab": "A tab stands in the indentation.",
    "tag": "YAML tags are not supported.",
    "too-deep": "The file is nested too deeply.",
    "too-large": "The file, or what it refers to, is too large.",
    "unknown-alias": "A YAML alias has no anchor.",
    "unknown-argument": "The stage, source or function has no such argument.",
    "unknown-feature": "There is no such kind of feature.",
    "unknown-function": "`ops:` has no such function.",
    "unknown-key": "There is no such key here.",
    "unknown-kind": "There is no such kind of data.",
    "unknown-source": "There is no such source.",
    "unknown-stage": "There is no such stage.",
    "unset-variable": "The environment has no such variable.",
    "version": "The version of the spec is missing or unknown.",
    "wrong-axis": "The tensor has no such axis.",
    "wrong-choice": "The value is none of the possible ones.",
    "wrong-dtype": "The dtype does not fit.",
    "wrong-key": "The key function gives no integer.",
    "wrong-kind": "A dense tensor is expected where a ragged or sparse one is given, or the reverse.",
    "wrong-length": "The number of values does not fit.",
    "wrong-rank": "The number of dimensions does not fit.",
    "wrong-shape": "The shape does not fit.",
    "wrong-state": "The state of a scan changes its form.",
    "wrong-structure": "The structure of the element does not fit.",
    "wrong-type": "The value has another type than expected.",
    "wrong-value": "The value is not allowed.",
    "wrong-weights": "The weights do not fit the number of datasets.",
}
_VALUES = (
    *("arguments", "call", "chain", "chains", "choice", "columns", "component", "condition", "conflict", "data-name"),
    *("dispatch", "dtype", "duration", "every", "feature", "features", "field", "fields", "files", "flag", "function"),
    *(
        "inputs",
        "key",
        "kinds",
        "labels",
        "length",
        "mapping-expected",
        "names",
        "number",
        "numbers",
        "ops",
        "pipeline",
    ),
    *("pipelines", "probability", "python", "record-default", "record-defaults", "seed", "shape", "size", "span"),
    *("stage", "step", "structure", "table", "tensor", "tensors", "text", "texts", "weights", "window-size"),
)
_VALUE = "A value or its form is wrong: the message states what was given and what is expected."
_PLACE = "Correct the place that the message names."

CODES: dict[str, MessageCode] = {
    **{code: MessageCode("error in a spec", _VALUE, _PLACE) for code in _VALUES},
    **{code: MessageCode("error in a spec", text, _PLACE) for code, text in _SPEC_ERRORS.items()},
    **{code: MessageCode("warning of a run", *texts) for code, texts in _WARNINGS.items()},
    **{code: MessageCode("error of a run", *texts) for code, texts in _RUN_ERRORS.items()},
}
"""By name. Errors in a spec that are named after a value, as `number` or `duration`, share their text."""


def describe_code(name: str) -> Iterator[Block]:
    """Describe one code: where it occurs, what it means, what to do.

    Args:
        name: A key of :data:`CODES`.
    """
    code = CODES[name]
    yield Prose((TextSpan(name, "bold"), TextSpan(f": {code.kind}")), indent=0)
    yield Heading("Meaning")
    yield Prose(code.meaning, indent=2)
    yield Heading("What to do")
    yield Prose(code.action, indent=2)
