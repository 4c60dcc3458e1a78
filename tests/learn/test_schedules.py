import io
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.reference import schedules as reference

from priorwise.learn.schedules import learning_rate_factor, scheduler, warmup_problem

PUBLISHED = {"warmup": 10, "total": 100, "min_ratio": 0.1}


def test_published_values():
    steps = [0, 1, 9, 10, 55, 99, 100]
    found = learning_rate_factor(steps, **PUBLISHED)
    # the list as published, to its four digits
    np.testing.assert_allclose(found, [0, 0.1, 0.9, 1, 0.55, 0.1003, 0.1], atol=5e-5, rtol=0)
    exact = [reference.factor(step, 10, 100, "cosine", 0.1) for step in steps]
    np.testing.assert_allclose(found, exact, atol=1e-12, rtol=0)


def test_stays_at_the_floor():
    after = learning_rate_factor(np.arange(100, 400), **PUBLISHED)
    np.testing.assert_allclose(after, 0.1, atol=1e-15)  # published: 0.2053 at step 120
    assert learning_rate_factor(10**9, warmup=0, total=7, kind="linear", min_ratio=0) == 0


@settings(deadline=None)
@given(
    st.integers(0, 60),
    st.integers(1, 60),
    st.sampled_from(["cosine", "linear", "constant"]),
    st.floats(0, 1),
)
def test_equals_the_reference(warmup, total, kind, floor):
    steps = np.arange(140)
    found = learning_rate_factor(steps, warmup=warmup, total=total, kind=kind, min_ratio=floor)
    expected = [reference.factor(step, warmup, total, kind, floor) for step in steps]
    np.testing.assert_allclose(found, expected, atol=1e-12, rtol=0)
    assert found.min() >= 0 and found.max() <= 1
    assert np.all(np.diff(found[: min(warmup, total) + 1]) >= 0)
    assert np.all(np.diff(found[warmup:]) <= 1e-15)
    if warmup < total and kind != "constant":
        assert found[total] == pytest.approx(floor, abs=1e-12)


def test_shapes():
    assert learning_rate_factor(3, **PUBLISHED).shape == ()
    assert learning_rate_factor([[1, 2]], **PUBLISHED).shape == (1, 2)


def rates(n, taken=0, state=None):
    """Learning rates of two parameter groups over n steps, and the states on the way."""
    groups = [{"params": [torch.nn.Parameter(torch.ones(1))], "lr": lr} for lr in (2e-4, 1)]
    optimizer = torch.optim.AdamW(groups)
    schedule = scheduler(optimizer, **PUBLISHED)
    if state:
        saved = torch.load(io.BytesIO(state), weights_only=True)
        optimizer.load_state_dict(saved["optimizer"])
        schedule.load_state_dict(saved["schedule"])
    found = []
    for step in range(taken, n):
        if step == 37:
            buffer = io.BytesIO()
            torch.save(
                {"optimizer": optimizer.state_dict(), "schedule": schedule.state_dict()}, buffer
            )
            state = buffer.getvalue()
        found.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        schedule.step()
    return np.array(found), state


def test_the_scheduler_follows_the_function_and_resumes():
    whole, state = rates(130)
    factor = learning_rate_factor(np.arange(130), **PUBLISHED)
    np.testing.assert_allclose(whole, factor[:, None] * [2e-4, 1], rtol=1e-12, atol=0)
    resumed, _ = rates(130, taken=37, state=state)
    np.testing.assert_allclose(resumed, whole[37:], rtol=1e-12, atol=0)


def test_equals_torch_schedulers():
    """Up to the end of the training; torch's own go on from there."""
    weight = torch.nn.Parameter(torch.ones(1))
    optimizer = torch.optim.SGD([weight], lr=1.0)
    warm = torch.optim.lr_scheduler.LinearLR(optimizer, 1e-12, 1.0, total_iters=10)
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 90, eta_min=0.1)
    both = torch.optim.lr_scheduler.SequentialLR(optimizer, [warm, decay], milestones=[10])
    found = []
    for _ in range(101):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        both.step()
    np.testing.assert_allclose(
        found, learning_rate_factor(np.arange(101), **PUBLISHED), atol=1e-8, rtol=0
    )


def test_a_warmup_as_long_as_the_training_is_a_problem():
    assert warmup_problem(0, 1) is None and warmup_problem(99, 100) is None
    text = warmup_problem(10_000, 500)
    assert "10000 steps" in text and "500 steps" in text and "5%" in text
    assert "100%" in warmup_problem(50, 50)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"warmup": -1}, "warmup"),
        ({"total": 0}, "total"),
        ({"min_ratio": 1.1}, "min_ratio"),
        ({"min_ratio": math.nan}, "min_ratio"),
        ({"kind": "exponential"}, "kind"),
    ],
)
def test_bad_arguments_are_named(change, name):
    with pytest.raises(ValueError, match=f"^{name}:"):
        learning_rate_factor(0, **(PUBLISHED | change))
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=1.0)
    with pytest.raises(ValueError, match=f"^{name}:"):
        scheduler(optimizer, **(PUBLISHED | change))


def test_a_negative_step_is_refused():
    with pytest.raises(ValueError, match="^step:"):
        learning_rate_factor([-1, 0], **PUBLISHED)
