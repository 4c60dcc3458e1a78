"""The network: peaks, precursor m/z and instrument settings in, one logit out.

Plain torch. Names and shapes of the state dict are those of the checkpoints of
bittremieuxlab/pu_ms2_identifiability, whose encoder is depthcharge-ms 0.5.0's
`SpectrumTransformerEncoder`; those load unchanged and give the same logits. Only token 0 of the
last layer is read, so only token 0 is computed there.
"""

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from priorwise.learn.dropout import dropout

#: length of `instrument_settings` (`spectra.schema.N_SETTINGS`; not imported: it needs pyarrow)
N_SETTINGS = 22
#: AdamW's epsilon in the published training
ADAMW_EPS = 1e-4
#: on a CPU so many tokens go through the layers at once: what a layer leaves is then still in the
#: cache when the next one, or the way back, wants it (half as fast again as whole batches)
CPU_TOKENS = 4096


class SpectrumClassifier(nn.Module):
    """Logit that the MS2 scan to follow is identifiable.

    Parameters
    ----------
    d_model : int
        Width; even, at least 4, divisible by `nhead`.
    n_layers : int
        Transformer layers, at least 1.
    dropout : float
        Dropout probability of layers, attention weights and heads, in [0, 1).
    hidden_fc1 : int
        Width of the first layer on the settings.
    instrument_embedding_dim : int
        Width of the second.
    nhead : int
        Attention heads.
    dim_feedforward : int
        Width of the feed-forward blocks.

    Raises
    ------
    ValueError
        If an argument is out of its range; the message names it.
    """

    def __init__(
        self,
        d_model: int = 128,
        n_layers: int = 2,
        dropout: float = 0.3,
        hidden_fc1: int = 64,
        instrument_embedding_dim: int = 16,
        nhead: int = 8,
        dim_feedforward: int = 1024,
    ) -> None:
        super().__init__()
        sizes = {
            "n_layers": n_layers,
            "hidden_fc1": hidden_fc1,
            "instrument_embedding_dim": instrument_embedding_dim,
            "nhead": nhead,
            "dim_feedforward": dim_feedforward,
        }
        for name, size in sizes.items():
            if size < 1:
                raise ValueError(f"{name}: expected at least 1, got {size}")
        if d_model < 4 or d_model % 2:
            raise ValueError(f"d_model: expected an even number of at least 4, got {d_model}")
        if d_model % nhead:
            raise ValueError(f"d_model: {d_model} is not divisible by nhead = {nhead}")
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout: expected a probability in [0, 1), got {dropout}")
        self.dropout = dropout
        self.spectrum_encoder = _SpectrumEncoder(d_model, n_layers, dropout, nhead, dim_feedforward)
        self.fc_instrument_1 = nn.Linear(N_SETTINGS, hidden_fc1)
        self.fc_instrument_2 = nn.Linear(hidden_fc1, instrument_embedding_dim)
        self.fc_combined = nn.Linear(d_model + instrument_embedding_dim, d_model)
        self.fc_output = nn.Linear(d_model, 1)
        self.apply(_init_as_published)

    def forward(
        self, mz: Tensor, intensity: Tensor, settings: Tensor, precursor_mz: Tensor
    ) -> Tensor:
        """Logits of a batch.

        Parameters
        ----------
        mz : torch.Tensor of shape (n_rows, n_peaks)
            m/z of the MS1 peaks, Th; 0 in padding. Peak order does not matter.
        intensity : torch.Tensor of shape (n_rows, n_peaks)
            Their intensities, as in the table; 0 in padding.
        settings : torch.Tensor of shape (n_rows, 22)
            Instrument settings.
        precursor_mz : torch.Tensor of shape (n_rows,)
            Th.

        Returns
        -------
        torch.Tensor of shape (n_rows,)
            Logits; their sigmoid is the probability.

        Raises
        ------
        ValueError
            If the shapes do not fit together.
        """
        _check_shapes(mz, intensity, settings, precursor_mz)
        spectrum = self.spectrum_encoder(mz.float(), intensity.float(), precursor_mz.float())
        weight = self.fc_instrument_1.weight
        settings = functional.relu(self.fc_instrument_1(settings.to(weight.dtype)))
        settings = functional.relu(self.fc_instrument_2(self._drop(settings)))
        combined = functional.relu(self.fc_combined(torch.cat([spectrum, settings], dim=-1)))
        return self.fc_output(self._drop(combined)).squeeze(-1)

    def _drop(self, x: Tensor) -> Tensor:
        return dropout(x, self.dropout, self.training)


class _SpectrumEncoder(nn.Module):
    """Embedding of a spectrum: the last layer's token 0, which enters as the precursor m/z."""

    def __init__(
        self, d_model: int, n_layers: int, dropout: float, nhead: int, dim_feedforward: int
    ) -> None:
        super().__init__()
        self.peak_encoder = _PeakEncoder(d_model)
        layer = nn.TransformerEncoderLayer(
            d_model, nhead, dim_feedforward, dropout, batch_first=True
        )
        # holds the weights under their published names; its own forward is not used
        self.transformer_encoder = nn.TransformerEncoder(
            layer, n_layers, enable_nested_tensor=False
        )
        self.precursor_mz_encoder = _FloatEncoder(d_model, 1e-3, 1e4)
        self.low_precision = False

    def forward(self, mz: Tensor, intensity: Tensor, precursor_mz: Tensor) -> Tensor:
        rows = max(CPU_TOKENS // (mz.shape[1] + 1), 1)
        if mz.device.type != "cpu" or len(mz) <= rows:
            return self._encode(mz, intensity, precursor_mz)
        parts = zip(mz.split(rows), intensity.split(rows), precursor_mz.split(rows), strict=True)
        return torch.cat([self._encode(*part) for part in parts])

    def _encode(self, mz: Tensor, intensity: Tensor, precursor_mz: Tensor) -> Tensor:
        padding = functional.pad(mz + intensity == 0, (1, 0), value=False)
        *full, last = self.transformer_encoder.layers
        with self._precision(mz.device.type):
            peaks = self.peak_encoder(mz, intensity)
            precursor = self.precursor_mz_encoder(precursor_mz[:, None]).to(peaks.dtype)
            x = torch.cat([precursor, peaks], dim=1)
            for layer in full:
                x = _transform(layer, x, _attend(layer.self_attn, x, padding))
        x = x.to(last.linear1.weight.dtype)  # see `steady`
        return _transform(last, x[:, 0], _attend_from_first(last.self_attn, x, padding))

    def _precision(self, device: str) -> AbstractContextManager[Any]:
        # without bfloat16, what the trainer has chosen stays
        return torch.autocast(device, torch.bfloat16) if self.low_precision else nullcontext()


class _PeakEncoder(nn.Module):
    """Sinusoids of m/z and intensity, mixed down to d_model."""

    def __init__(self, d_model: int) -> None:
        super().__init__()
        self.mz_encoder = _FloatEncoder(d_model, 1e-3, 1e4)
        self.int_encoder = _FloatEncoder(d_model, 1e-6, 1.0)
        self.combiner = nn.Linear(2 * d_model, d_model, bias=False)

    def forward(self, mz: Tensor, intensity: Tensor) -> Tensor:
        encoded = torch.cat([self.mz_encoder(mz), self.int_encoder(intensity)], dim=-1)
        return self.combiner(encoded.to(self.combiner.weight.dtype))


class _FloatEncoder(nn.Module):
    """Sines, then cosines, of x over wavelengths in geometric progression.

    The terms are wavelength / 2 pi in float32, computed in the very order of depthcharge 0.5.0:
    intensities reach 1e10 times the shortest wavelength, where the last bit decides the sine.
    """

    def __init__(self, d_model: int, min_wavelength: float, max_wavelength: float) -> None:
        super().__init__()
        half = d_model // 2
        exponent = torch.arange(half).float() / (half - 1)
        terms = min_wavelength / (2 * math.pi) * (max_wavelength / min_wavelength) ** exponent
        self.register_buffer("sin_term", terms)
        self.register_buffer("cos_term", terms.clone())
        self.sin_term: Tensor
        self.cos_term: Tensor

    def forward(self, x: Tensor) -> Tensor:
        x = x[..., None]
        return torch.cat([torch.sin(x / self.sin_term), torch.cos(x / self.cos_term)], dim=-1)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "_FloatEncoder":
        """Follow the model to another device, but never to another precision."""
        terms = self.sin_term, self.cos_term
        super()._apply(fn, recurse)
        if self.sin_term.dtype != torch.float32:
            self.sin_term, self.cos_term = (t.to(self.sin_term.device) for t in terms)
        return self


def steady(network: SpectrumClassifier) -> SpectrumClassifier:
    """Ready a network to predict: the answer of a row is then the same in any batch, to 1e-12.

    All that follows the last full layer is computed for token 0 only, in matrix products of as many
    rows as the batch has. In float32 these are rounded by that number, to some 1e-6 of a
    probability; they are cheap, so they are computed in double precision.

    Parameters
    ----------
    network : SpectrumClassifier
        Changed in place.
    """
    encoder = network.spectrum_encoder.transformer_encoder
    last = encoder.layers[len(encoder.layers) - 1]
    heads = (network.fc_instrument_1, network.fc_instrument_2, network.fc_combined)
    for part in (last, *heads, network.fc_output):
        part.double()
    return network.eval()


def in_bfloat16(network: SpectrumClassifier, wanted: bool = True) -> SpectrumClassifier:
    """Have all layers but the last one and the heads computed in bfloat16, sums in float32.

    These are nearly all of the work, and nothing rounds the logits: they stay apart as finely as
    before, though each may be off by some hundredths.

    Parameters
    ----------
    network : SpectrumClassifier
        Changed in place; its weights are not.
    wanted : bool
        False: in float32 again.
    """
    network.spectrum_encoder.low_precision = wanted
    return network


def parameter_groups(
    model: SpectrumClassifier, encoder_lr: float, linear_lr: float, weight_decay: float
) -> list[dict[str, Any]]:
    """Two groups for `torch.optim.AdamW(..., eps=ADAMW_EPS)`: spectrum encoder, then heads.

    Parameters
    ----------
    model : SpectrumClassifier
    encoder_lr, linear_lr : float
        Learning rates of the encoder and of the four `fc_*` layers.
    weight_decay : float
        Of both.

    Returns
    -------
    list of dict
        Keys: name, params, lr, weight_decay.
    """
    encoder = list(model.spectrum_encoder.parameters())
    known = {id(p) for p in encoder}
    heads = [p for p in model.parameters() if id(p) not in known]
    return [
        {"name": "encoder", "params": encoder, "lr": encoder_lr, "weight_decay": weight_decay},
        {"name": "heads", "params": heads, "lr": linear_lr, "weight_decay": weight_decay},
    ]


def _transform(layer: nn.TransformerEncoderLayer, x: Tensor, attended: Tensor) -> Tensor:
    """Finish a post-norm layer after its attention, on any number of tokens."""
    p, training = layer.dropout.p, layer.training
    x = layer.norm1(x + dropout(attended, p, training))
    hidden = dropout(layer.linear1(x), p, training, relu=True)
    return layer.norm2(x + dropout(layer.linear2(hidden), p, training))


def _attend(attention: nn.MultiheadAttention, x: Tensor, padding: Tensor) -> Tensor:
    """Self-attention of all tokens, (n_rows, n_tokens, d_model)."""
    b, t, d = x.shape
    qkv = functional.linear(x, attention.in_proj_weight, attention.in_proj_bias)
    q, k, v = qkv.view(b, t, 3, attention.num_heads, attention.head_dim).permute(2, 0, 3, 1, 4)
    p = attention.dropout if attention.training else 0.0
    if p and x.device.type == "cpu":  # no fused kernel with dropout there
        scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)
        scores.masked_fill_(padding[:, None, None, :], -math.inf)
        out = dropout(scores.softmax(-1).to(v.dtype), p, True) @ v
    else:
        out = functional.scaled_dot_product_attention(
            q, k, v, ~padding[:, None, None, :], dropout_p=p
        )
    return attention.out_proj(out.transpose(1, 2).reshape(b, t, d))


def _attend_from_first(attention: nn.MultiheadAttention, x: Tensor, padding: Tensor) -> Tensor:
    """Self-attention of token 0 only, (n_rows, d_model).

    With one query, keys and values need not be made for each token: with x_t a token and a_t its
    weight, q.(W_k x_t) = (W_k' q).x_t and sum a_t (W_v x_t + b_v) = W_v sum a_t x_t + b_v sum a_t.
    The key bias shifts all scores of a query alike, which softmax ignores.
    """
    heads, d = attention.num_heads, x.shape[-1]
    w_q, w_k, w_v = attention.in_proj_weight.view(3, heads, d // heads, d)
    b_q, _, b_v = attention.in_proj_bias.view(3, heads, d // heads)
    q = (torch.einsum("bd,hed->bhe", x[:, 0], w_q) + b_q) * (d // heads) ** -0.5
    scores = torch.einsum("bhe,hed->bhd", q, w_k) @ x.transpose(1, 2)
    scores.masked_fill_(padding[:, None, :], -math.inf)
    weights = dropout(scores.softmax(-1).to(x.dtype), attention.dropout, attention.training)
    out = torch.einsum("bhd,hed->bhe", weights @ x, w_v) + b_v * weights.sum(-1, keepdim=True)
    return attention.out_proj(out.flatten(1))


def _init_as_published(module: nn.Module) -> None:
    """Kaiming-normal weights and zero biases of linear layers; the rest keeps torch's default."""
    if isinstance(module, nn.Linear):
        nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def _check_shapes(mz: Tensor, intensity: Tensor, settings: Tensor, precursor_mz: Tensor) -> None:
    if mz.ndim != 2:
        raise ValueError(f"mz: expected shape (n_rows, n_peaks), got {tuple(mz.shape)}")
    n_rows = mz.shape[0]
    for name, x, shape in (
        ("intensity", intensity, tuple(mz.shape)),
        ("settings", settings, (n_rows, N_SETTINGS)),
        ("precursor_mz", precursor_mz, (n_rows,)),
    ):
        if tuple(x.shape) != shape:
            raise ValueError(f"{name}: expected shape {shape}, got {tuple(x.shape)}")
