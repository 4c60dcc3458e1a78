"""The scale of a float16 gradient is in the checkpoint; on a CPU, where no user trains so."""

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.plugins.precision import MixedPrecision
from tests.pipelines.test_resume import (
    STEPS,
    assert_same,
    interrupted,
    left_by,
    resumed,
    signal_at,
    steps_of,
)

from priorwise.training import fit

#: pytest finds it by its name
__all__ = ["signal_at"]
FIRST_SCALE, GROWN_AFTER = 1024.0, 5


@pytest.fixture
def in_float16(monkeypatch):
    """Train as on a GPU, with a scale that doubles every 5 steps."""
    made = pl.Trainer

    def trainer(*, precision, plugins, **others):
        assert precision == "32-true"
        scaler = torch.amp.GradScaler("cpu", init_scale=FIRST_SCALE, growth_interval=GROWN_AFTER)
        scaled = MixedPrecision("16-mixed", "cpu", scaler)
        return made(plugins=[*plugins, scaled], **others)

    with monkeypatch.context() as patch:
        patch.setattr(fit.pl, "Trainer", trainer)
        yield


def scaler_of(place, run):
    """State of the scaler in the last checkpoint."""
    last = torch.load(place.artifact(run, "checkpoints/last.ckpt"), weights_only=True)
    return {name: last["MixedPrecision"][name] for name in ("scale", "_growth_tracker")}


@pytest.mark.parametrize("step", [STEPS + 3, 2 * STEPS - 1])
def test_a_resumed_training_has_the_scale_it_had(workplace, in_float16, signal_at, step):
    assert workplace.phase("bce_pretrain", epochs=3).code == 0
    whole = workplace.run("bce_pretrain")
    doublings = 3 * STEPS // GROWN_AFTER
    assert scaler_of(workplace, whole) == {
        "scale": FIRST_SCALE * 2**doublings,
        "_growth_tracker": 3 * STEPS % GROWN_AFTER,
    }
    signal_at("training_step", step)
    run = interrupted(workplace, epochs=3)
    at_the_stop = scaler_of(workplace, run)
    assert at_the_stop["scale"] > FIRST_SCALE
    again = resumed(workplace, run, epochs=3)
    assert scaler_of(workplace, again) == scaler_of(workplace, whole)
    assert steps_of(workplace, again) == steps_of(workplace, whole)
    assert_same(left_by(workplace, again), left_by(workplace, whole))
