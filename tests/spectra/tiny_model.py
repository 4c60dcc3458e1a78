"""A small model with random weights: what `score` does with files does not depend on training."""

import json

import torch

from priorwise.learn.network_folder import write_model
from priorwise.spectra.encoder import SpectrumClassifier
from priorwise.spectra.saved_model import SavedModel, load_saved_model
from priorwise.spectra.schema import NUMERIC_SETTINGS
from priorwise.spectra.settings import SettingsStats

ARCHITECTURE = {"d_model": 16, "n_layers": 1, "instrument_embedding_dim": 4}
N = len(NUMERIC_SETTINGS)
STATS = SettingsStats((1.0,) * N, (2.0,) * N, (9,) * N, 9, "train_data")


def tiny_model(folder, stats=STATS, seed=0, architecture=ARCHITECTURE, **description) -> SavedModel:
    """Write a network folder, and read it back."""
    torch.manual_seed(seed)
    network = SpectrumClassifier(**architecture)
    about = {
        "polarity": "both",
        "settings_stats": json.loads(stats.to_json()) if stats else None,
        "priors": {},
        **description,
    }
    write_model(folder, architecture, network.state_dict(), about)
    return load_saved_model(folder)
