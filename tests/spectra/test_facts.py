"""One full reading of a table, kept for as long as it is the same table."""

import shutil

import pytest

from priorwise.errors import BadInput
from priorwise.spectra.facts import inspect, table_uri
from priorwise.spectra.simulate import Simulation, write

SMALL = {"n_train": 60, "n_validation": 30, "n_test": 30, "max_peaks": 16}


def test_a_table_made_anew_at_the_same_place_is_read_anew(tmp_path):
    folder = str(tmp_path / "data")
    write(Simulation(**SMALL, seed=1), folder)
    _, first = inspect(folder, "train_data")
    assert inspect(folder, "train_data")[1] is first
    shutil.rmtree(folder)
    write(Simulation(**SMALL, seed=2), folder)
    _, second = inspect(folder, "train_data")
    assert (second.version, second.uri) == (first.version, first.uri)
    assert second.digest != first.digest


def test_table_uri_never_takes_another_table(tmp_path):
    folder = tmp_path / "data"
    write(Simulation(**SMALL), str(folder))
    train = str(folder / "train_data")
    assert table_uri(str(folder), "train_data") == table_uri(train, "train_data") == train
    assert table_uri(train, "validation_data") == str(folder / "validation_data")
    with pytest.raises(BadInput, match="holds no table test_data"):
        table_uri(train, "test_data")
    assert (
        table_uri("s3://bucket/x/train_data", "validation_data") == "s3://bucket/x/validation_data"
    )
    assert table_uri("s3://bucket/x/", "train_data") == "s3://bucket/x/train_data"
