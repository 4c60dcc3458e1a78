"""`doctor` on good and on broken stores: what it says, how it ends, and that it leaves nothing."""

import os
import shutil
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import boto3
import lance
import pandas as pd
import pyarrow as pa
import pytest
from mlflow.entities import ViewType
from tests.pipelines.stand_in_s3 import stand_in_s3
from tests.pipelines.tracking_server import tracking_server

from priorwise.phases import examinations
from priorwise.phases.doctor import COLUMNS, as_text
from priorwise.phases.examinations import Check, of_disks
from priorwise.store.probes import orphan_bytes
from priorwise.tracking import health


@pytest.fixture(scope="module")
def variables():
    with stand_in_s3() as found:
        yield found


@pytest.fixture
def bucket(variables):
    client = boto3.client(
        "s3", endpoint_url=variables["MLFLOW_S3_ENDPOINT_URL"], region_name="us-east-1",
        aws_access_key_id="test", aws_secret_access_key="test",
    )  # fmt: skip
    client.create_bucket(Bucket="bucket")
    return client


def examined(place, tmp_path, **given):
    """The table as a mapping of check to its row, and the outcome."""
    out = tmp_path / "table.csv"
    done = place.phase("doctor", out=out, **given)
    table = pd.read_csv(out, keep_default_na=False)
    assert list(table.columns) == list(COLUMNS)
    for row in table.itertuples():
        assert row[4] or row.state == "ok", "what is not ok says what to do"
    return done, {row.check: row for row in table.itertuples()}


def everything(folder: Path) -> dict[str, bytes]:
    """Names of all folders, names and contents of all files but the store's own."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b""
        for path in folder.rglob("*")
        if not path.name.startswith("mlflow.db")
    }


def rows_of(place) -> list:
    """What the store holds: experiments, their tags, runs, models."""
    experiments = place.client.search_experiments(view_type=ViewType.ALL)
    runs = place.client.search_runs([e.experiment_id for e in experiments], "", ViewType.ALL)
    names = [(e.name, e.lifecycle_stage, e.tags) for e in experiments]
    return [names, [run.info.run_id for run in runs], place.client.search_registered_models()]


def test_a_sound_place(workplace, tmp_path):
    before, rows = everything(workplace.folder), rows_of(workplace)
    done, table = examined(workplace, tmp_path, data=workplace.data)
    assert done.code == 0, done.out + done.err
    assert {row.state for row in table.values()} <= {"ok", "warn"}
    for name in ("python", "pins", "pickle", "tracking store", "artifact store", "open runs"):
        assert table[name].state == "ok", table[name]
    assert {"servers", "disk", "orphans"} <= set(table)
    assert everything(workplace.folder) == before
    assert rows_of(workplace) == rows


def test_the_table_is_aligned():
    checks = [Check("a", "ok", "x"), Check("longer", "bad", "a\nb", "do it")]
    lines = as_text(checks).splitlines()
    assert len(lines) == 3
    assert {line.index(word) for line, word in zip(lines, ("state", "ok", "bad"), strict=True)} == {
        8
    }
    assert lines[2].endswith("do it") and "a b" in lines[2]


def test_through_the_runner_it_makes_no_run_of_its_own(workplace, project):
    process = workplace.mlflow_run(project, "doctor")
    assert process.wait(180) == 0, workplace.stderr
    (run,) = workplace.runs()  # the runner's
    assert run.info.status == "FINISHED" and "complete" not in run.data.tags
    assert "0 RUNNING" in workplace.stdout


def test_a_store_that_is_not_there_yet_is_not_made(workplace, tmp_path):
    workplace.environment = {"MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/new.db"}
    done, table = examined(workplace, tmp_path)
    assert done.code == 0 and table["tracking store"].state == "warn"
    assert not (tmp_path / "new.db").exists()
    workplace.environment = {"MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/nope/new.db"}
    done, table = examined(workplace, tmp_path)
    assert done.code == 4 and table["tracking store"].state == "bad"


@pytest.mark.parametrize("address", ["http://127.0.0.1:9", "http://me:pass-word-9@127.0.0.1:9"])
def test_a_server_that_does_not_answer(workplace, tmp_path, address):
    workplace.environment = {"MLFLOW_TRACKING_URI": address}
    done, table = examined(workplace, tmp_path)
    assert done.code == 4
    assert table["tracking store"].state == "bad" and "127.0.0.1:9" in done.out
    assert done.err.strip().splitlines()[-1].startswith("priorwise doctor: 1 of ")
    assert "pass-word-9" not in done.out + done.err


def test_a_store_that_cannot_be_written(workplace, tmp_path, monkeypatch):
    """As a read-only replica: it answers, and refuses every change."""
    from mlflow.exceptions import MlflowException

    def refuse(*_, **__):
        raise MlflowException("attempt to write a readonly database")

    monkeypatch.setattr(health.MlflowClient, "set_experiment_tag", refuse)
    done, table = examined(workplace, tmp_path)
    assert done.code == 4 and "readonly" in table["tracking store"][3]
    assert table["artifact store"].state == "ok"


def test_artifacts_that_cannot_be_written(workplace, tmp_path):
    (tmp_path / "file").write_text("in the way")
    workplace.client.create_experiment("blocked", artifact_location=f"file://{tmp_path}/file/x")
    workplace.environment = {"MLFLOW_EXPERIMENT_NAME": "blocked"}
    done, table = examined(workplace, tmp_path)
    assert done.code == 4
    assert (table["tracking store"].state, table["artifact store"].state) == ("ok", "bad")


def test_a_deleted_experiment(workplace, tmp_path):
    gone = workplace.client.create_experiment("gone")
    workplace.client.delete_experiment(gone)
    workplace.environment = {"MLFLOW_EXPERIMENT_NAME": "gone"}
    done, table = examined(workplace, tmp_path)
    assert done.code == 4 and "is deleted" in table["tracking store"][3]


def test_open_runs_are_counted(workplace, tmp_path):
    for _ in range(3):
        workplace.client.create_run("0")
    done, table = examined(workplace, tmp_path)
    assert done.code == 0
    assert table["open runs"].state == "warn" and table["open runs"][3] == "3 RUNNING"


# --- object stores --------------------------------------------------------------------------------


def test_an_object_store_that_keeps_conditions(workplace, tmp_path, variables, bucket):
    workplace.client.create_experiment("remote", artifact_location="s3://bucket/runs")
    workplace.environment = {**variables, "MLFLOW_EXPERIMENT_NAME": "remote"}
    done, table = examined(workplace, tmp_path, data="s3://bucket/tables")
    assert done.code == 0, done.out
    assert done.out.count("(412)") == 2  # data and artifacts
    assert table["artifact store"].state == "ok"
    assert bucket.list_objects_v2(Bucket="bucket").get("KeyCount") == 0


def test_an_object_store_that_is_not_there(workplace, tmp_path, variables):
    workplace.environment = variables
    done, table = examined(workplace, tmp_path, data="s3://no-such-bucket/tables")
    assert done.code == 2 and table["conditional PUT"].state == "bad"
    assert table["tracking store"].state == "ok"


@pytest.fixture
def forgetful_store():
    """An object store as they were before 2024: it knows no condition on a PUT."""
    objects: dict[str, bytes] = {}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self, code: int, body: bytes = b"") -> None:
            self.send_response(code)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("ETag", '"0"')
            self.end_headers()
            self.wfile.write(body)

        def do_PUT(self) -> None:
            if "chunked" in self.headers.get("Content-Encoding", ""):
                raw = self.rfile.read(int(self.headers["Content-Length"]))
                body = raw.split(b"\r\n")[1]
            else:
                body = self.rfile.read(int(self.headers["Content-Length"]))
            objects[self.path] = body
            self.answer(200)

        def do_GET(self) -> None:
            self.answer(200 if self.path in objects else 404, objects.get(self.path, b""))

        def do_DELETE(self) -> None:
            objects.pop(self.path.partition("?")[0], None)
            self.answer(204)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}", objects
    server.shutdown()
    server.server_close()


def test_an_object_store_that_ignores_conditions(workplace, tmp_path, variables, forgetful_store):
    address, objects = forgetful_store
    workplace.environment = {**variables, "MLFLOW_S3_ENDPOINT_URL": address}
    done, table = examined(workplace, tmp_path, data="s3://bucket/tables")
    assert done.code == 2
    assert table["conditional PUT"].state == "bad" and "lose rows" in table["conditional PUT"][3]
    assert objects == {}


# --- disks, orphans, servers ----------------------------------------------------------------------


def test_a_disk_that_is_nearly_full(tmp_path, monkeypatch):
    free = shutil.disk_usage(tmp_path).free / 1e9
    checks = list(of_disks([str(tmp_path)], least_gb=free * 2))
    assert {check.state for check in checks} == {"bad"}
    assert {check.state for check in of_disks([str(tmp_path)], least_gb=free / 10)} == {"ok"}
    assert [c for c in of_disks(["s3://bucket/x", ""], free / 10)] != []  # this folder, always


def test_what_killed_writers_left_is_counted(tmp_path):
    table = pa.table({"a": list(range(1000))})
    lance.write_dataset(table, str(tmp_path / "data/t"))
    lance.write_dataset(table, str(tmp_path / "data/t"), mode="append")
    lance.write_dataset(table, str(tmp_path / "data/t"), mode="overwrite")
    assert orphan_bytes(str(tmp_path / "data")) == (0, 0)  # older versions are no orphans
    (tmp_path / "data/t/data/killed.lance").write_bytes(bytes(2_000_000))
    (tmp_path / "data/.partial-u-1/data").mkdir(parents=True)
    (tmp_path / "data/.partial-u-1/data/x.lance").write_bytes(bytes(500_000))
    assert orphan_bytes(str(tmp_path / "data")) == (2, 2_500_000)


def test_orphans_are_in_the_table(workplace, tmp_path):
    shutil.copytree(workplace.data / "train_data", tmp_path / "tables/train_data")
    (tmp_path / "tables/train_data/data/killed.lance").write_bytes(bytes(3_000_000))
    done, table = examined(workplace, tmp_path, data=tmp_path / "tables")
    assert done.code == 0
    assert table["orphans"].state == "warn" and "1 files, 3.0 MB" in table["orphans"][3]
    assert (tmp_path / "tables/train_data/data/killed.lance").exists()


def test_tables_are_read_whole(workplace, tmp_path):
    shutil.copytree(workplace.data / "train_data", tmp_path / "tables/train_data")
    done, table = examined(workplace, tmp_path, data=tmp_path / "tables")
    assert done.code == 0 and table["table"].state == "ok"
    assert "version 1: all rows read" in table["table"][3]
    assert "files as they were written" in table["table"][3]
    (path, *_) = sorted((tmp_path / "tables/train_data/data").iterdir())
    content = path.read_bytes()
    # of the same size and time: a cheap look would not notice
    path.write_bytes(content[:100] + bytes([content[100] ^ 1]) + content[101:])
    done, table = examined(workplace, tmp_path, data=tmp_path / "tables")
    assert done.code == 2 and table["table"].state == "bad"
    assert str(path) in table["table"][3]
    assert not (workplace.folder / ".priorwise").exists()


def test_versions_that_runs_need_are_named_and_read(workplace, tmp_path):
    shutil.copytree(workplace.data / "train_data", tmp_path / "tables/train_data")
    uri = str(tmp_path / "tables/train_data")
    lance.dataset(uri).tags.create("priorwise-" + "a" * 32, 1)
    rows = lance.dataset(uri).to_table().slice(0, 3)
    lance.write_dataset(rows, uri, mode="overwrite")
    done, table = examined(workplace, tmp_path, data=tmp_path / "tables")
    assert done.code == 0
    assert "a" * 32 in table["kept versions"][3] and table["kept versions"].state == "warn"
    assert "version 1, 2: " in table["table"][3]
    (path, *_) = sorted(
        (tmp_path / "tables/train_data/data").iterdir(), key=lambda p: p.stat().st_mtime
    )
    path.unlink()
    done, table = examined(workplace, tmp_path, data=tmp_path / "tables")
    assert done.code == 2 and f"{path}: is missing (version 1" in table["table"][3]


def test_files_without_a_digest_are_counted(workplace, tmp_path):
    shutil.copytree(workplace.data / "train_data", tmp_path / "tables/train_data")
    uri = str(tmp_path / "tables/train_data")
    lance.write_dataset(lance.dataset(uri).to_table().slice(0, 3), uri, mode="append")
    done, table = examined(workplace, tmp_path, data=tmp_path / "tables")
    assert done.code == 0 and table["table"].state == "warn"
    assert "1 without a digest" in table["table"][3]
    lance.dataset(uri).delete("precursor_mz < 600")
    for path in (tmp_path / "tables/train_data/_deletions").glob("*"):
        path.write_bytes(b"garbage")
    done, table = examined(workplace, tmp_path, data=tmp_path / "tables")
    assert done.code == 2 and "cannot be read whole" in table["table"][3]


def test_tables_of_any_kind_and_folders_that_are_none(workplace, tmp_path):
    odd = pa.table({"a": [{"b": 1}], "t": pa.array([0], pa.timestamp("s")), "x": [b"\0"]})
    lance.write_dataset(odd, str(tmp_path / "tables/odd"))
    (tmp_path / "tables/none/_versions").mkdir(parents=True)
    (tmp_path / "tables/none/_versions/a.txt").write_text("mine")
    (tmp_path / "tables/file").mkdir()
    (tmp_path / "tables/file/_versions").write_text("mine")
    (tmp_path / "tables/loop").symlink_to(tmp_path / "tables")
    done, table = examined(workplace, tmp_path, data=tmp_path / "tables")
    assert done.code == 0, done.out
    assert done.out.count("all rows read") == 1 and "odd" in table["table"][3]


def test_linked_tables_are_looked_at_and_an_empty_folder_is_pointed_out(workplace, tmp_path):
    shutil.copytree(workplace.data / "train_data", tmp_path / "elsewhere")
    (tmp_path / "tables").mkdir()
    done, table = examined(workplace, tmp_path, data=tmp_path / "tables")
    assert done.code == 0 and "no table in it" in table["table"][3]
    (tmp_path / "tables/linked").symlink_to(tmp_path / "elsewhere")
    min((tmp_path / "elsewhere/data").iterdir()).unlink()
    done, table = examined(workplace, tmp_path, data=tmp_path / "tables")
    assert done.code == 2 and "is missing" in table["table"][3]


def test_a_folder_that_cannot_be_read_is_named(monkeypatch, workplace, tmp_path):
    from priorwise.store import probes

    (tmp_path / "tables/shut").mkdir(parents=True)
    scandir = os.scandir

    def shut(path):
        if str(path).endswith("shut"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(probes.os, "scandir", shut)  # root may read everything
    done, table = examined(workplace, tmp_path, data=tmp_path / "tables")
    assert done.code == 2 and "shut: cannot be read" in table["table"][3]


def test_tables_in_an_object_store(workplace, tmp_path, variables, bucket):
    for path in (p for p in (workplace.data / "train_data").rglob("*") if p.is_file()):
        name = path.relative_to(workplace.data)
        bucket.upload_file(str(path), "bucket", f"there/{name}")
    workplace.environment = variables
    done, table = examined(workplace, tmp_path, data="s3://bucket/there")
    assert done.code == 0 and table["table"].state == "ok", done.out
    assert "s3://bucket/there/train_data" in table["table"][3]
    listed = bucket.list_objects_v2(Bucket="bucket", Prefix="there/train_data/data/")["Contents"]
    bucket.put_object(Bucket="bucket", Key=listed[0]["Key"], Body=b"short")
    done, table = examined(workplace, tmp_path, data="s3://bucket/there")
    assert done.code == 2 and "has 5 bytes instead of" in table["table"][3]
    for item in bucket.list_objects_v2(Bucket="bucket", Prefix="there/")["Contents"]:
        bucket.delete_object(Bucket="bucket", Key=item["Key"])


@pytest.mark.parametrize(
    ("uri", "host", "n"),
    [
        ("http://mlflow.example.org:5000", "", 1),
        ("https://mlflow.example.org", "", 0),
        ("http://10.0.0.5:5000", "0.0.0.0", 2),
        ("sqlite:///mlflow.db", "0.0.0.0", 1),
        ("sqlite:///mlflow.db", "127.0.0.1", 0),
        ("http://localhost:1", "", 0),
        ("http://[::1]:1", "", 0),
    ],
)
def test_servers_that_are_open_to_others(monkeypatch, uri, host, n):
    monkeypatch.setenv("MLFLOW_HOST", host)
    assert len(health.exposures(uri)) == n


@pytest.mark.parametrize(("bind", "open_to_others"), [("0.0.0.0", True), ("127.0.0.1", False)])
def test_a_local_server_is_asked_where_it_listens(monkeypatch, bind, open_to_others):
    monkeypatch.delenv("MLFLOW_HOST", raising=False)
    with socket.create_server((bind, 0)) as listening:
        found = health.exposures(f"http://127.0.0.1:{listening.getsockname()[1]}")
    assert bool(found) == open_to_others


def test_a_real_server(workplace, tmp_path):
    with tracking_server(workplace, tmp_path / "artifacts") as uri:
        workplace.environment = {"MLFLOW_TRACKING_URI": uri}
        workplace.client.create_experiment("proxied", "mlflow-artifacts:/proxied")
        workplace.environment |= {"MLFLOW_EXPERIMENT_NAME": "proxied"}
        done, table = examined(workplace, tmp_path)
    assert done.code == 0, done.out
    for name in ("tracking store", "artifact store", "servers"):
        assert table[name].state == "ok", table[name]
    assert not [path for path in (tmp_path / "artifacts").rglob("*") if path.is_file()]


# --- environment ----------------------------------------------------------------------------------


def test_pins_that_differ_are_named(tmp_path, monkeypatch):
    text = (examinations.PROJECT_ROOT / "conda.yaml").read_text()
    (tmp_path / "conda.yaml").write_text(
        text.replace("safetensors==", "safetensors==99.").replace("tqdm==", "no-such-package==")
    )
    monkeypatch.setattr(examinations, "PROJECT_ROOT", tmp_path)
    found = {check.name: check for check in examinations.of_environment()}
    assert found["pins"].state == "warn" and "pinned: 99." in found["pins"].found
    assert "no-such-package is missing" in found["pins"].found


def test_a_process_that_allows_pickle_is_bad(monkeypatch):
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "true")
    found = {check.name: check for check in examinations.of_environment()}
    assert found["pickle"].state == "bad"


def test_bad_parameters(workplace):
    for given in ({"data": "/no/such/folder"}, {"data": "x" * 5000}, {"out": workplace.folder}):
        done = workplace.phase("doctor", **given)
        assert done.code == 2 and len(done.err.strip().splitlines()) == 1
    assert os.environ.get("MLFLOW_RUN_ID") is None and workplace.runs() == []
