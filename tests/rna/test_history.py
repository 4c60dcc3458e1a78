"""C8: the published file, byte for byte where it is a contract."""

import math

import pandas as pd
import pytest

from priorwise.errors import BadInput
from priorwise.rna.history import COLUMNS, PublishedHistory, by_epoch, read_metrics

#: as genesis_rna writes it
HEADER = (
    b"epoch,step,phase,loss,mlm_loss,structure_loss,pair_loss,mlm_accuracy,structure_accuracy,"
    b"pair_precision,pair_recall,pair_f1,learning_rate,activation_rate\n"
)
#: a file of genesis_rna: no accuracies of training, no component losses of validation
PUBLISHED = HEADER + (
    b"0,0,train,3.1,1.4,1.2,0.005,,,,,,0.0002,0.47\n"
    b"0,0,val,2.9,,,,0.25,0.8,0.0013,0.5,0.0027,0.0002,\n"
    b"1,25,train,2.5,1.3,1.1,0.004,,,,,,0.0001,0.41\n"
    b"1,25,val,2.0,,,,0.26,0.81,0.0,0.0,0.0,0.0001,\n"
)
MEASURES = COLUMNS[3:12]


class Heard:
    def __init__(self):
        self.epochs = []

    def epoch(self, metrics, step):
        self.epochs.append((step, dict(metrics)))

    def step(self, metrics, step):
        self.steps = (step, dict(metrics))


def metrics(epoch):
    found = {f"train_{name}": 0.1 + epoch for name in MEASURES}
    found |= {f"val_{name}": 0.2 + epoch for name in MEASURES}
    return {**found, "learning_rate": 1e-4, "activation_rate": 0.4, "val_strict_f1": 0.6}


def test_two_rows_an_epoch_in_the_published_form(tmp_path):
    heard = Heard()
    history = PublishedHistory(tmp_path / "run" / "training_metrics.csv", 25, heard)
    for epoch in range(2):
        history.epoch(metrics(epoch), epoch)
        assert heard.epochs[-1] == (epoch, metrics(epoch))
    content = history.path.read_bytes()
    assert content.startswith(HEADER) and len(HEADER.split(b",")) == 14
    train = ",".join(["1.1"] * 9)
    assert content.splitlines()[3].decode() == f"1,25,train,{train},0.0001,0.4"
    val = ",".join(["1.2"] * 9)
    assert content.splitlines()[4].decode() == f"1,25,val,{val},0.0001,"
    assert len(content.splitlines()) == 5 and content.endswith(b"\n") and b"\r" not in content


def test_what_is_read_is_what_was_measured(tmp_path):
    history = PublishedHistory(tmp_path / "m.csv", 7)
    history.epoch({**metrics(0), "val_pair_f1": 1 / 3, "train_loss": math.inf}, 0)
    frame = read_metrics(history.path)
    assert list(frame) == list(COLUMNS) and list(frame["phase"]) == ["train", "val"]
    assert frame["pair_f1"].tolist() == [0.1, 1 / 3] and frame["loss"][0] == math.inf
    assert frame["epoch"].dtype == frame["step"].dtype == int
    wide = by_epoch(frame)
    for name in MEASURES:
        assert wide[f"val_{name}"][0] == (1 / 3 if name == "pair_f1" else 0.2)
    assert (wide["learning_rate"][0], wide["activation_rate"][0]) == (1e-4, 0.4)


def test_epochs_redone_after_a_resume_are_replaced(tmp_path):
    history = PublishedHistory(tmp_path / "m.csv", 7)
    for epoch in (0, 1, 2, 1):
        history.epoch({**metrics(epoch), "train_loss": len(history._rows())}, epoch)
    assert len(history.path.read_bytes().splitlines()) == 5
    frame = read_metrics(history.path)
    assert list(frame["epoch"]) == [0, 0, 1, 1]
    assert by_epoch(frame)["train_loss"].tolist() == [0, 6]


def test_what_was_not_measured_stays_empty(tmp_path):
    history = PublishedHistory(tmp_path / "m.csv", 7)
    history.epoch({"train_loss": 1.0, "val_loss": 2}, 0)
    assert history.path.read_bytes().splitlines()[1:] == [
        b"0,0,train,1.0,,,,,,,,,,",
        b"0,0,val,2.0,,,,,,,,,,",
    ]


def test_a_published_file(tmp_path):
    path = tmp_path / "training_metrics.csv"
    path.write_bytes(PUBLISHED)
    wide = by_epoch(read_metrics(path))
    assert wide["epoch"].tolist() == [0, 1]
    assert wide["train_loss"].tolist() == [3.1, 2.5] and wide["val_loss"].tolist() == [2.9, 2.0]
    assert wide["activation_rate"].tolist() == [0.47, 0.41]
    assert wide["val_pair_loss"].isna().all() and wide["val_pair_f1"].tolist() == [0.0027, 0.0]


def test_a_half_written_line_is_left_out_and_said(tmp_path, capsys):
    path = tmp_path / "training_metrics.csv"
    path.write_bytes(PUBLISHED[:-12])
    heard = []
    frame = read_metrics(path, heard.append)
    assert list(frame["epoch"]) == [0, 0, 1] and len(heard) == 1
    assert heard == [f"warning: {path}: the last line is incomplete and is left out"]
    assert by_epoch(frame)["val_loss"].tolist()[0] == 2.9
    assert math.isnan(by_epoch(frame)["val_loss"].tolist()[1])
    assert read_metrics(path).equals(frame) and capsys.readouterr().err == heard[0] + "\n"
    # and a training goes on with it
    PublishedHistory(path, 25).epoch(metrics(1), 1)
    assert list(read_metrics(path)["epoch"]) == [0, 0, 1, 1]


def test_an_epoch_written_twice_counts_once(tmp_path):
    path = tmp_path / "m.csv"
    path.write_bytes(PUBLISHED + b"1,25,val,9.0,,,,,,,,,,\n")
    assert by_epoch(read_metrics(path))["val_loss"].tolist() == [2.9, 9.0]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ((b"pair_f1", b"f1"), "column pair_f1 is missing (found epoch, step"),
        ((b"0,0,train", b"0,0,test"), "line 2, column phase: expected train or val, got 'test'"),
        ((b"2.9", b"low"), "line 3, column loss: expected a number, got 'low'"),
        ((b"1,25,train", b"1.5,25,train"), "line 4, column epoch: expected a whole number"),
        ((b"0.0002,0.47", b"0.0002"), "line 2 has 13 fields (expected 14"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, change, said):
    path = tmp_path / "m.csv"
    path.write_bytes(PUBLISHED.replace(*change, 1))
    with pytest.raises(BadInput) as caught:
        read_metrics(path)
    assert str(caught.value).startswith(str(path)) and said in str(caught.value)


def test_pandas_reads_the_file_as_well(tmp_path):
    history = PublishedHistory(tmp_path / "m.csv", 7)
    history.epoch(metrics(0), 0)
    pd.testing.assert_frame_equal(pd.read_csv(history.path), read_metrics(history.path))
