"""A tiny RNA network with random weights: what becomes of its answers needs no training."""

from pathlib import Path
from typing import Any

import torch

from priorwise.learn.network_folder import write_model
from priorwise.rna.decoding import Decoder
from priorwise.rna.network import RnaNetwork, architecture

CONV = {
    "model_size": "tiny",
    "pair_head": "conv",
    "positions": "rotary",
    "pair_channels": 8,
    "pair_dilations": (1, 2, 1),
}
#: the published form; it knows as many positions as `max_len`, two of them for CLS and SEP
BILINEAR = {"model_size": "tiny", "pair_head": "bilinear", "positions": "learned", "max_len": 64}
FEATURES = ("turner2004", "langdon2018")


def network_folder(folder: Path, values: dict[str, Any] = CONV, **description: Any) -> Path:
    """Write a network folder whose pair probabilities spread over (0, 1)."""
    torch.manual_seed(5)
    network = RnaNetwork(**values)
    state = network.state_dict()
    # as at the start of a training, all would be near .007
    if "pairs.scale" in state:
        state["pairs.scale"] *= 3
        state["pairs.prior"] += 4
    else:
        state["pairs.out.weight"] *= 4
        state["pairs.out.bias"] += 4
    said = {
        "phase": "rna_pretrain",
        "schema": "rna/1",
        "decoder": Decoder(method="nested").to_dict(),
        "threshold": 0.4,
        "rule": "f1 on VL0",
        "training_run": "a" * 32,
        **description,
    }
    write_model(folder, architecture(**values), state, said)
    return folder


def feature_folder(folder: Path, **description: Any) -> Path:
    """The same of a network that takes pair probabilities beside the sequence."""
    values = {**CONV, "n_features": len(FEATURES)}
    return network_folder(folder, values, features=list(FEATURES), **description)
