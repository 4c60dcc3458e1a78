import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.reference import focal as reference
from torch.nn import functional

from priorwise.learn.focal import BinaryFocalLoss, binary_focal_loss


def batch(seed, shape=(3, 6, 6), rate=0.15, spread=4.0):
    rng = np.random.default_rng(seed)
    return (
        rng.normal(-1, spread, shape),
        rng.random(shape) < rate,
        rng.random(shape) < 0.7,
    )


def tensors(*arrays):
    return [torch.from_numpy(np.asarray(array)) for array in arrays]


def test_hand_value_of_one_pair():
    """Logits 0, 4x4 cells, one pair (two cells): (2 * .75 + 14 * .25) / 16 * ln(2) / 4."""
    targets = torch.zeros(1, 4, 4)
    targets[0, 0, 3] = targets[0, 3, 0] = 1
    value = binary_focal_loss(torch.zeros(1, 4, 4), targets, normalizer="cells")
    assert float(value) == pytest.approx(0.0541521, abs=5e-8)
    assert float(value) == pytest.approx(5 / 16 * math.log(2) / 4, rel=1e-6)
    per_pair = binary_focal_loss(torch.zeros(1, 4, 4), targets)
    assert float(per_pair) == pytest.approx(5 / 2 * math.log(2) / 4, rel=1e-6)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 10**6),
    st.floats(0, 1),
    st.sampled_from([0.0, 0.5, 1.0, 2.0, 3.7]),
    st.sampled_from(["cells", "positives"]),
    st.sampled_from([(2, 5, 5), (4,), (3, 2), (1, 1, 1)]),
)
def test_equals_the_reference(seed, alpha, gamma, normalizer, shape):
    logits, targets, mask = batch(seed, shape)
    value, gradient, samples = reference.focal(logits, targets, mask, alpha, gamma, normalizer)
    options = {"alpha": alpha, "gamma": gamma, "normalizer": normalizer}
    z, t, m = tensors(logits, targets, mask)
    z.requires_grad_()
    found = binary_focal_loss(z, t, m, **options)
    found.backward()
    assert float(found.detach()) == pytest.approx(value, rel=1e-9, abs=1e-12)
    np.testing.assert_allclose(z.grad.numpy(), gradient, rtol=1e-9, atol=1e-12)
    each = binary_focal_loss(z, t, m, reduction="sample", **options)
    np.testing.assert_allclose(each.detach().numpy(), samples, rtol=1e-9, atol=1e-12)
    in_float32 = binary_focal_loss(z.detach().float(), t, m, **options)
    assert float(in_float32) == pytest.approx(value, abs=1e-6, rel=1e-5)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0, 3.0])
@pytest.mark.parametrize("reduction", ["mean", "sample"])
def test_gradcheck(gamma, reduction):
    z, t, m = tensors(*batch(0))
    z.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda x: binary_focal_loss(x, t, m, gamma=gamma, reduction=reduction), (z,)
    )


def test_without_focus_it_is_half_of_cross_entropy():
    z, t, _ = tensors(*batch(1))
    options = {"alpha": 0.5, "gamma": 0.0, "normalizer": "cells"}
    expected = functional.binary_cross_entropy_with_logits(z, t.double()) / 2
    torch.testing.assert_close(binary_focal_loss(z, t, **options), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_large_logits_stay_finite(dtype, gamma):
    size = 6e4 if dtype == torch.float16 else 1e30
    z = torch.tensor([[size, -size, size, -size]], dtype=dtype, requires_grad=True)
    value = binary_focal_loss(z, torch.tensor([[1, 1, 0, 0]]), gamma=gamma, normalizer="cells")
    value.backward()
    assert value.dtype == torch.float32 and bool(value.isfinite())
    assert bool(z.grad.isfinite().all())
    right, wrong = z.grad[0, [0, 3]], z.grad[0, [1, 2]]
    assert right.tolist() == [0, 0] and wrong[0] < 0 < wrong[1]


def test_no_positives_still_punishes_false_ones():
    z = torch.randn(2, 5, 5, generator=torch.manual_seed(0)).requires_grad_()
    value = binary_focal_loss(z, torch.zeros(2, 5, 5))
    value.backward()
    assert value.item() > 0 and bool(z.grad.isfinite().all()) and bool((z.grad > 0).all())


def test_nothing_counts():
    z = torch.zeros(2, 3, 3, requires_grad=True)
    for normalizer in ("cells", "positives"):
        for reduction in ("mean", "sample"):
            value = binary_focal_loss(
                z,
                torch.ones(2, 3, 3),
                torch.zeros(1, 3, 3),
                normalizer=normalizer,
                reduction=reduction,
            )
            value.sum().backward()
            assert not value.any() and not z.grad.any()


@pytest.mark.parametrize("rubbish", [math.nan, math.inf, -math.inf])
def test_what_is_masked_does_not_matter(rubbish):
    z, t, m = tensors(*batch(2))
    expected = binary_focal_loss(z, t, m)
    z = torch.where(m, z, rubbish).requires_grad_()
    value = binary_focal_loss(z, torch.where(m, t, True), m.int())
    value.backward()
    torch.testing.assert_close(value.detach(), expected)
    assert bool(z.grad.isfinite().all()) and not z.grad[~m].any()


def test_under_autocast_it_is_computed_in_float32():
    weight = torch.full((6, 6), 0.5, requires_grad=True)
    z, t, m = tensors(*batch(6))
    with torch.autocast("cpu", torch.bfloat16):
        logits = z.float() @ weight
        value = binary_focal_loss(logits, t, m)
    value.backward()
    assert logits.dtype == torch.bfloat16 and value.dtype == torch.float32
    torch.testing.assert_close(value, binary_focal_loss(logits.detach().float(), t, m))
    assert bool(weight.grad.isfinite().all())


def test_a_mask_broadcasts_and_padding_changes_nothing():
    z, t, _ = tensors(*batch(3))
    upper = torch.ones(6, 6).triu(4)
    whole = binary_focal_loss(z, t, upper.expand(3, 6, 6))
    torch.testing.assert_close(binary_focal_loss(z, t, upper), whole)
    padded = [functional.pad(x.double(), (0, 5, 0, 5)) for x in (z, t, upper)]
    torch.testing.assert_close(binary_focal_loss(*padded), whole)


def test_the_module_is_the_function():
    z, t, m = tensors(*batch(4))
    assert (BinaryFocalLoss().alpha, BinaryFocalLoss().gamma) == (0.75, 2.0)
    torch.testing.assert_close(BinaryFocalLoss()(z, t, m), binary_focal_loss(z, t, m))
    published = BinaryFocalLoss(0.6, 1.0, normalizer="cells", reduction="sample")
    expected = binary_focal_loss(
        z, t, m, alpha=0.6, gamma=1.0, normalizer="cells", reduction="sample"
    )
    torch.testing.assert_close(published(z, t, m), expected)
    assert "gamma=1.0" in repr(published)


def test_no_gradient_is_made_where_none_is_asked_for():
    z, t, m = tensors(*batch(5))
    with torch.no_grad():
        assert not binary_focal_loss(z.requires_grad_(), t, m).requires_grad


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"alpha": -0.1}, "alpha"),
        ({"alpha": math.nan}, "alpha"),
        ({"gamma": -1}, "gamma"),
        ({"normalizer": "pairs"}, "normalizer"),
        ({"reduction": "none"}, "reduction"),
    ],
)
def test_bad_arguments_are_named(change, name):
    with pytest.raises(ValueError, match=f"^{name}:"):
        binary_focal_loss(torch.zeros(1, 2), torch.zeros(1, 2), **change)
    with pytest.raises(ValueError, match=f"^{name}:"):
        BinaryFocalLoss(**change)
    with pytest.raises(ValueError, match="^targets:"):
        binary_focal_loss(torch.zeros(1, 2), torch.zeros(1, 3))
