"""Where the rows of a training are, and how precisely it computes, through the whole phase."""

import pandas as pd
import pytest
import torch

PACKED = ".priorwise/packed"


def trained(workplace, **parameters):
    done = workplace.phase("bce_pretrain", epochs=2, **parameters)
    assert done.code == 0, done.err
    run = workplace.run("bce_pretrain")
    last = torch.load(workplace.artifact(run, "checkpoints/last.ckpt"), weights_only=True)
    return pd.read_csv(workplace.artifact(run, "history.csv")), last["state_dict"]


def test_packed_rows_train_the_same_model_and_are_packed_once(workplace):
    history, weights = trained(workplace)
    packed_history, packed_weights = trained(workplace, rows="packed")
    pd.testing.assert_frame_equal(packed_history, history, check_exact=True)
    for key, value in weights.items():
        assert torch.equal(packed_weights[key], value), key
    packs = list((workplace.folder / PACKED).iterdir())
    assert len(packs) == 2  # training and validation, both polarities in one
    made = {path: path.stat().st_mtime_ns for path in packs}
    trained(workplace, rows="packed", polarity="negative")
    assert {p: p.stat().st_mtime_ns for p in (workplace.folder / PACKED).iterdir()} == made


def test_streamed_rows_train(workplace):
    """Blocks of 240 rows and more: here all in one, so that the order is another one only."""
    history, _ = trained(workplace, rows="streamed", length_window=4)
    again, _ = trained(workplace, rows="streamed", length_window=4, num_workers=1)
    pd.testing.assert_frame_equal(again, history, check_exact=True)
    assert history["val_loss"].iloc[-1] < history["val_loss"].iloc[0] * 1.1


@pytest.mark.parametrize("window", [1, 4])
def test_bfloat16_is_close(workplace, window):
    history, weights = trained(workplace, length_window=window)
    low_history, low_weights = trained(workplace, length_window=window, precision="bf16")
    assert low_history["val_loss"].tolist() == pytest.approx(history["val_loss"].tolist(), rel=0.05)
    assert any(not torch.equal(low_weights[key], value) for key, value in weights.items())
    assert {value.dtype for value in low_weights.values()} == {torch.float32}


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("rows", "disk"),
        ("precision", "16"),
        ("length_window", "0"),
        ("log_every_n_steps", "-1"),
    ],
)
def test_bad_values_are_refused(workplace, parameter, value):
    done = workplace.phase("bce_pretrain", **{parameter: value})
    assert done.code == 2 and parameter in done.err
    assert len(done.err.strip().splitlines()) == 1
