"""From trained weights to a network folder that knows how its answers are read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from priorwise.errors import BadInput
from priorwise.learn.network_folder import write_model
from priorwise.phases.desk import say
from priorwise.phases.rna_reading import ReadingOptions
from priorwise.rna.batches import FeatureMaps
from priorwise.rna.calibration import (
    DISCOUNTS,
    FOLDING_WEIGHTS,
    PENALTIES,
    STEM_WEIGHTS,
    Judged,
    ReadingChoice,
    choose_reading,
)
from priorwise.rna.decoding import Decoder
from priorwise.rna.ensemble import joined_weights, weights_of_members
from priorwise.rna.opinions import MIXTURE
from priorwise.rna.rows import RnaRows
from priorwise.rna.saved_model import SavedRnaModel, build, members_of
from priorwise.rna.schema import CUT, SCHEMA_NAME
from priorwise.rna.threshold import Example, ThresholdChoice, choose_threshold
from priorwise.tracking.runs import RunTrack


@dataclass(frozen=True)
class Trained:
    """Trained weights, and what is known of them.

    Attributes
    ----------
    architecture : dict
        Of a network or of an ensemble, plain JSON values.
    weights : mapping of name to torch.Tensor
    two_opinions : bool
        Whether there is a thermodynamic opinion, given or learned (see `rna.opinions`).
    description : dict
        What else the model says of itself (see `rna.saved_model`).
    """

    architecture: dict[str, Any]
    weights: Mapping[str, torch.Tensor]
    two_opinions: bool
    description: dict[str, Any]


def features_of(descriptions: Sequence[Mapping[str, Any]]) -> list[str]:
    """Parameter sets that models take beside the sequence: those of the ones that take some.

    Raises
    ------
    BadInput
        If two of them take different ones.
    """
    taken = {tuple(d["features"]) for d in descriptions if d["features"]}
    if len(taken) > 1:
        told = " and ".join(",".join(names) for names in sorted(taken))
        raise BadInput(f"the models take different features: {told} (expected the same, or none)")
    return list(taken.pop()) if taken else []


def together(members: Sequence[Trained]) -> Trained:
    """Several as one, which gives their mean answers; the description is that of the first.

    Thermodynamics has a say if it has one in any of them.
    """
    if len(members) == 1:
        return members[0]
    return Trained(
        {"members": [form for m in members for form in members_of(m.architecture)]},
        joined_weights([state for m in members for state in weights_of_members(m.weights)]),
        any(m.two_opinions for m in members),
        members[0].description | {"features": features_of([m.description for m in members])},
    )


@dataclass(frozen=True)
class Finished:
    """A finished model.

    Attributes
    ----------
    network : pathlib.Path
        Its network folder.
    decoder : Decoder
    folding_weight : float
    reading : ReadingChoice or None
        What was tried; None where nothing was to be chosen, or there were no structures.
    threshold : ThresholdChoice or None
        F1 over thresholds; None if the validation partition has no structures.
    """

    network: Path
    decoder: Decoder
    folding_weight: float
    reading: ReadingChoice | None
    threshold: ThresholdChoice | None


def finish(
    trained: Trained,
    options: ReadingOptions,
    validation: RnaRows,
    maps: FeatureMaps | None,
    folder: Path,
) -> Finished:
    """Choose how pair probabilities are read, then the threshold, and write the network folder.

    The share of thermodynamics, the penalty of unusual pairs, the say of the loop types and how
    much lower the threshold is in doubt are chosen on the validation partition and on CUT, each
    counting alike; the threshold on the validation partition. A threshold that is given is the same
    for all sequences.

    Parameters
    ----------
    trained : Trained
    options : ReadingOptions
    validation : RnaRows
        Rows of the validation partition and of CUT.
    maps : FeatureMaps or None
        Theirs, if the network takes some.
    folder : pathlib.Path
        The model is written to `folder`/model.
    """
    decoder = options.usual_decoder()
    weight = options.usual_folding_weight(trained.two_opinions)
    told = {
        "schema": SCHEMA_NAME,
        "decoder": decoder.to_dict(),
        "threshold": decoder.threshold,
        "folding_weight": weight,
        "mixture": MIXTURE,
        "rule": "given",
        **trained.description,
    }
    model = SavedRnaModel(build(trained.architecture, dict(trained.weights)), told)
    reading = _reading(model, options, trained.two_opinions, validation, maps)
    if reading is not None:
        weight = reading.folding_weight
        decoder = replace(
            decoder,
            noncanonical_penalty=reading.noncanonical_penalty,
            stem_weight=reading.stem_weight,
            doubt_discount=reading.doubt_discount,
        )
        told = told | {"folding_weight": weight, "decoder": decoder.to_dict()}
        model = replace(model, description=told)
    threshold = _threshold(model, options, validation, maps)
    if threshold is not None and options.threshold == "auto":
        decoder = threshold.decoder
        rule = f"best strict F1 on {options.val_partition}"
        told = told | {"threshold": decoder.threshold, "rule": rule}
    network = folder / "model"
    write_model(network, trained.architecture, trained.weights, told)
    return Finished(network, decoder, weight, reading, threshold)


def _reading(
    model: SavedRnaModel,
    options: ReadingOptions,
    two_opinions: bool,
    rows: RnaRows,
    maps: FeatureMaps | None,
) -> ReadingChoice | None:
    """The best reading; None if all is given, or nothing can be judged."""
    choose_weight = two_opinions and options.folding_weight == "auto"
    choose_penalty = not options.canonical_only and options.noncanonical_penalty == "auto"
    choose_stems = options.stem_weight == "auto"
    choose_discount = options.threshold == "auto"
    chosen = choose_weight or choose_penalty or choose_stems or choose_discount
    if not rows.labelled.any() or not chosen:
        return None
    examples = (
        Judged(
            rows.partitions[found.row],
            found.learned,
            found.folded,
            rows.tokens_of_row(found.row),
            rows.pairs_of_row(found.row),
            found.stems,
        )
        for found in model.predict(rows, maps)
        if rows.labelled[found.row]
    )
    return choose_reading(
        model.decoder,
        examples,
        FOLDING_WEIGHTS if choose_weight else [model.folding_weight],
        PENALTIES if choose_penalty else [model.decoder.noncanonical_penalty],
        STEM_WEIGHTS if choose_stems else [model.decoder.stem_weight],
        DISCOUNTS if choose_discount else [0.0],
    )


def _threshold(
    model: SavedRnaModel, options: ReadingOptions, rows: RnaRows, maps: FeatureMaps | None
) -> ThresholdChoice | None:
    chosen: npt.NDArray[np.bool_] = rows.labelled & (
        np.array(rows.partitions) == options.val_partition
    )
    if not chosen.any():
        return None
    examples = (
        Example(
            found.pairs, rows.tokens_of_row(found.row), rows.pairs_of_row(found.row), found.stems
        )
        for found in model.predict(rows, maps)
        if chosen[found.row]
    )
    return choose_threshold(model.decoder, examples)


def tell(finished: Finished, options: ReadingOptions, track: RunTrack) -> None:
    """Say and record what was chosen."""
    reading, threshold = finished.reading, finished.threshold
    decoder = finished.decoder
    values = {
        "folding_weight": finished.folding_weight,
        "noncanonical_penalty": decoder.noncanonical_penalty,
        "stem_weight": decoder.stem_weight,
        "doubt_discount": decoder.doubt_discount,
    }
    track.metrics(values)
    if reading is not None:
        track.text(reading.table.to_csv(index=False), "reading.csv")
        best = reading.table["f1"].max()
        say(
            f"share of thermodynamics {values['folding_weight']:g}, penalty of pairs other than "
            f"AU, GC, GU {decoder.noncanonical_penalty:g}, say of the loop types "
            f"{decoder.stem_weight:g}, threshold lower by "
            f"{decoder.doubt_discount:g} of the doubt: mean strict F1 {best:.4f} on "
            f"{options.val_partition} and {CUT}"
        )
    if threshold is None:
        return
    track.text(threshold.table.to_csv(index=False), "threshold_curve.csv")
    if options.threshold == "auto":
        chosen = threshold.decoder.threshold
        say(f"threshold {chosen:.2f}: strict F1 {threshold.f1:.4f} on {options.val_partition}")
        track.metrics({"threshold": chosen, "val_strict_f1_at_threshold": threshold.f1})
