"""Several networks asked together: the mean of their probabilities."""

import math

import numpy as np
import pytest
import torch
from tests.rna.made import BILINEAR, CONV, batch_of, random_rows, shaken

from priorwise.errors import BadInput
from priorwise.rna.ensemble import (
    RnaEnsemble,
    joined_weights,
    mean_of_chances,
    mean_of_choices,
    rna_network,
)
from priorwise.rna.network import RnaNetwork, architecture
from priorwise.rna.saved_model import build


def ensemble(members=3, **form):
    torch.manual_seed(0)
    made = RnaEnsemble([form] * members)
    for seed, member in enumerate(made.each):
        shaken(member, seed)
    return made.eval()


@pytest.mark.parametrize("form", [{**CONV, "folds": True}, BILINEAR], ids=["conv", "bilinear"])
def test_the_answer_is_the_mean_of_the_probabilities(form):
    rows = random_rows()
    batch, net = batch_of(rows), ensemble(**form)
    with torch.no_grad():
        answers = [member(batch.tokens, batch.present) for member in net.each]
        found = net(batch.tokens, batch.present)
        letters = net.nucleotide_logits(batch.masked)
        each = [member.nucleotide_logits(batch.masked) for member in net.each]
    assert not torch.allclose(answers[0].pairs, answers[1].pairs)
    for name in ("pairs", "folding"):
        if getattr(found, name) is None:
            assert form is BILINEAR and name == "folding"
            continue
        wanted = sum(torch.sigmoid(getattr(a, name)) for a in answers) / 3
        torch.testing.assert_close(torch.sigmoid(getattr(found, name)), wanted)
    for name in ("nucleotides", "loops"):
        wanted = sum(getattr(a, name).softmax(-1) for a in answers) / 3
        torch.testing.assert_close(getattr(found, name).softmax(-1), wanted)
    torch.testing.assert_close(letters.softmax(-1), sum(x.softmax(-1) for x in each) / 3)


def test_the_mean_by_hand():
    logits = [torch.tensor([0.0]), torch.tensor([math.log(3)])]  # 1/2 and 3/4
    assert mean_of_chances(logits).item() == pytest.approx(math.log(0.625 / 0.375))
    choices = [torch.tensor([[0.0, 0.0]]), torch.tensor([[math.log(3), 0.0]])]
    np.testing.assert_allclose(mean_of_choices(choices).exp(), [[0.625, 0.375]], rtol=1e-6)


def test_sure_members_do_not_round_the_mean_away():
    both = mean_of_chances([torch.tensor([200.0, -200.0]), torch.tensor([150.0, -150.0])])
    assert torch.isfinite(both).all()
    torch.testing.assert_close(both, torch.tensor([1.0, -1.0]) * (150 + math.log(2)))


def test_members_may_differ_in_form_and_the_shortest_limit_holds():
    assert isinstance(rna_network(CONV), RnaNetwork) and rna_network(CONV).longest is None
    mixed = rna_network({"members": [CONV, BILINEAR, {**BILINEAR, "max_len": 40}]}).eval()
    assert mixed.longest == 38 and ensemble(2, **CONV).longest is None
    batch = batch_of(random_rows())
    with torch.no_grad():
        assert mixed(batch.tokens, batch.present).pairs.shape[0] == len(batch.row)
    with pytest.raises(ValueError, match="members: none"):
        RnaEnsemble([])


def test_members_begin_with_different_weights_and_are_built_again_from_a_state():
    torch.manual_seed(1)
    net = RnaEnsemble([CONV, CONV])
    one, other = net.each
    assert not torch.equal(one.pairs.out.weight, other.pairs.out.weight)
    form = architecture(**CONV)
    state = joined_weights([one.state_dict(), other.state_dict()])
    assert state.keys() == net.state_dict().keys()
    again = build({"members": [form, form]}, state)
    for name, value in again.state_dict().items():
        assert torch.equal(value, net.state_dict()[name])
    for members in ([], [form], [form] * 3, [form, 1], 2, "two", None):
        with pytest.raises(BadInput, match="do not fit"):
            build({"members": members}, state)
