"""`predict` and `dataset_stats`, whose outputs users of the guide's scripts know."""

import lance
import mlflow
import numpy as np
import pandas as pd
import pytest
import torch
from tests.pipelines.workplace import own_process

from priorwise.spectra.checkpoint import read_checkpoint
from priorwise.spectra.checks import MODEL_COLUMNS
from priorwise.spectra.module import NETWORK_KEYS, SpectraModule
from priorwise.spectra.objective import Objective
from priorwise.spectra.read_rows import load_rows
from priorwise.store.tables import open_pinned

COLUMNS = ["original_index", "probability", "label", "precursor_mz"]
METADATA = ["usi", "mzml_filepath", "scan_number"]


@pytest.fixture
def place(after_phase_2):
    return after_phase_2


@pytest.fixture
def rows(simulated):
    """The validation rows of positive mode, in table order."""
    whole = lance.dataset(str(simulated / "validation_data")).to_table().to_pandas()
    positive = np.stack(whole["instrument_settings"])[:, 15] > 0.5
    return whole[positive]


def predicted(place, **parameters):
    path = place.folder / "out" / "predictions.csv"
    done = place.phase("predict", out=path, **parameters)
    assert done.code == 0, done.err
    return pd.read_csv(path)


def test_columns_in_table_order(place, rows):
    model = place.run("bce_pretrain", "positive").info.run_id
    found = predicted(place, model=model)
    assert list(found) == COLUMNS
    assert list(found["original_index"]) == list(rows.index)
    assert list(found["label"]) == list(rows["label"].astype(int))
    assert found["precursor_mz"].to_numpy() == pytest.approx(rows["precursor_mz"], rel=1e-6)
    assert found["probability"].between(0, 1).all() and found["probability"].nunique() > 10
    run = place.run("predict")
    assert place.artifact(run, "predictions.csv").exists()
    assert (
        run.data.tags["upstream.model"]
        == (place.run("bce_pretrain", "positive").data.tags["model.id"])
    )
    assert run.data.tags["complete"] == "true"
    again = predicted(place, model=model)
    assert again.equals(found)


def test_scores_are_those_the_prior_was_estimated_from(place):
    prior = place.run("estimate_prior", "positive")
    model = place.run("bce_pretrain", "positive").info.run_id
    data = place.data / "test_1"
    found = predicted(place, model=model, data=data, table="test_data")
    labelled = found.loc[found["label"] == 1, "probability"]
    assert labelled.mean() == pytest.approx(prior.data.metrics["c"], rel=1e-6)
    assert len(labelled) == prior.data.metrics["n_labelled"]


def test_metadata_on_request(place, rows):
    model = place.run("bce_pretrain", "positive").info.run_id
    found = predicted(place, model=model, fetch_metadata="true")
    assert list(found) == COLUMNS + METADATA
    assert list(found["scan_number"]) == list(rows["ms2_scan_number"])
    assert list(found["mzml_filepath"].fillna("")) == list(rows["mzml_filepath"].fillna(""))
    first, usi = rows.iloc[0], found["usi"][0]
    assert usi.startswith(f"mzspec:{first['dataset_id']}:")
    assert usi.endswith(f":scan:{first['ms2_scan_number']}")


def test_registered_model(place):
    run = place.run("bce_pretrain", "positive")
    client = place.client
    client.create_registered_model("tiny")
    model_id = run.data.tags["model.id"]
    with own_process(place):  # the registry looks the model up in the process's own store
        made = client.create_model_version(
            "tiny", f"models:/{model_id}", run.info.run_id, model_id=model_id
        )
    version = made.version
    client.set_registered_model_alias("tiny", "champion", version)
    by_run = predicted(place, model=run.info.run_id)
    assert predicted(place, model="models:/tiny@champion").equals(by_run)
    assert place.phase("predict", model="models:/tiny@nobody").code in (2, 4)


def test_predict_and_pyfunc_give_what_the_training_module_gives(place, simulated):
    """In float32, with all rows in one padded batch, as in the validation of an epoch."""
    run = place.run("bce_pretrain", "positive")
    architecture, state = read_checkpoint(place.checkpoint(run))
    rates = {"encoder_lr": 1e-3, "linear_lr": 1e-3, "weight_decay": 0.0, "seed": 1}
    network = {key: architecture[key] for key in NETWORK_KEYS}
    module = SpectraModule(network, Objective("bce"), **rates)
    module.network.load_state_dict(state)
    rows = load_rows(open_pinned(str(simulated / "validation_data")), "positive")
    with torch.inference_mode():
        logits = module.eval()(rows.assemble(list(range(len(rows)))))
    expected = torch.sigmoid(logits.double()).numpy()
    found = predicted(place, model=run.info.run_id)["probability"]
    assert found.to_numpy() == pytest.approx(expected, abs=1e-6)

    table = lance.dataset(str(simulated / "validation_data")).to_table().to_pandas()
    frame = table.iloc[rows.row.numpy()][list(MODEL_COLUMNS[:4])]
    answer = mlflow.pyfunc.load_model(str(place.model(run))).predict(frame)
    assert answer["probability"].to_numpy() == pytest.approx(expected, abs=1e-6)


def test_model_of_one_polarity_is_not_asked_about_the_other(place):
    model = place.run("bce_pretrain", "positive").info.run_id
    done = place.phase("predict", model=model, polarity="negative")
    assert done.code == 2
    assert model in done.err and "positive" in done.err


def test_positivity_rate_is_printed_as_in_the_guide(place, simulated):
    table = lance.dataset(str(simulated / "train_data")).to_table().to_pandas()
    positive = np.stack(table["instrument_settings"])[:, 15] > 0.5
    for polarity, mode, part in (
        ("1", "positive", table[positive]),
        ("negative", "negative", table[~positive]),
    ):
        done = place.phase("dataset_stats", polarity=polarity)
        assert done.code == 0, done.err
        s = part["label"].mean()
        assert f"Positivity Rate: {100 * s:.2f}%" in done.out.splitlines()
        assert f"Total samples matched: {len(part)}" in done.out
        run = place.run("dataset_stats")
        assert run.data.metrics["s"] == pytest.approx(s)
        assert run.data.tags["polarity"] == mode
    done = place.phase("dataset_stats")
    assert done.out.count("Positivity Rate: ") == 2
