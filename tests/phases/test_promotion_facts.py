"""A table that a model was trained on, read again when the model is promoted."""

import shutil

import lance
import pytest

from priorwise.phases import rna_promotion, spectra_promotion
from priorwise.phases.promotion_facts import read_again
from priorwise.rna.records import RnaRecord
from priorwise.rna.schema import RNA_SCHEMA, TABLE
from priorwise.rna.table import batches
from priorwise.rna.table import inspect as inspect_rna
from priorwise.spectra import facts
from priorwise.spectra.facts import inspect
from priorwise.store.tables import write_table
from priorwise.tracking.evidence import RecordedTable


@pytest.fixture
def table(simulated, tmp_path):
    """A copy of a training table, and what is on record of it."""
    path = shutil.copytree(simulated / "train_data", tmp_path / "train_data")
    _, found = inspect(str(path), "train_data")
    return path, RecordedTable(str(path), found.version, found.digest)


def test_still_the_same(table):
    path, recorded = table
    found = read_again(recorded, spectra_promotion.read_table)
    assert found.passed
    assert "was read again: digest " + recorded.digest[:8] in found.detail


def test_rows_added_later_are_another_version(table):
    path, recorded = table
    lance.write_dataset(lance.dataset(str(path)).head(1), str(path), mode="append")
    assert read_again(recorded, spectra_promotion.read_table).passed


def test_other_rows_in_its_place(table, simulated):
    path, recorded = table
    shutil.rmtree(path)
    shutil.copytree(simulated / "validation_data", path)
    found = read_again(recorded, spectra_promotion.read_table)
    assert not found.passed
    assert "has changed: digest " in found.detail and recorded.digest[:8] in found.detail


def test_damaged(table, monkeypatch):
    path, recorded = table
    monkeypatch.setattr(facts, "_inspected", {})  # as in another process
    shutil.rmtree(path / "data")
    found = read_again(recorded, spectra_promotion.read_table)
    assert not found.passed and "cannot be read any more" in found.detail


@pytest.mark.parametrize("uri", ["/nowhere/train_data", "s3://no-such-bucket-here/train_data"])
def test_out_of_reach(uri, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    found = read_again(RecordedTable(uri, 1, "d" * 32), spectra_promotion.read_table)
    assert found.passed and "is out of reach: not read again" in found.detail


def test_gone(table):
    path, recorded = table
    shutil.rmtree(path)
    found = read_again(recorded, spectra_promotion.read_table)
    assert found.passed and "is out of reach" in found.detail


@pytest.mark.parametrize("recorded", [None, RecordedTable("", 0, "d" * 32)])
def test_not_on_record(recorded):
    assert (
        read_again(recorded, spectra_promotion.read_table).detail
        == "the training table is not on record"
    )


def test_an_rna_table(tmp_path):
    folder = tmp_path / "rna"
    rows = [RnaRecord(f"r{k}", "GGGAAAACCC", None, "", "TR0") for k in range(3)]
    write_table(str(folder / TABLE), RNA_SCHEMA, batches(rows))
    known = inspect_rna(str(folder))[1]
    recorded = RecordedTable(known.uri, known.version, known.digest)
    found = read_again(recorded, rna_promotion.read_table)
    assert found.passed and "was read again: digest " + known.digest[:8] in found.detail
    shutil.rmtree(folder)
    write_table(str(folder / TABLE), RNA_SCHEMA, batches(rows[:2]))
    found = read_again(recorded, rna_promotion.read_table)
    assert not found.passed and "has changed: digest " in found.detail
    # where a table of another kind lies by now
    spectra = read_again(recorded, spectra_promotion.read_table)
    assert not spectra.passed and "cannot be read any more" in spectra.detail
