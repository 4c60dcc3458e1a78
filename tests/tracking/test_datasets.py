"""Lance tables as MLflow dataset inputs: written, found by digest, read back, in any process."""

import json
import os
import subprocess
import sys

import mlflow.data
import pytest
from mlflow.exceptions import MlflowException
from tests.tracking.synthetic_runs import DIGEST, OTHER_DIGEST, Runs

from priorwise.spectra.facts import inspect
from priorwise.tracking.datasets import LanceDatasetSource, lance_input
from priorwise.tracking.runs import RunTrack

URI = "s3://bucket/some table/train_data"
PROFILE = {"rows": 1500, "labelled": 331}


def reading(runs: Runs, *inputs) -> str:
    """Id of a run with these inputs."""
    run = runs.client.create_run(runs.experiment_id)
    RunTrack(runs.client, run.info.run_id, runs.experiment_id).inputs(list(inputs))
    return run.info.run_id


def test_input_is_read_back(runs):
    inputs = [
        lance_input("train_data", "training", URI, 7, DIGEST, PROFILE),
        lance_input("test_data", "test_1", "data/test", 1, OTHER_DIGEST, {"rows": 3}),
    ]
    stored = runs.client.get_run(reading(runs, *inputs)).inputs.dataset_inputs
    found = {i.tags[0].value: i for i in stored}
    assert set(found) == {"training", "test_1"}
    assert all(i.tags[0].key == "mlflow.data.context" for i in stored)
    dataset = found["training"].dataset
    assert (dataset.name, dataset.digest, dataset.source_type) == ("train_data", DIGEST, "lance")
    assert json.loads(dataset.profile) == PROFILE
    source = mlflow.data.get_source(dataset)
    assert isinstance(source, LanceDatasetSource)
    assert (source.uri, source.version, source.load()) == (URI, 7, URI)
    assert json.loads(source.to_json()) == {"uri": URI, "version": 7}


def test_runs_are_found_by_digest(runs):
    mine = reading(runs, lance_input("train_data", "training", URI, 7, DIGEST, PROFILE))
    reading(runs, lance_input("train_data", "training", URI, 8, OTHER_DIGEST, PROFILE))
    found = runs.client.search_runs([runs.experiment_id], f"dataset.digest = '{DIGEST}'")
    assert [run.info.run_id for run in found] == [mine]


def test_digest_of_a_real_table_fits(runs, simulated):
    pinned, facts = inspect(str(simulated), "train_data")
    assert 8 <= len(facts.digest) <= 36
    given = lance_input("train_data", "training", facts.uri, facts.version, facts.digest, PROFILE)
    dataset = runs.client.get_run(reading(runs, given)).inputs.dataset_inputs[0].dataset
    source = mlflow.data.get_source(dataset)
    assert inspect(source.load(), "train_data")[1].digest == facts.digest
    assert source.version == facts.version


def test_longer_digest_is_refused_by_mlflow(runs):
    """Why digests are cut: this limit is not ours."""
    with pytest.raises(MlflowException, match="36"):
        reading(runs, lance_input("t", "training", URI, 1, "d" * 37, PROFILE))


def test_the_same_input_twice_is_one(runs):
    given = lance_input("train_data", "training", URI, 7, DIGEST, PROFILE)
    run_id = reading(runs, given)
    RunTrack(runs.client, run_id, runs.experiment_id).inputs([given])
    assert len(runs.client.get_run(run_id).inputs.dataset_inputs) == 1


def test_nothing_is_guessed_to_be_a_lance_table(tmp_path):
    (tmp_path / "table.lance").mkdir()
    with pytest.raises(MlflowException):
        mlflow.data.dataset_source_registry.resolve_dataset_source(
            str(tmp_path / "table.lance"), candidate_sources=[LanceDatasetSource]
        )
    with pytest.raises(NotImplementedError, match="named explicitly"):
        LanceDatasetSource._resolve("x")


@pytest.mark.parametrize("broken", [{}, {"uri": "x"}, {"uri": "x", "version": "latest"}])
def test_half_a_source_is_an_error(broken):
    with pytest.raises((KeyError, ValueError)):
        LanceDatasetSource.from_dict(broken)


def test_source_is_read_back_in_a_process_that_only_imports_the_package():
    """A bare PYTHONPATH has no plugin entry point: the import itself registers the source."""
    code = (
        "import priorwise.tracking.datasets, mlflow.data\n"
        "from mlflow.entities import Dataset\n"
        "d = Dataset('t', 'd', 'lance', '{\"uri\": \"u\", \"version\": 3}')\n"
        "s = mlflow.data.get_source(d)\n"
        "print(type(s).__name__, s.uri, s.version)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, env=_bare()
    )
    assert done.stdout.split() == ["LanceDatasetSource", "u", "3"], done.stderr


def _bare() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
