"""`pipeprof fleet` with DuckDB: the folder, the questions, and what SQL may not do."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from unit.fleet.fleets import FINDING, profile, save, series

from pipeprof.pipelines.errors import UsageError
from pipeprof.profiles.document.subject import Tool
from pipeprof.profiles.fleet import database, folder
from pipeprof.profiles.fleet.database import Database

Pipeprof = Callable[..., Any]


@pytest.fixture
def pipeprof(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., tuple[int, str, str]]:
    """Run a command line in an empty folder: code, stdout, stderr."""
    from pipeprof.cli.main import invoke

    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = invoke(["fleet", *arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.fixture
def told(pipeprof: Pipeprof) -> Callable[..., Any]:
    """The document that a command prints."""

    def call(*arguments: str) -> Any:
        code, out, err = pipeprof(*arguments, "--json")
        assert code == 0, err
        return json.loads(out)

    return call


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Database:
    """A fleet of one profile, open, and its folder with other files in it."""
    place = tmp_path_factory.mktemp("one")
    save(place / "runs", [profile(0)])
    (place / "secret.txt").write_text("hidden")
    (place / "secret.csv").write_text("a,b\nhidden,2\n")
    folder.add(place / folder.DEFAULT, [str(place / "runs")], Tool(version="1"))
    found = folder.open_fleet(place / folder.DEFAULT)
    found.folder = place  # type: ignore[attr-defined]
    return found


def fleet_of(told: Callable[..., Any], *groups: list[dict[str, Any]]) -> None:
    for number, documents in enumerate(groups):
        save(Path("runs"), documents, f"g{number}")
    told("add", "runs")


def everything(place: Path) -> dict[str, bytes]:
    return {str(path.relative_to(place)): path.read_bytes() for path in sorted(place.rglob("*")) if path.is_file()}


def test_a_profile_is_added_once(pipeprof: Pipeprof, told: Callable[..., Any]) -> None:
    save(Path("runs"), [profile(0), profile(1, findings=[FINDING]), profile(0)])
    first = told("add", "runs")
    assert (first["added"], first["known"], first["skipped"]) == (2, 1, [])
    before = everything(Path("pipeprof-fleet"))
    assert {name.partition("/")[0] for name in before} == {"runs", "stages", "findings"}
    again = told("add", "runs/*.json")
    assert (again["added"], again["known"]) == (0, 3)
    assert everything(Path("pipeprof-fleet")) == before
    save(Path("more"), [profile(2)])
    assert told("add", "runs", "more")["added"] == 1
    assert told("query", "SELECT count(*), count(DISTINCT sha256) FROM runs")["rows"] == [[3, 3]]
    assert told("query", "SELECT count(*) FROM stages")["rows"] == [[3 * len(profile()["stages"])]]
    code, out, _ = pipeprof("add", "more")
    assert (code, out.split()) == (
        0,
        ["added", "0", "profiles", "to", "pipeprof-fleet", "known", "1", "were", "in", "it", "already"],
    )


def test_the_same_profiles_make_the_same_files(told: Callable[..., Any]) -> None:
    save(Path("runs"), [profile(0), profile(1)])
    told("add", "runs", "--fleet", "one")
    told("add", "runs/run-1.json", "runs/run-0.json", "--fleet", "two")
    assert list(everything(Path("one"))) == list(everything(Path("two")))


def test_what_cannot_be_counted_is_listed(pipeprof: Pipeprof, told: Callable[..., Any]) -> None:
    save(Path("runs"), [profile(0), profile(1, complete=False, exit_code=5), profile(2, schema_version=9)])
    Path("runs/half.json").write_text(json.dumps(profile(3))[:5000])
    Path("runs/package.json").write_text('{"name": "x"}')
    os.mkfifo("runs/pipe.json")
    report = told("add", "runs")
    assert report["added"] == 1
    assert {(one["file"], one["kind"]) for one in report["skipped"]} == {
        ("runs/half.json", "broken"),
        ("runs/package.json", "foreign"),
        ("runs/pipe.json", "foreign"),
        ("runs/run-1.json", "partial"),
        ("runs/run-2.json", "newer"),
    }
    code, out, _ = pipeprof("add", "runs/half.json", "runs/package.json", "--fleet", "other")
    assert code == 6
    assert "not JSON, or truncated" in out
    assert not Path("other").exists()


def test_a_name_that_stands_for_nothing_is_refused(pipeprof: Pipeprof) -> None:
    code, _, err = pipeprof("add", "gone.json")
    assert (code, "gone.json: no such file or folder" in err) == (2, True)
    assert pipeprof("add", "nothing/*.json")[0] == 2


def test_a_folder_with_other_files_is_left_alone(pipeprof: Pipeprof) -> None:
    save(Path("runs"), [profile(0)])
    Path("photos").mkdir()
    Path("photos/a.jpg").write_text("x")
    code, _, err = pipeprof("add", "runs", "--fleet", "photos")
    assert (code, "other files" in err) == (2, True)
    assert list(Path("photos").iterdir()) == [Path("photos/a.jpg")]
    assert pipeprof("add", "runs", "--fleet", "runs/run-0.json")[0] == 2


def test_links_of_a_checkout_are_not_followed(pipeprof: Pipeprof, tmp_path: Path) -> None:
    save(Path("runs"), [profile(0)])
    Path("elsewhere").mkdir()
    Path("pipeprof-fleet").symlink_to("elsewhere")
    assert pipeprof("add", "runs")[0] == 2
    Path("pipeprof-fleet").unlink()
    Path("pipeprof-fleet/runs").mkdir(parents=True)
    Path("pipeprof-fleet/stages").symlink_to(tmp_path / "elsewhere")
    code, _, err = pipeprof("add", "runs")
    assert (code, "link" in err) == (1, True)
    assert list(Path("elsewhere").iterdir()) == []


def test_without_duckdb_one_sentence_says_how_to_install_it(
    pipeprof: Pipeprof, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(Path("runs"), [profile(0)])
    monkeypatch.setitem(sys.modules, "duckdb", None)
    code, out, err = pipeprof("add", "runs")
    assert (code, out) == (2, "")
    assert err.splitlines() == [
        "pipeprof: error: fleet keeps its tables with DuckDB, which is not installed: pip install duckdb"
    ]
    assert not Path("pipeprof-fleet").exists()


def test_without_a_fleet_a_question_has_no_answer(pipeprof: Pipeprof) -> None:
    for words in (["top"], ["query", "SELECT 1"]):
        code, _, err = pipeprof(*words)
        assert (code, "no fleet" in err) == (6, True)


def test_a_damaged_file_is_left_out_and_named(pipeprof: Pipeprof, told: Callable[..., Any]) -> None:
    save(Path("runs"), [profile(0)])
    told("add", "runs")
    save(Path("runs"), [profile(1)], "more")
    told("add", "runs")
    first, second = sorted(Path("pipeprof-fleet/runs").iterdir())
    second.write_bytes(second.read_bytes()[:100])
    found = told("top")
    assert found["runs"] == 1
    assert second.name in found["notes"][0]
    first.write_bytes(b"PAR1")
    assert pipeprof("top")[0] == 6


def test_an_import_that_did_not_end_does_not_count(told: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    save(Path("runs"), [profile(0)])
    told("add", "runs")
    save(Path("runs"), [profile(1)], "more")

    def fails(connection: Any, lines: Path, table: Any, path: Path) -> None:
        if table.name == "runs":
            raise KeyboardInterrupt
        database.write_parquet(connection, lines, table, path)

    with monkeypatch.context() as patch:
        patch.setattr(folder, "write_parquet", fails)
        from pipeprof.cli.main import invoke

        assert invoke(["fleet", "add", "runs"]) == 130
    stages = len(profile()["stages"])
    assert told("query", "SELECT count(*) FROM stages")["rows"] == [[stages]]
    assert told("add", "runs")["added"] == 1
    assert told("query", "SELECT count(*) FROM stages")["rows"] == [[2 * stages]]


def test_files_of_other_versions_are_read(told: Callable[..., Any]) -> None:
    import duckdb

    save(Path("runs"), [profile(0)])
    told("add", "runs")
    (own,) = Path("pipeprof-fleet/runs").iterdir()
    older = f"SELECT 'other' AS sha256, pipeline, seconds, steps::VARCHAR AS steps, 7 AS later FROM '{own}'"
    duckdb.sql(f"COPY ({older}) TO 'pipeprof-fleet/runs/202001-old.parquet' (FORMAT parquet)")
    rows = told("query", "SELECT sha256 = 'other', steps, \"commit\" IS NULL FROM runs ORDER BY 1")["rows"]
    assert rows == [[False, 412, False], [True, 412, True]]
    assert told("top")["runs"] == 2


def test_two_fleets_that_were_copied_together_count_each_profile_once(told: Callable[..., Any]) -> None:
    save(Path("runs"), [profile(0), profile(1)])
    told("add", "runs", "--fleet", "one")
    told("add", "runs/run-0.json", "--fleet", "two")
    for path in Path("two").rglob("*.parquet"):
        path.rename(Path("one") / path.relative_to("two"))
    stages = len(profile()["stages"])
    assert told("query", "SELECT count(*) FROM runs", "--fleet", "one")["rows"] == [[2]]
    assert told("query", "SELECT count(*) FROM stages", "--fleet", "one")["rows"] == [[2 * stages]]


@pytest.mark.parametrize("place", ["a'b", "a[1]", "ü b"])
def test_any_name_of_a_folder(told: Callable[..., Any], place: str) -> None:
    save(Path("runs"), [profile(0)])
    told("add", "runs", "--fleet", place)
    assert told("top", "--fleet", place)["runs"] == 1


@pytest.mark.parametrize(
    "statement",
    [
        "COPY runs TO 'out.csv'",
        "COPY (SELECT 1) TO 'pipeprof-fleet/runs/x.parquet'",
        "ATTACH 'x.duckdb'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "RESET lock_configuration",
        "PRAGMA database_list",
        "CREATE TABLE x AS SELECT 1",
        "DROP TABLE runs",
        "INSERT INTO runs SELECT * FROM runs",
        "UPDATE runs SET job = 'x'",
        "EXPORT DATABASE 'x'",
        "SELECT 1; SELECT 2",
        "SELECT 1; COPY runs TO 'out.csv'",
        "",
        "SELECT * FROM read_text('secret.txt')",
        "SELECT * FROM read_csv('secret.txt')",
        "SELECT * FROM read_blob('/etc/hostname')",
        "SELECT * FROM 'secret.txt'",
        "SELECT * FROM 'secret.csv'",
        "SELECT * FROM glob('*')",
        "SELECT * FROM read_parquet('pipeprof-fleet/runs/*.parquet')",
        "SELECT * FROM sniff_csv('secret.csv')",
        "SELECT * FROM 'https://127.0.0.1/x.parquet'",
        "SELECT * FROM statement",
        "SELECT * FROM sys",
        "SELECT getenv('HOME')",
        "WITH x AS (SELECT * FROM read_text('secret.txt')) SELECT * FROM x",
        "EXPLAIN ANALYZE COPY runs TO 'out.csv'",
        "SELECT * FROM query('COPY runs TO ''out.csv''')",
    ],
)
def test_sql_reads_the_tables_and_nothing_else(one: Database, statement: str) -> None:
    here = Path.cwd()
    os.chdir(one.folder)
    try:
        before = everything(Path())
        with pytest.raises(UsageError, match=r"^fleet query") as refused:
            one.query(statement, 60.0)
        assert "hidden" not in str(refused.value)
        assert everything(Path()) == before
    finally:
        os.chdir(here)


def test_a_refused_question_is_one_line_and_code_2(pipeprof: Pipeprof, told: Callable[..., Any]) -> None:
    fleet_of(told, [profile(0)])
    code, out, err = pipeprof("query", "COPY runs TO 'out.csv'")
    assert (code, out) == (2, "")
    assert err == "pipeprof: error: fleet query reads the tables of the fleet and nothing else: give one SELECT\n"
    code, _, err = pipeprof("query", "SELECT * FROM read_text('jobs.csv')")
    assert (code, "and no files, extensions or settings" in err) == (2, True)


def test_a_question_that_never_ends_is_ended(pipeprof: Pipeprof, told: Callable[..., Any]) -> None:
    fleet_of(told, [profile(0)])
    endless = "WITH RECURSIVE x(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM x) SELECT max(n) FROM x"
    code, _, err = pipeprof("query", endless, "--max-time", "0.2")
    assert (code, "no answer within 0.2 s" in err) == (2, True)


def test_answers_in_sql(pipeprof: Pipeprof, told: Callable[..., Any]) -> None:
    labels = {"team": "vision", "run": "a b"}
    fleet_of(told, [profile(0, labels=labels, job="812", findings=[FINDING])])
    found = told("query", "SELECT started, labels, job, 0.5::DECIMAL(3, 2) AS half, 'nan'::DOUBLE AS none FROM runs")
    assert found["columns"] == ["started", "labels", "job", "half", "none"]
    assert found["rows"] == [["2026-11-01T00:00:00", labels, "812", "0.50", None]]
    code, out, _ = pipeprof("query", "SELECT pipeline, steps FROM runs JOIN findings USING (sha256)")
    assert (code, [line.split() for line in out.splitlines()]) == (
        0,
        [["pipeline", "steps"], ["flowers", "412"], ["1", "row"]],
    )
    assert pipeprof("query", "SELECT * FROM runs WHERE false")[1].split() == ["0", "rows"]
    assert "the first 200 rows" in pipeprof("query", "SELECT * FROM range(300)")[1]
    assert pipeprof("query", "DESCRIBE runs")[0] == 0
    assert "no such table" not in pipeprof("query", "SELECT * FROM gone")[2]
    assert pipeprof("query", "SELECT nothing FROM runs")[0] == 2


def test_top_by_the_profiled_time(told: Callable[..., Any]) -> None:
    busy = series(2, pipeline="busy", steps__wait_share=0.1)
    idle = series(3, pipeline="idle", steps__wait_share=0.6, verdict__limit="cpu", findings=[FINDING])
    alone = series(1, pipeline="alone", steps__wait_share=None, steps__wait_ms=None)
    fleet_of(told, busy, idle, alone)
    found = told("top")
    assert (found["runs"], found["pipelines"], found["cost"]) == (6, 3, "share of the profiled time")
    assert [row["pipeline"] for row in found["top"]] == ["idle", "busy", "alone"]
    first = found["top"][0]
    assert first | {"runs": 3, "limited_by": "cpu", "rule": "serial-map-cpu", "speedup": 2.5} == first
    assert first["wait_share"] == pytest.approx(0.6)
    assert (first["device_hours"], found["top"][2]["wait_share"]) == (None, None)
    assert any("--hours" in note for note in found["notes"])


def test_top_by_device_hours(told: Callable[..., Any], pipeprof: Pipeprof) -> None:
    short = series(2, pipeline="short", steps__wait_share=0.9, job="1")
    long = series(2, pipeline="long", steps__wait_share=0.2, job="2")
    # A job with two pipelines: its hours are divided by their profiled time.
    shared = [profile(9, pipeline=name, steps__wait_share=0.5, job="3") for name in ("short", "long")]
    fleet_of(told, short, long, shared)
    Path("jobs.csv").write_text("user,job,device_hours\nada,1,10\nada,2,50\nada,2,50\nada,3,8\nada,gone,70\n")
    found = told("top", "--hours", "jobs.csv")
    rows = {row["pipeline"]: (row["device_hours"], row["wasted_hours"]) for row in found["top"]}
    assert rows == {
        "long": (pytest.approx(104.0), pytest.approx(22.0)),
        "short": (pytest.approx(14.0), pytest.approx(11.0)),
    }
    assert [row["pipeline"] for row in found["top"]] == ["long", "short"]
    assert found["notes"] == ["1 jobs of --hours (70 device hours) have no profile with a step here"]
    for text in (
        "job,hours\n1,2\n",
        "job,device_hours\n1,many\n",
        "job,device_hours\n1,-2\n",
        "job,device_hours\n,2\n",
    ):
        Path("jobs.csv").write_text(text)
        assert pipeprof("top", "--hours", "jobs.csv")[0] == 2
    assert pipeprof("top", "--hours", "gone.csv")[0] == 2


def test_regressions_name_the_commits(told: Callable[..., Any]) -> None:
    fleet_of(
        told,
        series(40, change_at=20, slower=1.2, pipeline="worse"),
        series(40, change_at=20, slower=0.8, pipeline="better", seed=1),
        series(40, pipeline="same", seed=2),
        series(4, change_at=2, slower=2.0, pipeline="few"),
    )
    found = told("regressions")
    (row,) = found["regressions"]
    assert (row["pipeline"], row["runs_before"], row["runs_after"]) == ("worse", 20, 20)
    assert (int(row["before_commit"], 16), int(row["commit"], 16)) == (19, 20)
    assert row["low"] < 1.2 < row["high"]
    assert (row["unit"], row["faster_again"]) == ("elements", None)
    assert row["before"] / row["after"] == pytest.approx(1.2, rel=0.05)
    assert found["notes"] == ["1 series have fewer than 6 profiles of one step and class of hosts: not judged"]


def test_another_step_or_class_of_hosts_is_another_series(told: Callable[..., Any]) -> None:
    slower = series(20, slower=1.5, change_at=0, seed=1)
    fleet_of(
        told, series(20), [document | {"started": f"2026-11-20T{n:02}:00:00Z"} for n, document in enumerate(slower)]
    )
    assert len(told("regressions")["regressions"]) == 1
    for number, document in enumerate(slower):
        document["host"]["cores"] = 4.0
        document["started"] = f"2026-11-20T{number:02}:00:00Z"
    save(Path("others"), [*series(20), *slower])
    told("add", "others", "--fleet", "other")
    assert told("regressions", "--fleet", "other")["regressions"] == []


def test_a_regression_that_was_mended_says_so(told: Callable[..., Any]) -> None:
    documents = series(60, noise=0.01)
    for document in documents[20:40]:
        document["throughput"]["elements_per_second"] /= 1.3
    fleet_of(told, documents)
    (row,) = told("regressions")["regressions"]
    assert (row["started"], row["faster_again"]) == ("2026-11-01T20:00:00", "2026-11-02T16:00:00")


def test_findings_by_the_pipelines_that_have_them(told: Callable[..., Any]) -> None:
    other = FINDING | {"status": "rejected", "measured": {"speedup": 1.0}}
    rare = {"rule": "no-prefetch", "title": "t", "status": "unverified"}
    fleet_of(
        told,
        [profile(0, findings=[FINDING, rare])],
        [profile(1, pipeline="b", findings=[FINDING | {"measured": {"speedup": 1.5}}])],
        [profile(2, pipeline="b", findings=[other])],
    )
    first, second = told("findings")["findings"]
    assert first == {
        "rule": "serial-map-cpu",
        "pipelines": 2,
        "runs": 3,
        "proven": 2,
        "speedup": 2.0,
        "largest": 2.5,
        "in_pipeline": "flowers",
        "rejected": 1,
        "untried": 0,
    }
    assert (second["rule"], second["speedup"], second["untried"]) == ("no-prefetch", None, 1)


def test_a_slow_host_is_named(told: Callable[..., Any]) -> None:
    groups = []
    for place, name in enumerate(("a", "b", "c", "d")):
        for pipeline in ("one", "two"):
            slower = 1.2 if name == "c" else 1.0
            seed = 10 * place + (pipeline == "two")
            groups.append(series(6, change_at=0, slower=slower, pipeline=pipeline, seed=seed, host__name=name))
    fleet_of(told, *groups, series(3, pipeline="elsewhere", host__name="alone"))
    found = told("hosts")["hosts"]
    assert found[0]["host"] == "c"
    assert [row["host"] for row in found if row["slow"]] == ["c"]
    assert found[0]["slower"] == pytest.approx(1.2, rel=0.05)
    alone = next(row for row in found if row["host"] == "alone")
    assert (alone["compared"], alone["slower"], alone["runs"]) == (0, None, 3)


def test_since_and_labels_choose_the_runs(told: Callable[..., Any], pipeprof: Pipeprof) -> None:
    fleet_of(told, [profile(0, labels={"team": "vision"}), profile(1, labels={"team": "speech", "user": "ada"})])
    assert told("top", "--label", "team=vision")["runs"] == 1
    assert told("top", "--label", "team=speech,user=ada")["runs"] == 1
    assert told("top", "--label", "team=vision", "--label", "user=ada")["runs"] == 0
    assert told("top", "--since", "1h")["runs"] == 0
    assert told("top", "--since", "36500d")["runs"] == 2
    assert pipeprof("top", "--since", "soon")[0] == 2
    assert pipeprof("top", "--label", "vision")[0] == 2


def test_the_reports(pipeprof: Pipeprof, told: Callable[..., Any], golden: Callable[[str, str], None]) -> None:
    fleet_of(
        told,
        series(40, change_at=20, slower=1.2, pipeline="photos", labels={"team": "vision"}, job="1", findings=[FINDING]),
        series(12, pipeline="train.py:make", host__name="lab-9", steps__wait_share=0.21, verdict__limit="cpu"),
    )
    Path("jobs.csv").write_text("job,device_hours\n1,1200\n")
    lines = [["top"], ["top", "--hours", "jobs.csv"], ["regressions"], ["findings"], ["hosts"]]
    text = ""
    for words in lines:
        code, out, _ = pipeprof(*words)
        assert code == 0
        text += f"$ pipeprof fleet {' '.join(words)}\n{out}\n"
    golden("fleet/questions.txt", text)
