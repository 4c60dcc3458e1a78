"""Whether the rows at hand can teach, and judge, what the parameters of a training ask for."""

from priorwise.errors import BadInput
from priorwise.phases.rna_options import RnaPretrain
from priorwise.rna.rows import RnaRows
from priorwise.rna.schema import CUT
from priorwise.rna.structure import MIN_LOOP

#: metrics that are logged only where such rows have structures: of VL0, of CUT, of either
OF_VALIDATION = ("val_strict_f1", "val_ap")
OF_CUT = ("cut_strict_f1",)


def check_rows(options: RnaPretrain, train: RnaRows, validation: RnaRows) -> None:
    """Refuse what a table does not hold; nothing is made up instead.

    Parameters
    ----------
    options : RnaPretrain
    train, validation : RnaRows
        What is left of the table: of the right partitions, and short enough.

    Raises
    ------
    BadInput
        Naming the parameter, and what it needs.
    """
    judged = validation.of_partition(options.val_partition)
    longest = options.max_len - 2
    for parameter, rows in (("train_partition", train), ("val_partition", judged)):
        of = f"{parameter}: of the {len(rows)} sequences of {getattr(options, parameter)}"
        if not len(rows):
            raise BadInput(
                f"{parameter}: no sequence of {getattr(options, parameter)} has at most {longest} "
                "bases (max_len - 2)"
            )
        if options.structure_loss_weight and not rows.labelled.any():
            raise BadInput(
                f"{of} none has a structure, but structure_loss_weight is "
                f"{options.structure_loss_weight:g} (expected structures, or a weight of 0)"
            )
        if options.pair_loss_weight and not n_counted_pairs(rows):
            raise BadInput(
                f"{of} none has a base pair, but pair_loss_weight is {options.pair_loss_weight:g} "
                "(expected pairs, or a weight of 0)"
            )
    _check_monitor(options.monitor, judged, validation.of_partition(CUT))


def n_counted_pairs(rows: RnaRows) -> int:
    """Pairs with room for a hairpin between them: losses and metrics know no others."""
    return int((rows.pairs[:, 1] - rows.pairs[:, 0] > MIN_LOOP).sum())


def _check_monitor(monitor: str, judged: RnaRows, cut: RnaRows) -> None:
    known = {
        **dict.fromkeys(OF_VALIDATION, bool(judged.labelled.any())),
        **dict.fromkeys(OF_CUT, bool(cut.labelled.any())),
        "selection_f1": bool(judged.labelled.any() or cut.labelled.any()),
    }
    if not known.get(monitor, True):
        part = CUT if monitor in OF_CUT else "the validation partition"
        raise BadInput(
            f"monitor: {monitor}, but no sequence of {part} has a structure (expected another, "
            "such as val_loss)"
        )
