"""Case 113: after whole runs, no key and no password is in store, artifacts, logs or files."""

from pathlib import Path

import boto3
import pytest
from tests.pipelines.stand_in_s3 import stand_in_s3
from tests.pipelines.tracking_server import tracking_server

from priorwise.tracking.secrets import scrub

PASSWORD = "Pa55-w0rd-of-the-server"
TOKEN = "t0ken-of-the-server"
ACCESS, SECRET, SESSION = "AKIAQ7EXAMPLEKEYID00", "s3cret/Key+of/aws/Q7Q7Q7Q7", "s3ssion-Q7Q7Q7"
WORDS = (PASSWORD, TOKEN, ACCESS, SECRET, SESSION)
KEYS = {
    "AWS_ACCESS_KEY_ID": ACCESS,
    "AWS_SECRET_ACCESS_KEY": SECRET,
    "AWS_SESSION_TOKEN": SESSION,
    "MLFLOW_TRACKING_TOKEN": TOKEN,
    "MLFLOW_TRACKING_PASSWORD": PASSWORD,
}


def leaks(*folders: Path) -> list[str]:
    """Files below the folders with one of the words in them or in their name."""
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    assert files
    return [
        f"{path.relative_to(path.parents[3])}: {word}"
        for path in files
        for word in WORDS
        if word.encode() in path.read_bytes() or word in str(path)
    ]


def test_the_search_can_find(tmp_path):
    for number in range(6):
        (tmp_path / "a" / "b" / "c").mkdir(parents=True, exist_ok=True)
        (tmp_path / "a" / "b" / "c" / f"{number}").write_text("x" * 10_000 + WORDS[number % 5])
    assert len(leaks(tmp_path)) == 6


@pytest.fixture(scope="module")
def store():
    with stand_in_s3() as variables:
        yield variables


def test_whole_runs_leave_no_secret(workplace, simulated, store, tmp_path):
    """A server with a password in its address, artifacts and data in an object store with keys."""
    endpoint = store["MLFLOW_S3_ENDPOINT_URL"]
    client = boto3.client(
        "s3", endpoint_url=endpoint, aws_access_key_id=ACCESS, aws_secret_access_key=SECRET,
        region_name="us-east-1",
    )  # fmt: skip
    client.create_bucket(Bucket="private")
    for path in sorted(simulated.rglob("*")):
        if path.is_file() and "truth" not in path.parts:
            client.upload_file(str(path), "private", f"tiny/{path.relative_to(simulated)}")
    workplace.environment = {**store, **KEYS}
    with tracking_server(workplace, tmp_path / "artifacts", {**store, **KEYS}) as uri:
        host = uri.removeprefix("http://")
        served = {"MLFLOW_TRACKING_URI": f"http://me:{PASSWORD}@{host}"}
        del workplace.environment["MLFLOW_TRACKING_TOKEN"]  # MLflow takes one or the other
        workplace.environment |= served
        said = []
        for phase, given in (
            ("dataset_stats", {}),
            ("bce_pretrain", {"epochs": 1}),
            ("predict", {}),
            ("evaluate", {"model": "x", "test_3": f"s3://me:{SECRET}@private/tiny"}),
            ("dataset_stats", {"table": "nope"}),
            ("dataset_stats", {"data": f"s3://me:{SECRET}@private/tiny"}),
            ("dataset_stats", {"data": f"https://me:{PASSWORD}@host/x?token={TOKEN}"}),
        ):
            if phase == "predict":
                run = workplace.run("bce_pretrain")
                given = {"model": run.info.run_id, "table": "validation_data"}
            done = workplace.phase(phase, **{"data": "s3://private/tiny", **given})
            said.append(done)
    codes = [done.code for done in said]
    assert codes == [0, 0, 0, 2, 2, 2, 2], [done.err for done in said]
    for done in said:
        assert not [word for word in WORDS if word in done.out + done.err], done.err
    assert leaks(workplace.folder, tmp_path / "artifacts") == []


def test_a_bug_is_shown_without_the_password(workplace, project):
    """What Python would print of an exception that nobody foresaw goes the same way."""
    (project / "entry_points" / "broken.py").write_text(
        "from priorwise import cli\n"
        "def broken(*_):\n"
        f"    raise RuntimeError('cannot reach http://me:{PASSWORD}@host/x')\n"
        "cli._execute = broken\ncli.run_entry('dataset_stats')\n"
    )
    process = workplace.script(project, "broken")
    code = process.wait(120)
    (project / "entry_points" / "broken.py").unlink()
    assert code == 1, workplace.stderr
    assert "RuntimeError: cannot reach http://me:***@host/x" in workplace.stderr
    assert "Traceback" in workplace.stderr and PASSWORD not in workplace.stderr


def test_a_server_that_is_gone_is_named_without_its_password(workplace):
    workplace.environment = {"MLFLOW_TRACKING_URI": f"http://me:{PASSWORD}@127.0.0.1:9", **KEYS}
    done = workplace.phase("dataset_stats")
    assert done.code == 4
    assert "127.0.0.1:9" in done.err and PASSWORD not in done.err


def test_wrong_keys_of_an_object_store_are_not_shown(workplace, store):
    workplace.environment = {
        **store,
        **KEYS,
        "MLFLOW_S3_ENDPOINT_URL": f"http://me:{PASSWORD}@x.invalid",
    }
    del workplace.environment["MLFLOW_TRACKING_TOKEN"]
    for data in ("s3://private/none", f"s3://me:{SECRET}@private/none"):
        done = workplace.phase("rna_prepare", source="files", inputs=data)
        assert done.code == 2
        assert not [word for word in WORDS if word in done.err + done.out]
    assert leaks(workplace.folder) == []


def test_the_link_to_the_run_table_still_works():
    link = "http://127.0.0.1:5000/#/experiments/0/runs?viewStateShareKey=priorwise"
    assert scrub(link) == link
    assert scrub(f"{link}&key=abcdefgh") == f"{link}&key=***"
    assert scrub("https://host/x?shareKey=abcdefgh") == "https://host/x?shareKey=***"
