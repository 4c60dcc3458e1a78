"""Which tables runs saw, and what was measured of models on which of them."""

import pytest
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric

from priorwise.tracking.datasets import lance_input
from priorwise.tracking.evidence import RecordedTable, bound_metrics, dataset_inputs


@pytest.fixture
def model(runs):
    """A logged model; its id."""
    made = runs.client.create_logged_model(runs.experiment_id, "model")
    return made.model_id


def measure(runs, run_id, model, name, value, digest="d" * 32, when=1000):
    bound = {"dataset_name": "test_data", "dataset_digest": digest} if digest else {}
    metric = Metric(name, value, when, 0, model_id=model, **bound)
    runs.client.log_batch(run_id, metrics=[metric])


def test_dataset_inputs(runs):
    run_id = runs.run("nnpu_train", {})
    runs.client.log_inputs(
        run_id,
        [
            lance_input("train_data", "training", "/data/train_data", 3, "d" * 32, {"rows": 5}),
            lance_input("validation_data", "validation", "s3://b/v", 1, "e" * 32, {}),
        ],
    )
    assert dataset_inputs(runs.client, run_id) == {
        "training": RecordedTable("/data/train_data", 3, "d" * 32),
        "validation": RecordedTable("s3://b/v", 1, "e" * 32),
    }


def test_inputs_of_others_have_no_address(runs):
    run_id = runs.run("nnpu_train", {})
    foreign = Dataset("x", "f" * 8, "local", "not JSON")
    role = InputTag("mlflow.data.context", "training")
    runs.client.log_inputs(run_id, [DatasetInput(foreign, [role])])
    assert dataset_inputs(runs.client, run_id) == {"training": RecordedTable("", 0, "f" * 8)}


def test_no_inputs_and_no_run(runs):
    assert dataset_inputs(runs.client, runs.run("nnpu_train", {})) == {}
    assert dataset_inputs(runs.client, "0" * 32) == {}
    assert dataset_inputs(runs.client, "nonsense") == {}


def test_metrics_by_run_and_table(runs, model):
    first, second = runs.run("evaluate", {}), runs.run("evaluate", {})
    measure(runs, first, model, "recall", 0.9, when=1000)
    measure(runs, first, model, "q", 0.4, when=1001)
    measure(runs, first, model, "recall", 0.7, digest="e" * 32, when=1002)
    measure(runs, second, model, "recall", 0.8, when=2000)
    found = bound_metrics(runs.client, model)
    assert [(b.run_id, b.digest, b.when, dict(b.metrics)) for b in found] == [
        (second, "d" * 32, 2000, {"recall": 0.8}),
        (first, "e" * 32, 1002, {"recall": 0.7}),
        (first, "d" * 32, 1001, {"recall": 0.9, "q": 0.4}),
    ]
    assert {b.dataset for b in found} == {"test_data"}


def test_metrics_bound_to_no_table_do_not_count(runs, model):
    run_id = runs.run("nnpu_train", {})
    measure(runs, run_id, model, "recall", 1.0, digest="")
    assert bound_metrics(runs.client, model) == []


def test_another_models_metric_does_not_count(runs, model):
    other = runs.client.create_logged_model(runs.experiment_id, "other").model_id
    measure(runs, runs.run("evaluate", {}), other, "recall", 1.0)
    assert bound_metrics(runs.client, model) == []
