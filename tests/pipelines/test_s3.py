"""Tables in an object store: a stand-in S3 on this machine."""

from pathlib import Path

import pytest
from tests.pipelines.stand_in_s3 import bucket_of_a_user, stand_in_s3

from priorwise.errors import BadInput
from priorwise.spectra.facts import inspect
from priorwise.store.staging import staged

BUCKET = "tables"


@pytest.fixture(scope="module")
def credentials():
    with stand_in_s3() as variables:
        yield variables


@pytest.fixture
def store(credentials, monkeypatch):
    """A client of the stand-in; the variables are those of a user."""
    return bucket_of_a_user(credentials, monkeypatch, BUCKET)


@pytest.fixture
def remote(store, simulated):
    """Address of the tiny tables in the stand-in."""
    for path in sorted(simulated.rglob("*")):
        if path.is_file() and "truth" not in path.parts:
            store.upload_file(str(path), BUCKET, f"tiny/{path.relative_to(simulated)}")
    return f"s3://{BUCKET}/tiny"


def test_table_in_the_store_is_the_same_table(remote, simulated):
    _, there = inspect(remote, "train_data")
    _, here = inspect(str(simulated), "train_data")
    assert there.digest == here.digest
    assert (there.rows, there.labelled) == (here.rows, here.labelled)
    assert there.uri == f"{remote}/train_data"


def test_phases_read_from_the_store(workplace, remote, credentials):
    workplace.environment = credentials
    done = workplace.phase("dataset_stats", data=remote)
    assert done.code == 0, done.err
    local = workplace.phase("dataset_stats")
    rates = [line for line in done.out.splitlines() if "Rate" in line]
    assert rates == [line for line in local.out.splitlines() if "Rate" in line] != []
    done = workplace.phase("bce_pretrain", data=remote, epochs=1)
    assert done.code == 0, done.err
    there = workplace.run("bce_pretrain").data
    assert workplace.phase("bce_pretrain", epochs=1).code == 0
    assert there.metrics == workplace.run("bce_pretrain").data.metrics
    assert there.tags["fingerprint"] == workplace.run("bce_pretrain").data.tags["fingerprint"]


def test_artifacts_in_the_store(workplace, store, credentials):
    workplace.client.create_experiment("remote", artifact_location=f"s3://{BUCKET}/runs")
    workplace.environment = {**credentials, "MLFLOW_EXPERIMENT_NAME": "remote"}
    for phase in ("bce_pretrain", "estimate_prior"):
        done = workplace.phase(phase)
        assert done.code == 0, done.err
    run = workplace.run("bce_pretrain")
    keys = [o["Key"] for o in store.list_objects_v2(Bucket=BUCKET, Prefix="runs/")["Contents"]]
    wanted = f"runs/{run.info.run_id}/artifacts/{run.data.tags['checkpoint.path']}"
    assert wanted in keys


def test_missing_table(workplace, remote, credentials):
    workplace.environment = credentials
    for data in (f"{remote}/nope", "s3://no-such-bucket/x"):
        done = workplace.phase("dataset_stats", data=data)
        assert done.code == 2, done.err
        assert data in done.err


def test_staging_brings_a_prefix(remote, simulated):
    with staged(f"{remote}/validation_data") as folder:
        found = {p.name: p.read_bytes() for p in Path(folder).rglob("*") if p.is_file()}
    expected = simulated / "validation_data"
    assert found == {p.name: p.read_bytes() for p in expected.rglob("*") if p.is_file()}
    assert not Path(folder).exists()


def test_staging_brings_one_object(remote, simulated):
    with staged(f"{remote}/simulation.json") as path:
        assert Path(path).read_bytes() == (simulated / "simulation.json").read_bytes()


def test_staging_of_nothing(remote):
    for address in (f"{remote}/nope/", "s3://no-such-bucket/x"):
        with pytest.raises(BadInput, match=address), staged(address):
            pass


def test_staging_leaves_local_paths_alone(tmp_path):
    with staged(str(tmp_path)) as path:
        assert path == str(tmp_path)


def test_test_set_beside_tables_in_the_store_is_found(remote, credentials, after_phase_2):
    """The tables are bitwise those of phase 1, so its run fits, wherever they lie."""
    after_phase_2.environment |= credentials
    done = after_phase_2.phase("estimate_prior", polarity="positive", data=remote)
    assert done.code == 0, done.err
    assert f"{remote}/test_1/test_data" in done.out
