"""simulate, main, promote, score, rollback by `mlflow run`: on a file, and over HTTP with S3."""

import json
import os
import subprocess
import sys
from pathlib import Path

import boto3
import pandas as pd
import pytest
from tests.pipelines.stand_in_s3 import stand_in_s3
from tests.pipelines.tracking_server import tracking_server
from tests.pipelines.workplace import Workplace
from tests.spectra.generated_runs import cycles, write_mzml

WITH_PYFUNC = """
import json, sys
import mlflow, pandas as pd
from mlflow.models import Model
found = mlflow.pyfunc.load_model(sys.argv[1]).predict(pd.read_json(sys.argv[2], orient="split"))
print(json.dumps(found["probability"].tolist()))
"""


def ran(place: Workplace, project: Path, phase: str, **parameters) -> str:
    """Run an entry point with `mlflow run` and nothing but these parameters; what it printed."""
    process = place.mlflow_run(project, phase, **parameters)
    assert process.wait(400) == 0, place.stdout[-3000:] + place.stderr[-3000:]
    return place.stdout


def champion(place: Workplace):
    return place.client.get_model_version_by_alias("priorwise-spectra", "champion")


def done(place: Workplace, phase: str, **parameters) -> str:
    """The same in this process, which spares the start of another; what it printed."""
    outcome = place.phase(phase, **parameters)
    assert outcome.code == 0, outcome.err
    return outcome.out


def walk(place: Workplace, project: Path) -> None:
    """The whole path; every step finds what the one before left on the server."""
    data = place.folder / "data"
    ran(place, project, "simulate", out=data)
    place.data = data
    ran(place, project, "main", scenarios="censoring")

    shown = ran(place, project, "promote", force="true")
    first = champion(place)
    assert str(first.version) == "1" and "version 1" in shown

    run_file = write_mzml(place.folder / "run_7.mzML", cycles(6, 3))
    scores = place.folder / "scores.csv"
    shown = ran(place, project, "score", inputs=run_file, out=scores)
    assert "run_7.mzML: 18 scans" in shown and "kept" in shown
    table = pd.read_csv(scores)
    assert len(table) == 18 and table["reason"].isna().all()
    assert (table["identifiable"] == (table["probability"] >= float(first.tags["threshold"]))).all()
    again = place.folder / "again.csv"
    done(place, "score", inputs=run_file, out=again)
    assert again.read_bytes() == scores.read_bytes()

    done(place, "main", scenarios="censoring", seed=2)
    done(place, "promote", force="true")
    second = champion(place)
    assert str(second.version) == "2" and second.tags["model.id"] != first.tags["model.id"]
    other = place.folder / "other.csv"
    done(place, "score", inputs=run_file, out=other)
    assert not pd.read_csv(other)["probability"].equals(table["probability"])

    ran(place, project, "promote", action="rollback")
    assert str(champion(place).version) == "1"
    back = place.folder / "back.csv"
    done(place, "score", inputs=run_file, out=back)
    assert back.read_bytes() == scores.read_bytes()
    shown = done(place, "promote", action="show")
    assert "rollback" in shown and "champion" in shown
    for run in place.runs():
        assert run.info.status == "FINISHED" and run.data.tags["complete"] == "true"


def agree(place: Workplace) -> None:
    """pyfunc, in a process of its own, gives what `predict` gives, to 1e-6."""
    from lance import dataset

    frame = dataset(str(place.data / "test_3" / "test_data")).to_table().to_pandas()
    columns = ["mz_array", "intensity_array", "precursor_mz", "instrument_settings"]
    example = place.folder / "frame.json"
    frame[columns].to_json(example, orient="split", double_precision=15)
    done = subprocess.run(
        [sys.executable, "-c", WITH_PYFUNC, "models:/priorwise-spectra@champion", str(example)],
        cwd=place.folder,
        env=place.shell() | {"MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    by_pyfunc = json.loads(done.stdout.splitlines()[-1])
    out = place.folder / "predicted.csv"
    model = "models:/priorwise-spectra@champion"
    table = "test_3/test_data"
    predicted = place.phase("predict", model=model, table=table, polarity="both", out=out)
    assert predicted.code == 0, predicted.err
    assert by_pyfunc == pytest.approx(pd.read_csv(out)["probability"].tolist(), abs=1e-6)
    lance = place.folder / "of_table.csv"
    scored = place.phase("score", inputs=place.data / table, out=lance)
    assert scored.code == 0, scored.err
    assert by_pyfunc == pytest.approx(pd.read_csv(lance)["probability"].tolist(), abs=1e-6)


@pytest.mark.slow
def test_on_a_file(empty_store, project, tmp_path):
    place = Workplace.copy_of(empty_store, tmp_path / "work", tmp_path / "data")
    walk(place, project)
    agree(place)


@pytest.mark.slow
def test_over_http_with_artifacts_on_s3(empty_store, project, tmp_path, monkeypatch):
    behind = Workplace.copy_of(empty_store, tmp_path / "store", tmp_path / "data")
    with stand_in_s3() as variables:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        boto3.client("s3", endpoint_url=variables["MLFLOW_S3_ENDPOINT_URL"]).create_bucket(
            Bucket="artifacts"
        )
        with tracking_server(behind, "s3://artifacts/runs", variables) as uri:
            # the client has no credentials: artifacts go through the server
            place = Workplace(
                tmp_path / "work", tmp_path / "data", uri, {"MLFLOW_EXPERIMENT_NAME": "on s3"}
            )
            place.folder.mkdir()
            for name in variables:
                monkeypatch.delenv(name)
            walk(place, project)
            agree(place)
            assert champion(place).source.startswith("models:/m-")
    assert not os.path.exists(tmp_path / "work" / "mlruns")
