"""Tables that change, or are damaged, before and while a training reads them."""

import shutil
from datetime import timedelta

import lance
import pytest
from tests.pipelines.test_resume import interrupted, left_by, signal_at

from priorwise.errors import BadInput
from priorwise.spectra.module import SpectraModule
from priorwise.store.protection import protections
from priorwise.store.tables import open_pinned

#: pytest finds it by its name
__all__ = ["signal_at"]
STREAMED = {"rows": "streamed", "epochs": 3}


@pytest.fixture
def own_tables(workplace):
    """The workplace, with tables of its own."""
    shutil.copytree(workplace.data, workplace.folder / "tables")
    workplace.data = workplace.folder / "tables"
    return workplace


def renew(folder):
    """Append to both tables, delete rows, compact, and clean up all old versions."""
    for name in ("train_data", "validation_data"):
        uri = str(folder / name)
        lance.write_dataset(lance.dataset(uri).to_table().slice(0, 7), uri, mode="append")
        dataset = lance.dataset(uri)
        dataset.delete("precursor_mz < 500")
        dataset.optimize.compact_files()
        dataset.cleanup_old_versions(
            older_than=timedelta(0), delete_unverified=True, error_if_tagged_old_versions=False
        )


def train_while(place, monkeypatch, happens):
    """A streamed training, and what happens in its second epoch."""
    original = SpectraModule.on_train_epoch_start

    def begin(self):
        if self.current_epoch == 1:
            happens()
        return original(self)

    with monkeypatch.context() as patch:
        patch.setattr(SpectraModule, "on_train_epoch_start", begin)
        done = place.phase("bce_pretrain", **STREAMED)
    assert done.code == 0, done.err
    return place.run("bce_pretrain")


def numbers(place, run):
    left = left_by(place, run)
    return left["history"], left["metrics"], left["best"]


def test_what_is_appended_deleted_and_cleaned_up_meanwhile_is_not_seen(own_tables, monkeypatch):
    undisturbed = numbers(own_tables, train_while(own_tables, monkeypatch, lambda: None))
    seen = {}

    def happens():
        renew(own_tables.data)
        seen.update(protections(str(own_tables.data / "train_data")))

    run = train_while(own_tables, monkeypatch, happens)
    assert numbers(own_tables, run) == undisturbed
    assert run.data.params["contract.data.version"] == "1"
    # protected while it lasted, and no longer
    assert seen[run.info.run_id] == 1
    assert run.info.run_id not in protections(str(own_tables.data / "train_data"))


def test_a_version_that_is_cleaned_up_is_named(own_tables, signal_at, monkeypatch):
    """An interrupted training keeps its version; the tag is removed by hand."""
    signal_at("training_step", 9)
    run = interrupted(own_tables, **STREAMED)
    monkeypatch.undo()
    uri = str(own_tables.data / "train_data")
    assert protections(uri)[run.info.run_id] == 1
    tags = lance.dataset(uri).tags
    for name in tags.list():  # the tables are those of tests that left some, too
        tags.delete(name)
    renew(own_tables.data)
    with pytest.raises(BadInput, match=r"train_data: cannot open version 1 of the table \("):
        open_pinned(uri, 1)


@pytest.mark.parametrize("phase", ["bce_pretrain", "dataset_stats"])
@pytest.mark.parametrize("how", ["bit", "truncated", "missing", "manifest"])
def test_a_damaged_file_is_named_before_any_training(own_tables, phase, how):
    table = own_tables.data / "train_data"
    path = min((table / ("_versions" if how == "manifest" else "data")).glob("*.*e*"))
    content = path.read_bytes()
    if how == "missing":
        path.unlink()
    elif how == "truncated":
        path.write_bytes(content[:-9])
    else:
        middle = len(content) // 2
        path.write_bytes(content[:middle] + bytes([content[middle] ^ 16]) + content[middle + 1 :])
    done = own_tables.phase(phase)
    assert done.code == 2, done.out
    (said,) = done.err.splitlines()
    assert str(path) in said
    (run,) = own_tables.runs()
    assert run.info.status == "FAILED" and not run.data.metrics


@pytest.mark.parametrize("how", ["append", "overwrite"])
def test_a_table_that_changed_after_phase_2_has_no_prior(after_phase_2, how):
    """The rows of both polarities: neither prior is used for other rows."""
    place = after_phase_2
    shutil.copytree(place.data, place.folder / "tables")
    place.data = place.folder / "tables"
    uri = str(place.data / "train_data")
    rows = lance.dataset(uri).to_table()
    changed = rows.slice(0, 7) if how == "append" else rows.slice(7)
    lance.write_dataset(changed, uri, mode=how)
    done = place.phase("nnpu_train")
    assert done.code == 3, done.err
    assert "used other training data" in done.err and "wanted" in done.err
