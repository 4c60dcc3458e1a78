"""bfloat16 convolutions are used only where their gradients are numbers."""

import pytest
import torch
from tests.rna.made import hairpins

from priorwise.phases.rna_fit import BFLOAT16_CHANNELS, low_precision
from priorwise.phases.rna_options import RnaPretrain
from priorwise.rna.batches import assemble
from priorwise.rna.network import RnaNetwork
from priorwise.rna.objective import RnaObjective


@pytest.mark.parametrize("channels", [BFLOAT16_CHANNELS, 2 * BFLOAT16_CHANNELS])
def test_gradients_are_finite(channels):
    torch.manual_seed(0)
    network = RnaNetwork("tiny", "conv", "rotary", pair_channels=channels, pair_dilations=(1, 2, 4))
    network.pairs.low_precision = True
    rows = hairpins(8)
    batch = assemble(rows, list(range(8)))
    answer = network(batch.tokens, batch.present)
    objective = RnaObjective()
    objective.losses(objective.sums(answer, batch).over_all()).total.backward()
    assert all(torch.isfinite(p.grad).all() for p in network.parameters() if p.grad is not None)


def test_other_widths_are_trained_in_float32(capsys):
    assert not low_precision(RnaPretrain(fp16=True, pair_channels=24))
    assert "pair_channels=24 is no multiple of 16" in capsys.readouterr().out
