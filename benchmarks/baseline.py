"""The published approach, written plainly: what a user would run instead, and ours is measured by.

depthcharge-ms 0.5.0's encoder, a data set that takes rows from Lance by their indices with all
their columns and makes tensors of each, batches padded to their longest row, every epoch metric and
every step's loss sent to the tracking server at once. Written from the description of the published
system; no line of it is copied.
"""

from collections.abc import Sequence
from typing import Any

import lance
import torch
from depthcharge.encoders import FloatEncoder
from depthcharge.transformers import SpectrumTransformerEncoder
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader, Dataset

Batch = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]


class PublishedEncoder(SpectrumTransformerEncoder):
    """A spectrum's embedding, with the precursor's m/z as token 0."""

    def __init__(self, d_model: int, n_layers: int, dropout: float) -> None:
        super().__init__(d_model=d_model, n_layers=n_layers, dropout=dropout)
        self.precursor_mz_encoder = FloatEncoder(d_model)

    def global_token_hook(
        self, mz_array: Tensor, intensity_array: Tensor, precursor_mz: Tensor, **_: Any
    ) -> Tensor:
        return self.precursor_mz_encoder(precursor_mz[:, None])[:, 0]


class PublishedNetwork(nn.Module):
    """Logits of a batch: `SpectrumClassifier` has the same weights under the same names."""

    def __init__(self, d_model: int = 128, n_layers: int = 2, dropout: float = 0.3) -> None:
        super().__init__()
        self.spectrum_encoder = PublishedEncoder(d_model, n_layers, dropout)
        self.fc_instrument_1 = nn.Linear(22, 64)
        self.fc_instrument_2 = nn.Linear(64, 16)
        self.fc_combined = nn.Linear(d_model + 16, d_model)
        self.fc_output = nn.Linear(d_model, 1)
        self.drop = nn.Dropout(dropout)

    def forward(
        self, mz: Tensor, intensity: Tensor, settings: Tensor, precursor_mz: Tensor
    ) -> Tensor:
        tokens, _ = self.spectrum_encoder(mz, intensity, precursor_mz=precursor_mz)
        settings = self.drop(self.fc_instrument_1(settings).relu())
        settings = self.fc_instrument_2(settings).relu()
        combined = torch.cat([tokens[:, 0], settings], dim=-1)
        return self.fc_output(self.drop(self.fc_combined(combined).relu()))[:, 0]


class PublishedRows(Dataset):
    """Rows of a table, taken from Lance whenever a batch wants them."""

    def __init__(self, uri: str) -> None:
        self._table = lance.dataset(uri)

    def __len__(self) -> int:
        return self._table.count_rows()

    def __getitems__(self, indices: Sequence[int]) -> list[dict[str, Tensor]]:
        columns = self._table.take(list(indices)).to_pydict()
        return [
            {
                "mz": torch.tensor(columns["mz_array"][row]),
                "intensity": torch.tensor(columns["intensity_array"][row]),
                "settings": torch.tensor(columns["instrument_settings"][row]),
                "precursor_mz": torch.tensor(columns["precursor_mz"][row]),
                "label": torch.tensor(columns["label"][row]),
            }
            for row in range(len(indices))
        ]


def padded(rows: list[dict[str, Tensor]]) -> Batch:
    """mz, intensity, settings, precursor_mz, label and polarity, padded to the longest row."""
    mz, intensity = (
        pad_sequence([row[name] for row in rows], batch_first=True) for name in ("mz", "intensity")
    )
    settings = torch.stack([row["settings"] for row in rows])
    precursor_mz = torch.stack([row["precursor_mz"] for row in rows])
    label = torch.stack([row["label"] for row in rows])
    return mz, intensity, settings, precursor_mz, label, settings[:, 15] > 0.5


def loader(uri: str, batch_size: int, shuffle: bool = True) -> DataLoader:
    """Batches of a table."""
    return DataLoader(PublishedRows(uri), batch_size, shuffle=shuffle, collate_fn=padded)


def nnpu_loss(logits: Tensor, batch: Batch, priors: tuple[float, float]) -> Tensor:
    """Kiryo's risk with a prior for each row's polarity, as published."""
    label, positive = batch[4] > 0.5, batch[5]
    pi = torch.where(positive, priors[0], priors[1])
    loss = nn.functional.softplus
    if not label.any() or label.all():
        return nn.functional.binary_cross_entropy_with_logits(logits, batch[4])
    positive_part = (pi * loss(-logits))[label].mean()
    negative_part = loss(logits)[~label].mean() - (pi * loss(logits))[label].mean()
    return positive_part + negative_part.clamp(min=0)


def optimizer_of(network: PublishedNetwork) -> torch.optim.Optimizer:
    """AdamW with the published rates."""
    heads = [p for name, p in network.named_parameters() if name.startswith("fc_")]
    encoder = list(network.spectrum_encoder.parameters())
    groups = [{"params": encoder, "lr": 5e-6}, {"params": heads, "lr": 1e-5}]
    return torch.optim.AdamW(groups, weight_decay=1e-3, eps=1e-4)


def step(
    network: PublishedNetwork,
    optimizer: torch.optim.Optimizer,
    batch: Batch,
    priors: tuple[float, float] = (0.45, 0.28),
) -> float:
    """One training step; its loss."""
    loss = nnpu_loss(network(*batch[:4]), batch, priors)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()
