"""Dropout with cheap masks: drawing them takes a third of a training step on a CPU otherwise."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

#: random integers that decide for an element of each type
_BITS = {torch.float32: torch.int16, torch.bfloat16: torch.int8}


def dropout(x: Tensor, p: float, training: bool, relu: bool = False) -> Tensor:
    """Inverted dropout, after a ReLU if asked for.

    Parameters
    ----------
    x : torch.Tensor
        With `relu`, changed in place where no gradient is recorded.
    p : float
        Probability of dropping an element, in [0, 1).
    training : bool
        Without it nothing is dropped.
    relu : bool
        Apply a ReLU first; on a CPU one mask then serves both.

    Returns
    -------
    torch.Tensor of the shape of `x`
        Elements kept are scaled by 1 / (1 - p).
    """
    if not training or p == 0:
        # a fresh output of the size of a feed-forward layer costs more than the ReLU itself
        return functional.relu(x, inplace=not torch.is_grad_enabled()) if relu else x
    if x.device.type == "cpu" and x.dtype in _BITS:
        masked: Tensor = _CpuDropout.apply(x, p, relu)  # type: ignore[no-untyped-call]
        return masked
    return functional.dropout(functional.relu(x) if relu else x, p)


class _CpuDropout(torch.autograd.Function):
    """Dropout on 16 random bits an element: about 5 times as fast as torch's Bernoulli draws.

    8 bits in bfloat16, whose 8 significant bits hold them exactly. p is rounded to a multiple of
    2^-16 (2^-8), and the scale fits the rounded p. aten.threshold_backward (x where gate >
    threshold, else 0) is the fastest masking there is on a CPU.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, p: float, relu: bool) -> Tensor:
        draw = torch.iinfo(_BITS[x.dtype])
        levels = draw.max - draw.min + 1
        dropped = min(round(p * levels), levels - 1)
        bits = torch.empty(-(-x.numel() * draw.bits // 64), dtype=torch.int64)
        bits.random_(-(2**63), None)
        gate = bits.view(_BITS[x.dtype])[: x.numel()].view(x.shape).to(x.dtype)
        ctx.scale, ctx.threshold = levels / (levels - dropped), draw.min + dropped - 1
        y: Tensor = torch.ops.aten.threshold_backward(x, gate, ctx.threshold).mul_(ctx.scale)
        if relu:  # then the result itself tells which elements passed
            gate, ctx.threshold = y.relu_(), 0
        ctx.save_for_backward(gate)
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (gate,) = ctx.saved_tensors
        passed = torch.ops.aten.threshold_backward(grad, gate, ctx.threshold)
        return passed.mul_(ctx.scale), None, None
