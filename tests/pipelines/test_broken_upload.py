"""An object store that takes some of a run's files, and then no more."""

import pytest
from tests.pipelines.faulty_proxy import PASS, faulty_proxy
from tests.pipelines.stand_in_s3 import bucket_of_a_user, stand_in_s3
from tests.pipelines.test_resume import resumed

BUCKET = "artifacts"


@pytest.fixture(scope="module")
def proxied():
    """A proxy before a stand-in S3, and the variables of a user who knows the proxy only."""
    with stand_in_s3() as variables, faulty_proxy(variables["MLFLOW_S3_ENDPOINT_URL"]) as proxy:
        yield proxy, {**variables, "MLFLOW_S3_ENDPOINT_URL": proxy.uri, "AWS_MAX_ATTEMPTS": "2"}


@pytest.fixture
def store(workplace, proxied, monkeypatch):
    """A client of the object store, which keeps the artifacts of the workplace's runs."""
    _, variables = proxied
    client = bucket_of_a_user(variables, monkeypatch, BUCKET)
    workplace.client.create_experiment("remote", artifact_location=f"s3://{BUCKET}/runs")
    workplace.environment = {**variables, "MLFLOW_EXPERIMENT_NAME": "remote"}
    return client


def files_of(store, run):
    """Names of the run's artifacts, and their bytes."""
    prefix = f"runs/{run.info.run_id}/artifacts/"
    listed = store.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])
    keys = [item["Key"] for item in listed]
    return {
        key.removeprefix(prefix): store.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        for key in keys
    }


@pytest.mark.parametrize("taken", [1, 3, 20])
def test_a_run_whose_upload_broke_off_is_not_complete_and_goes_on(workplace, store, proxied, taken):
    proxy, _ = proxied
    assert workplace.phase("bce_pretrain", epochs=2).code == 0
    whole = files_of(store, workplace.run("bce_pretrain"))
    assert len(whole) > 5
    proxy.mode, proxy.spared = 503, taken
    done = workplace.phase("bce_pretrain", epochs=2, seed=2)
    proxy.mode = PASS
    assert proxy.spared == 0
    assert done.code == 4
    said = done.err.splitlines()[-1]
    assert "503" in said and "Traceback" not in done.err
    run = workplace.run("bce_pretrain")
    assert run.info.status == "FAILED" and run.data.tags["exit.code"] == "4"
    assert "complete" not in run.data.tags
    assert len(files_of(store, run)) < len(whole)
    assert f"resume={run.info.run_id}" in done.out + done.err
    refused = workplace.phase("estimate_prior", bce_run=run.info.run_id)
    assert refused.code == 3 and "FAILED" in refused.err
    again = resumed(workplace, run, epochs=2, seed=2)
    assert again.data.metrics["epochs_run"] == 2
    assert files_of(store, again).keys() == {
        name.replace(best_of(whole), best_of(files_of(store, again))) for name in whole
    }


def best_of(files):
    """Name of the best checkpoint, which tells its recall."""
    (name,) = {name for name in files if "best_model" in name and name.endswith(".ckpt")}
    return name.removesuffix(".ckpt")
