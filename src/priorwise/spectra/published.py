"""Files of bittremieuxlab/pu_ms2_identifiability: its checkpoints, its statistics of settings."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from priorwise.errors import BadInput
from priorwise.learn.checkpoint_file import read_plain
from priorwise.spectra.checkpoint import ARCHITECTURE
from priorwise.spectra.saved_model import build
from priorwise.spectra.schema import NUMERIC_SETTINGS
from priorwise.spectra.settings import SettingsStats

#: hyper-parameters that hold the prior of a polarity
PRIORS = {"positive": "prior_pos", "negative": "prior_neg"}


@dataclass(frozen=True)
class Published:
    """What is in a checkpoint, checked: weights that fit, plain hyper-parameters."""

    architecture: dict[str, Any]
    state: dict[str, Any]
    hparams: dict[str, Any]

    def priors(self, polarities: Iterable[str]) -> dict[str, dict[str, float]]:
        """Pi by polarity, where the file says; c and s are not in it."""
        found = {}
        for mode in polarities:
            value = self.hparams.get(PRIORS[mode])
            if isinstance(value, int | float) and 0 < value < 1:
                found[mode] = {"pi": float(value)}
        return found


def read_published(path: Path) -> Published:
    """Read a checkpoint with nothing of it being run.

    Raises
    ------
    BadInput
        If it is no such file, or not of this network.
    """
    try:
        there = path.is_file()
    except OSError as error:  # a name that is too long, a folder that is closed
        raise BadInput(f"checkpoint: {path}: cannot be read ({error.strerror})") from error
    if not there:
        raise BadInput(f"checkpoint: {path}: no such file")
    content = read_plain(path)
    try:
        hparams, state = content["hyper_parameters"], content["state_dict"]
        architecture = {key: hparams[key] for key in ARCHITECTURE if key in hparams}
        # what is copied to a model must be plain, whatever the file calls a number
        architecture = {k: v if k == "dropout" else int(v) for k, v in architecture.items()}
        architecture["dropout"] = float(architecture.get("dropout", 0.0))
        build(architecture, state)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise BadInput(
            f"checkpoint: {path}: is not one of this network (lacks or misstates {error})"
        ) from error
    except BadInput as error:
        raise BadInput(f"checkpoint: {path}: is not one of this network ({error})") from error
    return Published(architecture, state, dict(hparams))


def published_stats(content: dict[str, Any], where: str) -> SettingsStats:
    """Statistics in the authors' form: index -> mean, std and name of a setting."""
    try:
        rows = [content[str(index)] for index in range(len(NUMERIC_SETTINGS))]
        names = tuple(row["name"] for row in rows)
        mean = tuple(float(row["mean"]) for row in rows)
        std = tuple(float(row["std"]) or 1.0 for row in rows)
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(f"settings_stats: {where}: lacks or misstates {error}") from error
    if names != NUMERIC_SETTINGS:
        raise BadInput(f"settings_stats: {where}: its settings are not those of this version")
    if not all(map(math.isfinite, (*mean, *std))) or min(std) < 0:
        raise BadInput(f"settings_stats: {where}: expected finite means and deviations above 0")
    return SettingsStats(mean, std, (0,) * len(mean), 0, "published")
