"""From trained weights to a model: how it is read, what is chosen, and several as one."""

import numpy as np
import pytest
import torch
from tests.rna.made import CONV, hairpins, joined, network

from priorwise.errors import BadInput
from priorwise.phases.rna_finish import (
    Trained,
    features_of,
    finish,
    together,
)
from priorwise.phases.rna_options import RnaPretrain
from priorwise.phases.rna_reading import USUAL_FOLDING_WEIGHT
from priorwise.rna.batches import FeatureMaps
from priorwise.rna.calibration import DISCOUNTS, FOLDING_WEIGHTS, PENALTIES, STEM_WEIGHTS
from priorwise.rna.decoding import Decoder
from priorwise.rna.network import architecture
from priorwise.rna.rows import RnaRows
from priorwise.rna.saved_model import load_saved_model

SAID = {"phase": "rna_pretrain", "training_run": "", "features": [], "longest": 0}


def trained(seed=0, two=False, **form):
    form = {**CONV, **form}
    weights = network(seed, **form).state_dict()
    features = ["turner2004", "langdon2018"][: form.get("n_features", 0)]
    return Trained(architecture(**form), weights, two, {**SAID, "features": features})


def rows():
    return joined(hairpins(6, 1, "VL0"), hairpins(4, 2, "CUT"))


def truth_maps(given, strength=0.9):
    """Thermodynamics that knows the structures."""
    maps = FeatureMaps(len(given), 1)
    for row in range(len(given)):
        n = int(given.lengths[row])
        cells = np.zeros((n, n), np.float32)
        i, j = given.pairs_of_row(row).T
        cells[i, j] = cells[j, i] = strength
        maps.put(row, 0, cells)
    return maps


def test_given_values_hold_and_the_others_are_the_usual_ones():
    told = RnaPretrain(decoding="greedy", canonical_only=True).usual_decoder()
    assert (told.method, told.threshold, told.canonical_only) == ("greedy", 0.35, True)
    given = RnaPretrain(
        threshold="0.6", noncanonical_penalty="0.2", folding_weight="0.7", stem_weight="0.3"
    )
    assert given.usual_decoder().threshold == 0.6
    assert given.usual_decoder().noncanonical_penalty == 0.2
    assert given.usual_decoder().stem_weight == 0.3 and told.stem_weight == 0
    assert given.usual_folding_weight(True) == 0.7
    assert RnaPretrain().usual_folding_weight(True) == USUAL_FOLDING_WEIGHT
    assert given.usual_folding_weight(False) == 0


def test_thermodynamics_that_is_right_gets_its_share(tmp_path):
    judged = rows()
    model = trained(n_features=1, two=True)
    done = finish(model, RnaPretrain(features="turner2004"), judged, truth_maps(judged), tmp_path)
    saved = load_saved_model(done.network)
    assert done.folding_weight == saved.folding_weight > 0
    tried = len(FOLDING_WEIGHTS) * len(PENALTIES) * len(STEM_WEIGHTS) * len(DISCOUNTS)
    assert len(done.reading.table) == tried
    assert saved.threshold == done.decoder.threshold == done.threshold.decoder.threshold
    assert saved.decoder == done.decoder
    assert saved.description["rule"] == "best strict F1 on VL0"
    # the threshold is that of the chosen reading
    by_hand = finish(
        model,
        RnaPretrain(
            features="turner2004",
            folding_weight=str(done.folding_weight),
            noncanonical_penalty=str(done.decoder.noncanonical_penalty),
            stem_weight=str(done.decoder.stem_weight),
        ),
        judged,
        truth_maps(judged),
        tmp_path / "again",
    )
    assert by_hand.reading.table["doubt_discount"].tolist() == list(DISCOUNTS)
    assert by_hand.decoder == done.decoder
    assert by_hand.threshold.table.equals(done.threshold.table)


def test_one_opinion_has_no_share_to_choose(tmp_path):
    done = finish(trained(), RnaPretrain(), rows(), None, tmp_path)
    assert set(done.reading.table["folding_weight"]) == {0}
    each = len(STEM_WEIGHTS) * len(DISCOUNTS)
    assert len(done.reading.table) == len(PENALTIES) * each and done.folding_weight == 0
    only = finish(trained(), RnaPretrain(canonical_only=True), rows(), None, tmp_path / "b")
    assert len(only.reading.table) == each and only.decoder.canonical_only


def test_a_threshold_that_is_given_is_the_same_for_all(tmp_path):
    done = finish(trained(), RnaPretrain(threshold="0.35"), rows(), None, tmp_path)
    assert set(done.reading.table["doubt_discount"]) == {0}
    given = RnaPretrain(threshold="0.35", noncanonical_penalty="0.1", stem_weight="0.2")
    none = finish(trained(), given, rows(), None, tmp_path / "b")
    assert none.reading is None
    assert none.decoder == Decoder("nested", 0.35, noncanonical_penalty=0.1, stem_weight=0.2)


def test_without_structures_nothing_is_chosen(tmp_path):
    unknown = RnaRows.build(
        [type(r)(r.id, r.sequence, None, r.family, r.partition) for r in rows().records()]
    )
    done = finish(trained(), RnaPretrain(), unknown, None, tmp_path)
    assert done.reading is None and done.threshold is None
    assert load_saved_model(done.network).description["rule"] == "given"


def test_several_as_one(tmp_path):
    members = [trained(0), trained(1, n_features=2, two=True), trained(2, folds=True, two=True)]
    both = together(members)
    assert together(members[:1]) is members[0]
    assert both.two_opinions and both.description["features"] == ["turner2004", "langdon2018"]
    assert len(both.architecture["members"]) == 3
    again = together([together(members[:2]), members[2]])
    assert again.architecture == both.architecture
    assert all(torch.equal(v, again.weights[k]) for k, v in both.weights.items())
    judged = rows()
    maps = FeatureMaps(len(judged), 2)
    done = finish(both, RnaPretrain(threshold="0.4"), judged, maps, tmp_path)
    saved = load_saved_model(done.network)
    assert len(saved.network.each) == 3 and saved.threshold == 0.4
    assert saved.features == ("turner2004", "langdon2018")
    assert all(torch.equal(v, both.weights[k]) for k, v in saved.network.state_dict().items())


def test_members_with_different_features_are_refused():
    assert features_of([{"features": []}, {"features": []}]) == []
    assert features_of([{"features": []}, {"features": ["a"]}, {"features": ["a"]}]) == ["a"]
    with pytest.raises(BadInput, match="different features: a and b"):
        features_of([{"features": ["a"]}, {"features": ["b"]}])
