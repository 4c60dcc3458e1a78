"""Rows that cannot teach or judge what the parameters ask for are refused, and never made up."""

import dataclasses

import pytest
from tests.rna.made import hairpins, joined

from priorwise.errors import BadInput
from priorwise.phases.rna_checks import check_rows, n_counted_pairs
from priorwise.phases.rna_options import MONITORS, RnaPretrain
from priorwise.rna.records import RnaRecord
from priorwise.rna.rows import RnaRows
from priorwise.rna.structure import pairs_of

NO_PAIRS_WANTED = {"pair_loss_weight": 0.0, "structure_loss_weight": 0.0}


def without(rows, structure=None):
    """The same sequences, of unknown or of another structure."""
    return RnaRows.build(
        dataclasses.replace(
            r, pairs=None if structure is None else pairs_of(structure.ljust(len(r.sequence), "."))
        )
        for r in rows.records()
    )


@pytest.fixture
def parts():
    return {"train": hairpins(4), "val": hairpins(3, 1, "VL0"), "cut": hairpins(2, 2, "CUT")}


def check(parts, **options):
    check_rows(RnaPretrain(**options), parts["train"], joined(parts["val"], parts["cut"]))


def test_a_whole_table_is_good(parts):
    check(parts)
    for monitor in MONITORS:
        check(parts, monitor=monitor)
    check({**parts, "cut": RnaRows.build([])})


@pytest.mark.parametrize("part", ["train", "val"])
def test_losses_want_what_they_are_losses_of(parts, part):
    partition = {"train": "TR0", "val": "VL0"}[part]
    name = f"^{part}_partition: of the {len(parts[part])} sequences of {partition} none"
    unknown = {**parts, part: without(parts[part])}
    with pytest.raises(BadInput, match=f"{name} has a structure, but structure_loss_weight is 0.8"):
        check(unknown)
    with pytest.raises(BadInput, match=f"{name} has a base pair, but pair_loss_weight is 1.5"):
        check(unknown, structure_loss_weight=0.0)
    check(unknown, **NO_PAIRS_WANTED, monitor="val_loss")
    for structure in ("", "(..)"):  # none at all, or none that could be a pair
        unpaired = {**parts, part: without(parts[part], structure)}
        with pytest.raises(BadInput, match=f"{name} has a base pair, but pair_loss_weight is 1.5"):
            check(unpaired)
        check(unpaired, pair_loss_weight=0.0)
    with pytest.raises(BadInput, match=f"^{part}_partition: no sequence of .* at most 510 bases"):
        check({**parts, part: RnaRows.build([])})


def test_the_cut_is_no_substitute_for_the_validation_partition(parts):
    with pytest.raises(BadInput, match="^val_partition: no sequence of VL0"):
        check({**parts, "val": RnaRows.build([])})


@pytest.mark.parametrize(
    ("gone", "refused"),
    [
        (["val"], {"val_strict_f1", "val_ap"}),
        (["cut"], {"cut_strict_f1"}),
        (["val", "cut"], {"val_strict_f1", "val_ap", "cut_strict_f1", "selection_f1"}),
    ],
)
def test_a_monitor_that_would_never_be_logged(parts, gone, refused):
    """Found before the first epoch, and not after it."""
    table = {**parts, **{name: without(parts[name]) for name in gone}}
    for monitor in MONITORS:
        if monitor in refused:
            with pytest.raises(BadInput, match=f"^monitor: {monitor}, but no sequence of "):
                check(table, **NO_PAIRS_WANTED, monitor=monitor)
        else:
            check(table, **NO_PAIRS_WANTED, monitor=monitor)


def test_pairs_without_room_for_a_hairpin_are_not_counted():
    rows = RnaRows.build(
        [RnaRecord("a", "A" * 9, pairs_of("(..(...))")), RnaRecord("b", "A" * 9, None)]
    )
    assert n_counted_pairs(rows) == 2
    assert n_counted_pairs(RnaRows.build([RnaRecord("a", "AAAA", pairs_of("(..)"))])) == 0
