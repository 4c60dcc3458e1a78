"""A published checkpoint: imported, registered, loadable at once; anything else refused."""

import json
import os

import mlflow
import numpy as np
import pandas as pd
import pytest
import torch
from tests.pipelines.workplace import Workplace, own_process
from tests.serving.frames import raw_frame

from priorwise.spectra.checkpoint import load_network
from priorwise.spectra.encoder import SpectrumClassifier
from priorwise.spectra.facts import inspect
from priorwise.spectra.read_rows import load_rows
from priorwise.spectra.saved_model import load_saved_model
from priorwise.spectra.schema import NUMERIC_SETTINGS
from priorwise.spectra.scoring import score_rows

HPARAMS = {
    "d_model": 16,
    "n_layers": 2,
    "dropout": 0.3,
    "lr": 0.001,
    "hidden_fc1": 64,
    "instrument_embedding_dim": 16,
    "encoder_lr": 5e-6,
    "linear_lr": 1e-5,
    "weight_decay": 1e-3,
    "optimizer_name": "AdamW",
    "validation_threshold": 0.5,
}
NNPU = {**HPARAMS, "prior_pos": 0.45, "prior_neg": 0.29}


def published(path, hparams=NNPU, **changed):
    """A file as Lightning writes it, with everything around the weights."""
    torch.manual_seed(5)
    network = SpectrumClassifier(16, 2, 0.3, 64, 16)
    content = {
        "epoch": 7,
        "global_step": 800,
        "pytorch-lightning_version": "2.5.0",
        "state_dict": network.state_dict(),
        "loops": {},
        "callbacks": {},
        "optimizer_states": [{"state": {}, "param_groups": [{"lr": 1e-5}]}],
        "lr_schedulers": [],
        "hparams_name": "kwargs",
        "hyper_parameters": hparams,
        **changed,
    }
    torch.save({key: value for key, value in content.items() if value is not None}, path)
    return path


@pytest.fixture
def place(workplace) -> Workplace:
    return workplace


def imported(place, **parameters):
    return place.phase("import_checkpoint", data=parameters.pop("data", ""), **parameters)


def loaded(place, address):
    with own_process(place):
        return mlflow.pyfunc.load_model(address)


def table_frame(folder, table="test_3/test_data") -> pd.DataFrame:
    from lance import dataset

    return dataset(str(folder / table)).to_table().to_pandas()


def test_nnpu_checkpoint(place, simulated, tmp_path):
    path = published(tmp_path / "best.ckpt")
    done = imported(
        place,
        checkpoint=path,
        name="from-paper",
        threshold=0.767,
        data=simulated,
        table="test_3/test_data",
    )
    assert done.code == 0, done.err
    assert "registered: models:/from-paper/1, both polarities, threshold 0.767" in done.out

    frame = table_frame(simulated)
    answer = loaded(place, "models:/from-paper/1").predict(frame)
    pinned, facts = inspect(str(simulated), "test_3/test_data")
    rows = load_rows(pinned)
    expected = score_rows(load_network(path), rows)
    assert answer["probability"].to_numpy() == pytest.approx(expected, abs=1e-6)
    assert (answer["identifiable"] == (answer["probability"] >= 0.767)).all()

    recall = np.mean(expected[frame["label"] == 1] >= 0.767)
    assert f"recall {recall:.4f}" in done.out and "published" in done.out
    run = place.run("import_checkpoint")
    metrics = {
        metric.key: metric
        for metric in place.client.get_logged_model(run.data.tags["model.id"]).metrics
    }
    assert metrics["recall"].value == pytest.approx(recall)
    assert metrics["recall"].dataset_digest == facts.digest

    by_predict = place.phase(
        "predict", model="models:/from-paper/1", table="test_3/test_data", polarity="both"
    )
    assert by_predict.code == 0, by_predict.err
    # the settings' statistics lie beside the table
    raw = loaded(place, "models:/from-paper/1").predict(raw_frame(), params={"raw": True})
    assert raw["probability"].between(0, 1).all()


def test_an_imported_model_can_be_given_a_threshold_and_judged(place, tmp_path):
    done = imported(place, checkpoint=published(tmp_path / "best.ckpt"))
    assert done.code == 0, done.err
    model = place.run("import_checkpoint").info.run_id
    refused = place.phase("select_threshold", model=model, rule="prior")
    assert refused.code == 2 and "label frequency c" in refused.err  # the file has pi only
    for phase, wanted in (("select_threshold", model), ("evaluate", "auto")):
        done = place.phase(phase, model=wanted)
        assert done.code == 0, done.err
    judged = place.run("evaluate")
    assert "recall" in judged.data.metrics and "precision" not in judged.data.metrics


def test_bce_checkpoint_must_be_given_its_polarity(place, tmp_path):
    path = published(tmp_path / "bce.ckpt", HPARAMS)
    done = imported(place, checkpoint=path)
    assert done.code == 2 and "polarity" in done.err and "positive" in done.err
    done = imported(place, checkpoint=path, polarity="0", name="negative")
    assert done.code == 0, done.err
    saved = json.loads(
        (place.network_folder(place.run("import_checkpoint")) / "model.json").read_text()
    )
    assert (saved["polarity"], saved["priors"]) == ("negative", {})


def test_twice_is_a_second_version(place, tmp_path):
    path = published(tmp_path / "best.ckpt")
    for version in ("1", "2"):
        done = imported(place, checkpoint=path, name="twice")
        assert done.code == 0, done.err
        assert f"models:/twice/{version}" in done.out


def test_published_statistics(place, tmp_path):
    stats = {
        str(i): {"mean": i + 0.5, "std": float(i % 3), "name": name}
        for i, name in enumerate(NUMERIC_SETTINGS)
    }
    file = tmp_path / "training_stats.json"
    file.write_text(json.dumps(stats))
    path = published(tmp_path / "best.ckpt")
    assert imported(place, checkpoint=path, settings_stats=file).code == 0
    model = loaded(place, "models:/priorwise-imported/1")
    assert len(model.predict(raw_frame(), params={"raw": True})) == 8
    saved = json.loads(
        (place.network_folder(place.run("import_checkpoint")) / "model.json").read_text()
    )
    assert saved["settings_stats"]["std"][:4] == [1.0, 1.0, 2.0, 1.0]
    file.write_text("[" * 100_000)
    done = imported(place, checkpoint=path, settings_stats=file)
    assert done.code == 2 and "cannot be read as JSON" in done.err
    for spoilt in ({}, {**stats, "3": {"mean": 1}}, {**stats, "3": {**stats["4"]}}, []):
        file.write_text(json.dumps(spoilt))
        done = imported(place, checkpoint=path, settings_stats=file)
        assert done.code == 2 and "settings_stats" in done.err


class Evil:
    """Runs a command if it is unpickled."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


def test_nothing_in_a_checkpoint_is_run(place, tmp_path):
    marker = tmp_path / "ran"
    for number, content in enumerate(
        (
            {"hyper_parameters": Evil(marker)},
            {"hyper_parameters": {**NNPU, "lr": Evil(marker)}},
            {"callbacks": Evil(marker)},
        )
    ):
        path = published(tmp_path / f"evil{number}.ckpt", **content)
        done = imported(place, checkpoint=path)
        assert done.code == 2 and "refused" in done.err
    assert not marker.exists()


SMALL = {
    key: value[:1] for key, value in SpectrumClassifier(16, 2, 0.3, 64, 16).state_dict().items()
}
NAN = {
    key: value * np.nan
    for key, value in SpectrumClassifier(16, 2, 0.3, 64, 16).state_dict().items()
}


COMPLEX = {
    key: value.to(torch.complex64)
    for key, value in SpectrumClassifier(16, 2, 0.3, 64, 16).state_dict().items()
}
META = {
    key: value.to("meta")
    for key, value in SpectrumClassifier(16, 2, 0.3, 64, 16).state_dict().items()
}


@pytest.mark.parametrize(
    "changed",
    [
        {"state_dict": None},
        {"hyper_parameters": None},
        {"state_dict": {}},
        {"state_dict": SMALL},
        {"state_dict": NAN},
        {"state_dict": [1, 2]},
        {"state_dict": "weights"},
        {"hyper_parameters": "text"},
        {"hyper_parameters": {**NNPU, "d_model": 15}},
        {"hyper_parameters": {**NNPU, "d_model": "many"}},
        {"hyper_parameters": {**NNPU, "dropout": 7}},
        {"hyper_parameters": {**NNPU, "n_layers": 3}},
        {"hyper_parameters": {**NNPU, "n_layers": 10**7}},
        {"hyper_parameters": {**NNPU, "n_layers": np.inf}},
        {"hyper_parameters": {**NNPU, "d_model": 2**70}},
        {"hyper_parameters": {**NNPU, "d_model": 10**9}},
        {"hyper_parameters": {**NNPU, "hidden_fc1": 10**11}},
        {"state_dict": COMPLEX},
        {"state_dict": META},
    ],
    ids=lambda changed: next(iter(changed)),  # tensors change with each run, names must not
)
def test_files_of_something_else_are_refused(place, tmp_path, changed):
    path = tmp_path / "other.ckpt"
    published(path, **changed)
    done = imported(place, checkpoint=path)
    assert done.code == 2, done.out
    assert len(done.err.strip().splitlines()) == 1 and str(path) in done.err
    assert not place.client.search_registered_models()


def test_what_does_not_fit_is_named(place, tmp_path):
    weights = SpectrumClassifier(16, 2, 0.3, 64, 16).state_dict()
    bias = weights.pop("fc_output.bias")
    for state, said in (
        (weights, "fc_output.bias is missing"),
        ({**weights, "fc_output.bias": bias, "head.bias": bias}, "head.bias is not one of its"),
        ({**weights, "fc_output.bias": bias.repeat(2)}, "fc_output.bias has shape (2,), expected"),
    ):
        path = published(tmp_path / "other.ckpt", state_dict=state)
        done = imported(place, checkpoint=path)
        assert done.code == 2 and said in done.err


def test_odd_but_sound_checkpoints(place, tmp_path):
    weights = SpectrumClassifier(16, 2, 0.3, 64, 16).state_dict()
    first, second = (name for name in weights if name.endswith("linear1.bias"))
    states = {
        "shared memory": {**weights, first: weights[second]},
        "half": {name: value.half() for name, value in weights.items()},
        "bfloat16": {name: value.bfloat16() for name, value in weights.items()},
    }
    odd = {**NNPU, (1, 2): {"x": {(3,): np.nan}}, "t": torch.ones(2), "betas": (0.9, 0.99)}
    for name, state in states.items():
        path = published(tmp_path / f"{name}.ckpt", odd, state_dict=state)
        done = imported(place, checkpoint=path, name=name)
        assert done.code == 0, done.err
        run = place.run("import_checkpoint")
        noted = json.loads(place.artifact(run, "published_hparams.json").read_text())
        assert noted["(1, 2)"] == {"x": {"(3,)": "nan"}} and noted["betas"] == [0.9, 0.99]
        assert load_saved_model(place.network_folder(run)).modes == ("positive", "negative")


@pytest.mark.parametrize(
    "content", [b"", b"text", b"PK\x03\x04 cut off"], ids=["empty", "text", "cut off"]
)
def test_no_checkpoints_at_all(place, tmp_path, content):
    path = tmp_path / "file.ckpt"
    path.write_bytes(content)
    done = imported(place, checkpoint=path)
    assert done.code == 2 and str(path) in done.err


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"checkpoint": "/nowhere/best.ckpt"}, "no such file"),
        ({"checkpoint": "https://example.org/best.ckpt"}, "download it first"),
        ({"checkpoint": "s3://bucket/best.ckpt"}, "download it first"),
        ({"checkpoint": ""}, "checkpoint"),
        ({"name": "a/b"}, "name"),
        ({"name": "a:b"}, "name"),
        ({"threshold": 1.5}, "threshold"),
        ({"threshold": "nan"}, "threshold"),
        ({"polarity": "7"}, "polarity"),
        ({"settings_stats": "/nowhere.json"}, "settings_stats"),
        ({"data": "/nowhere"}, "/nowhere"),
        ({"checkpoint": "a" * 5000}, "cannot be read"),
        ({"out": "/dev/null/network"}, "cannot be made"),
        ({"out": "a" * 5000}, "cannot be made"),
    ],
)
def test_bad_parameters(place, tmp_path, parameters, said):
    given = {"checkpoint": published(tmp_path / "best.ckpt"), **parameters}
    done = imported(place, **given)
    assert done.code == 2 and said in done.err
    assert len(done.err.strip().splitlines()) == 1
