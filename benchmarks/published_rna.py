"""The published modules (genesis_rna), written anew from their description, to be run beside ours.

What they do is kept where it is wrong, too: padding is labelled and counted, pair logits are not
symmetric, losses are means over all cells. Where the description leaves a choice, the quicker one
is taken: the layers are torch's own, whose attention does not compute the weights it would return.

The training is in `published_rna_training.py`.
"""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from priorwise.rna.rows import RnaRows

PAD, MASK, CLS, SEP, A, C, G, U, N = range(9)
IDS = {"A": A, "C": C, "G": G, "U": U}
IGNORED = -100
#: loop type of specials and of padding, too
NONE, N_LOOPS = 0, 5
MAX_LEN = 512
#: d_model, heads, layers, d_ff
SIZES = {
    "small": (256, 4, 4, 1024),
    "base": (512, 8, 8, 2048),
    "large": (768, 12, 12, 3072),
    "0.7M": (128, 4, 3, 512),  # of the comparison at equal CPU time
}


def encode(sequence: str, max_len: int = MAX_LEN) -> NDArray[np.int64]:
    """CLS, the bases, SEP, padding; a letter that is not known, T among them, is N."""
    bases = [IDS.get(letter, N) for letter in sequence.upper()]
    tokens = np.full(max_len, PAD, np.int64)
    tokens[: len(bases) + 2] = [CLS, *bases, SEP][:max_len]  # SEP is the first to be cut off
    return tokens


def hide(tokens: NDArray[np.int64], rng: np.random.Generator) -> tuple[NDArray[np.int64], ...]:
    """What the network sees, and the labels: 15 % of the bases, 80/10/10."""
    asked = (tokens >= A) & (rng.random(tokens.shape) < 0.15)
    fate = rng.random(tokens.shape)
    seen = np.where(asked & (fate < 0.8), MASK, tokens)
    other = asked & (fate >= 0.8) & (fate < 0.9)
    seen[other] = rng.choice([A, C, G, U], int(other.sum()))
    return seen, np.where(asked, tokens, IGNORED)


class Batch(NamedTuple):
    """Sequences, all padded to `max_len`.

    Attributes
    ----------
    tokens, masked, labels, loops : torch.Tensor of shape (batch, max_len), int64
    present : torch.Tensor of shape (batch, max_len), float32
        1 for all tokens but padding.
    pairs : torch.Tensor of shape (batch, max_len, max_len), float32
        Dense, both triangles.
    """

    tokens: Tensor
    masked: Tensor
    labels: Tensor
    loops: Tensor
    present: Tensor
    pairs: Tensor

    def take(self, chosen: Tensor) -> "Batch":
        """Some of the sequences."""
        return Batch(*(value[chosen] for value in self))


def batch_of(
    rows: RnaRows, indices: Sequence[int], max_len: int, rng: np.random.Generator
) -> Batch:
    """Put rows together, each as arrays of full size, as the published data set does."""
    items = []
    for row in indices:
        tokens = encode(rows.sequence(row), max_len)
        seen, labels = hide(tokens, rng)
        loops = np.full(max_len, NONE, np.int64)
        own = rows.loops_of_row(row)[: max_len - 1]
        loops[1 : len(own) + 1] = own
        pairs = np.zeros((max_len, max_len), np.float32)
        i, j = (rows.pairs_of_row(row).T + 1).astype(int)
        inside = j < max_len
        pairs[i[inside], j[inside]] = pairs[j[inside], i[inside]] = 1
        items.append((tokens, seen, labels, loops, (tokens != PAD).astype(np.float32), pairs))
    return Batch(*(torch.from_numpy(np.stack(of)) for of in zip(*items, strict=True)))


class Answer(NamedTuple):
    """Logits of the tokens (..., 9), of the loop types (..., 5) and of the pairs (..., tokens)."""

    nucleotides: Tensor
    loops: Tensor
    pairs: Tensor

    def take(self, chosen: Tensor) -> "Answer":
        """Those of some sequences; the backward pass goes through the others all the same."""
        return Answer(*(value[chosen] for value in self))


class PublishedNetwork(nn.Module):
    """Post-norm encoder with learned positions, and three heads."""

    def __init__(
        self, d_model: int, n_heads: int, n_layers: int, d_ff: int, max_len: int = MAX_LEN
    ) -> None:
        super().__init__()
        self.tokens = nn.Embedding(9, d_model, padding_idx=PAD)
        self.places = nn.Embedding(max_len, d_model)
        self.first_norm = nn.LayerNorm(d_model, eps=1e-12)
        self.dropout = nn.Dropout(0.1)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                d_model,
                n_heads,
                d_ff,
                dropout=0.1,
                activation="gelu",
                layer_norm_eps=1e-12,
                batch_first=True,
                norm_first=False,
            )
            for _ in range(n_layers)
        )
        self.last_norm = nn.LayerNorm(d_model, eps=1e-12)
        self.nucleotides = nn.Sequential(
            nn.Linear(d_model, d_model),
            nn.GELU(),
            nn.LayerNorm(d_model, eps=1e-12),
            nn.Linear(d_model, 9),
        )
        self.loops = nn.Sequential(nn.Dropout(0.1), nn.Linear(d_model, N_LOOPS))
        self.left = nn.Linear(d_model, d_model, bias=False)
        self.right = nn.Linear(d_model, d_model, bias=False)
        self.scale = nn.Parameter(torch.ones(()))
        self.apply(_start)

    def forward(self, tokens: Tensor) -> Answer:
        """Logits of (batch, tokens) ids, specials and padding included."""
        x = self.tokens(tokens) + self.places(torch.arange(tokens.shape[1]))
        x = self.dropout(self.first_norm(x))
        for layer in self.layers:
            x = layer(x, src_key_padding_mask=tokens == PAD)
        x = self.last_norm(x)
        pairs = self.scale * self.left(x) @ self.right(x).transpose(1, 2)
        return Answer(self.nucleotides(x), self.loops(x), pairs)


def _start(module: nn.Module) -> None:
    """Spread .02: the pair logits of the small model then start with one of about 1.5."""
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=0.02)
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)
        if isinstance(module, nn.Embedding) and module.padding_idx is not None:
            with torch.no_grad():
                module.weight[module.padding_idx].zero_()


def published_network(size: str, max_len: int = MAX_LEN, seed: int = 1) -> PublishedNetwork:
    """A network of one of the `SIZES`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return PublishedNetwork(*SIZES[size], max_len=max_len)


def cell_mask(present: Tensor) -> Tensor:
    """1 for all cells of two tokens, CLS and SEP and the diagonal included."""
    return present[:, :, None] * present[:, None, :]


def pair_focal(
    logits: Tensor, targets: Tensor, present: Tensor, alpha: float = 0.75, gamma: float = 2.0
) -> Tensor:
    """Focal loss, mean over all L x L cells; without any pair a constant 0."""
    if not bool(targets.any()):
        return torch.zeros(())
    p = torch.sigmoid(logits)
    of_truth = targets * p + (1 - targets) * (1 - p)
    weight = targets * alpha + (1 - targets) * (1 - alpha)
    surprise = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    mask = cell_mask(present)
    return (weight * (1 - of_truth) ** gamma * surprise * mask).sum() / (mask.sum() + 1e-8)


def pair_bce(logits: Tensor, targets: Tensor, present: Tensor) -> Tensor:
    """Binary cross-entropy, mean over all L x L cells; without any pair a constant 0."""
    if not bool(targets.any()):
        return torch.zeros(())
    surprise = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    mask = cell_mask(present)
    return (surprise * mask).sum() / (mask.sum() + 1e-8)


def lr_factor(
    step: int, total: int, warmup: int, ratio: float = 0.1, kind: str = "cosine"
) -> float:
    """Of the learning rate; it rises again after the last step, and linear forgets the floor."""
    if step < warmup:
        return step / max(warmup, 1)
    done = (step - warmup) / max(total - warmup, 1)
    if kind == "cosine":
        return ratio + (1 - ratio) * 0.5 * (1 + math.cos(math.pi * done))
    return max(0.0, 1 - done) if kind == "linear" else 1.0


@torch.no_grad()
def pair_probabilities(
    network: PublishedNetwork, rows: RnaRows, max_len: int, size: int = 32
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Row and probabilities of all its pairs of bases, of whole sequences, made symmetric."""
    network.eval()
    for start in range(0, len(rows), size):
        indices = range(start, min(start + size, len(rows)))
        tokens = np.stack([encode(rows.sequence(row), max_len) for row in indices])
        logits = network(torch.from_numpy(tokens)).pairs
        found = torch.sigmoid((logits + logits.transpose(1, 2)) / 2).numpy()
        for row, cells in zip(indices, found, strict=True):
            n = int(rows.lengths[row])
            yield row, cells[1 : n + 1, 1 : n + 1]
