"""Modules of tests spread over copies of this process.

A copy takes a module, collects it, runs its tests, and takes the next one, so that all end at about the same time. A
module's tests stay in one process, because they share fixtures.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import sys
import warnings
from collections.abc import Iterator
from multiprocessing.connection import Connection, Pipe, wait
from typing import Any, NoReturn, TypeAlias

import pytest

# Modules that take longest, in the order in which they are taken: at the end only short ones are left.
LONGEST = (
    "test_training_findings",
    "test_training_script",
    "test_watch",
    "test_gate_action",
    "test_why",
    "test_init_function",
    "test_windows",
    "test_fix",
    "test_environment_faults",
    "test_python_rendering",
    "test_deaths",
    "test_gate",
    "test_refusals",
    "test_ragged_batches",
    "test_targets",
    "test_plans",
    "test_guarded",
    "test_parsed_sequences",
    "test_targets_as_written",
    "test_gallery",
    "test_verification",
    "test_ledger",
    "test_data",
    "test_replay",
    "test_calibration",
    "test_init_public_shapes",
    "test_init",
    "test_fork_server",
    "test_elements",
    "test_examples",
    "test_libraries",
    "test_attribution",
    "test_redaction",
    "test_fuzz",
    "test_targets_at_refs",
    "test_git_refs",
    "test_constructs",
)
_Module: TypeAlias = pytest.Collector | pytest.Item
_DIGITS = 2
"""Bytes of a module's number in the pipe that all copies read from."""


class Spread:
    """A plugin of pytest.

    Args:
        copies: How many there are.
    """

    def __init__(self, copies: int) -> None:
        self._copies = copies
        self._modules: list[_Module] = []
        self._begun: dict[Connection, str] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self, session: pytest.Session) -> bool:
        """The modules are found; what is in them, the copies collect."""
        places = {name: place for place, name in enumerate(LONGEST)}
        self._modules = sorted(
            session.perform_collect(genitems=False), key=lambda module: places.get(module.path.stem, len(places))
        )
        return True

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        numbers, written = os.pipe()
        os.write(written, b"".join(number.to_bytes(_DIGITS, "big") for number in range(len(self._modules))))
        os.close(written)
        base = session.config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined]
        sys.stdout.flush()
        running: dict[Connection, int] = {}
        for copy in range(self._copies):
            reports, theirs = Pipe(duplex=False)
            pid = os.fork()
            if not pid:
                session.config._tmp_path_factory._basetemp = base / f"copy{copy}"  # type: ignore[attr-defined]
                session.config._tmp_path_factory._basetemp.mkdir()  # type: ignore[attr-defined]
                session.config.pluginmanager.unregister(self)
                _work(session, (self._modules[number] for number in _numbers(numbers)), theirs)
            theirs.close()
            running[reports] = pid
        os.close(numbers)
        try:
            while running:
                for reports in wait([*running]):
                    self._hear(session, reports, running)  # type: ignore[arg-type]
                if session.shouldfail:
                    raise session.Failed(session.shouldfail)
        finally:
            for pid in running.values():
                os.kill(pid, signal.SIGTERM)
        return True

    def _hear(self, session: pytest.Session, reports: Connection, running: dict[Connection, int]) -> None:
        """Pass on what a copy says, and notice its end."""
        hook = session.config.hook
        try:
            what, said = reports.recv()
        except EOFError:
            _, status = os.waitpid(running.pop(reports), 0)
            if status:
                name = self._begun.get(reports, "")
                text = f"the process ended with {os.waitstatus_to_exitcode(status)} in this test"
                place = (name.partition("::")[0], None, name)
                lost = pytest.TestReport(name, place, {}, "failed", text, "call")
                hook.pytest_runtest_logreport(report=lost)
            return
        match what:
            case "begun":
                self._begun[reports] = said
            case "collected":
                session.testscollected += said
            case "report":
                report = hook.pytest_report_from_serializable(config=session.config, data=said)
                if isinstance(report, pytest.TestReport):
                    hook.pytest_runtest_logreport(report=report)
                else:
                    hook.pytest_collectreport(report=report)
            case "warning":
                hook.pytest_warning_recorded.call_historic(kwargs=said)
            case "started":
                session.config.started.update(said)  # type: ignore[attr-defined]


def _numbers(descriptor: int) -> Iterator[int]:
    while number := os.read(descriptor, _DIGITS):
        yield int.from_bytes(number, "big")


class _Reporter:
    """A plugin of a copy: it tells the process that prints."""

    def __init__(self, config: pytest.Config, reports: Connection) -> None:
        self._config = config
        self.reports = reports

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.reports.send(("begun", nodeid))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._pass_on(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if not report.passed:
            self._pass_on(report)

    def _pass_on(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        data = self._config.hook.pytest_report_to_serializable(config=self._config, report=report)
        self.reports.send(("report", data))

    def pytest_warning_recorded(self, warning_message: Any, when: str, nodeid: str, location: Any) -> None:
        kind = warning_message.category
        plain = warnings.WarningMessage(
            str(warning_message.message),
            kind if kind.__module__ == "builtins" else Warning,
            warning_message.filename,
            warning_message.lineno,
        )
        said = {"warning_message": plain, "when": when, "nodeid": nodeid, "location": location}
        self.reports.send(("warning", said))


def _work(session: pytest.Session, taken: Iterator[_Module], reports: Connection) -> NoReturn:
    """Run modules to their end, in a copy."""
    code = 1
    try:
        manager = session.config.pluginmanager
        manager.unregister(name="terminalreporter")
        manager.register(_Reporter(session.config, reports))
        # Into files of its own.
        capture: Any = manager.getplugin("capturemanager")
        capture.stop_global_capturing()
        capture.start_global_capturing()
        capture.suspend_global_capture()
        items = _collected(session, taken, reports)
        while items:
            for item, following in itertools.pairwise(items):
                session.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            # Its fixtures end before those of the next module begin, and those of the session stay.
            last, items = items[-1], _collected(session, taken, reports)
            session.config.hook.pytest_runtest_protocol(item=last, nextitem=items[0] if items else None)
        reports.send(("started", dict(session.config.started)))  # type: ignore[attr-defined]
        code = 0
    except KeyboardInterrupt:
        code = 130
    finally:
        with contextlib.suppress(OSError):
            reports.close()
        os._exit(code)


def _collected(session: pytest.Session, taken: Iterator[_Module], reports: Connection) -> list[pytest.Item]:
    """Tests of the next module that has some; none at the end."""
    hook = session.config.hook
    for module in taken:
        session.items = [*session.genitems(module)]
        hook.pytest_collection_modifyitems(session=session, config=session.config, items=session.items)
        hook.pytest_collection_finish(session=session)
        reports.send(("collected", len(session.items)))
        if session.items:
            return session.items
    return []
