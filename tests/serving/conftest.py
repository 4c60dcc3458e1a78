"""Tiny pyfunc models of both pipelines, made once."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tests.rna import tiny_network

from priorwise.learn.network_folder import write_model
from priorwise.spectra.encoder import SpectrumClassifier
from priorwise.spectra.settings import SettingsStats

ARCHITECTURE = {
    "d_model": 16,
    "n_layers": 2,
    "dropout": 0.3,
    "hidden_fc1": 8,
    "instrument_embedding_dim": 4,
}
STATS = SettingsStats(
    mean=tuple(np.linspace(1, 40, 14)),
    std=tuple(np.linspace(0.5, 9, 14)),
    n_known=(100,) * 14,
    n_rows=100,
    source="train_data",
)


def network_folder(folder: Path, **description) -> Path:
    """A network folder with random weights."""
    torch.manual_seed(3)
    network = SpectrumClassifier(**ARCHITECTURE)
    # larger weights than at the start of a training: answers spread over [0, 1]
    state = {name: value * 1.5 for name, value in network.state_dict().items()}
    for name in state:
        if name.endswith("_term"):
            state[name] = network.state_dict()[name]
    said = {"phase": "nnpu_train", "polarity": "both", "schema": "spectra/1", **description}
    write_model(folder, ARCHITECTURE, state, said)
    return folder


@pytest.fixture(scope="session")
def network(tmp_path_factory) -> Path:
    """Network folder of a model for both polarities, with a threshold and statistics."""
    import json

    return network_folder(
        tmp_path_factory.mktemp("network") / "network",
        threshold=0.6,
        rule="percentile 5",
        settings_stats=json.loads(STATS.to_json()),
        training_run="a" * 32,
    )


@pytest.fixture(scope="session")
def pyfunc(network, tmp_path_factory) -> Path:
    """The same as an MLflow model."""
    from priorwise.serving.spectra_package import SPECTRA

    target = tmp_path_factory.mktemp("pyfunc") / "model"
    SPECTRA.write(network, target, "m-" + "0" * 32, "a" * 32)
    return target


@pytest.fixture(scope="session")
def model(pyfunc):
    """The loaded model."""
    import mlflow

    return mlflow.pyfunc.load_model(str(pyfunc))


@pytest.fixture(scope="session")
def rna_network(tmp_path_factory) -> Path:
    """Network folder of an RNA model with a threshold of .4, which decodes nested structures."""
    return tiny_network.network_folder(tmp_path_factory.mktemp("rna_network") / "network")


@pytest.fixture(scope="session")
def rna_pyfunc(rna_network, tmp_path_factory) -> Path:
    """The same as an MLflow model."""
    from priorwise.serving.rna_package import RNA

    target = tmp_path_factory.mktemp("rna_pyfunc") / "model"
    RNA.write(rna_network, target, "m-" + "1" * 32, "a" * 32)
    return target


@pytest.fixture(scope="session")
def rna_model(rna_pyfunc):
    """The loaded RNA model."""
    import mlflow

    return mlflow.pyfunc.load_model(str(rna_pyfunc))
