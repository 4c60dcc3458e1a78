import numpy as np
import pytest
import torch
from torch import nn

from priorwise.spectra import encoder, schema
from priorwise.spectra.encoder import ADAMW_EPS, SpectrumClassifier, parameter_groups

LAYER = {
    "self_attn.in_proj_weight": (384, 128),
    "self_attn.in_proj_bias": (384,),
    "self_attn.out_proj.weight": (128, 128),
    "self_attn.out_proj.bias": (128,),
    "linear1.weight": (1024, 128),
    "linear1.bias": (1024,),
    "linear2.weight": (128, 1024),
    "linear2.bias": (128,),
    "norm1.weight": (128,),
    "norm1.bias": (128,),
    "norm2.weight": (128,),
    "norm2.bias": (128,),
}
PUBLISHED = {
    **{
        f"spectrum_encoder.{module}.{term}": (64,)
        for module in (
            "peak_encoder.mz_encoder",
            "peak_encoder.int_encoder",
            "precursor_mz_encoder",
        )
        for term in ("sin_term", "cos_term")
    },
    "spectrum_encoder.peak_encoder.combiner.weight": (128, 256),
    **{
        f"spectrum_encoder.transformer_encoder.layers.{i}.{key}": shape
        for i in (0, 1)
        for key, shape in LAYER.items()
    },
    "fc_instrument_1.weight": (64, 22),
    "fc_instrument_1.bias": (64,),
    "fc_instrument_2.weight": (16, 64),
    "fc_instrument_2.bias": (16,),
    "fc_combined.weight": (128, 144),
    "fc_combined.bias": (128,),
    "fc_output.weight": (1, 128),
    "fc_output.bias": (1,),
}


def batch(n_rows=6, n_peaks=20, seed=0):
    """Rows of 0 to n_peaks peaks, intensities as large as in raw data."""
    rng = np.random.default_rng(seed)
    mz = np.sort(rng.uniform(70, 1050, (n_rows, n_peaks)))
    intensity = rng.lognormal(6, 1.5, (n_rows, n_peaks))
    for row, n in enumerate(rng.integers(1, n_peaks + 1, n_rows)):
        mz[row, n:] = intensity[row, n:] = 0
    mz[-1] = intensity[-1] = 0  # no peaks at all
    settings = rng.normal(size=(n_rows, 22))
    precursor = rng.uniform(100, 900, n_rows)
    return tuple(torch.tensor(x, dtype=torch.float32) for x in (mz, intensity, settings, precursor))


def model(seed=0, **kwargs):
    torch.manual_seed(seed)
    return SpectrumClassifier(**kwargs)


def trained(**kwargs):
    """A network whose biases and norms are not 0 and 1, as after training."""
    net = model(**kwargs)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    return net


SMALL = {"d_model": 32, "nhead": 4, "dim_feedforward": 64}


def test_keys_and_shapes_are_the_published_ones():
    state = model().state_dict()
    assert {key: tuple(value.shape) for key, value in state.items()} == PUBLISHED
    assert sum(p.numel() for p in model().parameters()) == 713_681


def test_number_of_settings_is_the_schema_s():
    assert encoder.N_SETTINGS == schema.N_SETTINGS


# --- against depthcharge-ms 0.5.0 ----------------------------------------------------------------


def published_model(d_model, n_layers, dropout=0.3):
    """The published network out of depthcharge's own parts."""
    baseline = pytest.importorskip("benchmarks.baseline", reason="needs the `bench` extra")
    return baseline.PublishedNetwork(d_model, n_layers, dropout)


@pytest.mark.parametrize(("d_model", "n_layers"), [(128, 2), (64, 1), (64, 3)])
def test_equals_the_published_network(d_model, n_layers):
    ours = trained(d_model=d_model, n_layers=n_layers).eval()
    theirs = published_model(d_model, n_layers).eval()
    theirs.load_state_dict(ours.state_dict(), strict=True)
    x = batch(12, 60)
    expected = theirs(*x)
    assert expected.std() > 0.1
    torch.testing.assert_close(ours(*x), expected, rtol=0, atol=1e-5)
    with torch.no_grad():
        torch.testing.assert_close(ours(*x), expected, rtol=0, atol=1e-5)

    target = torch.linspace(-1, 1, 12)
    for net in (ours, theirs):
        ((net(*x) - target) ** 2).mean().backward()
    grads = dict(theirs.named_parameters())
    for name, parameter in ours.named_parameters():
        difference = (parameter.grad - grads[name].grad).norm()
        assert difference <= 1e-5 * grads[name].grad.norm() + 1e-7, name


def test_equals_the_published_network_in_training_without_dropout():
    """The training path, whose only difference from evaluation is dropout."""
    ours, theirs = trained(dropout=0.0).train(), published_model(128, 2, dropout=0.0).train()
    theirs.load_state_dict(ours.state_dict())
    torch.testing.assert_close(ours(*batch()), theirs(*batch()), rtol=0, atol=1e-5)


def test_wavelengths_are_bit_equal_to_depthcharge():
    ours, theirs = model().state_dict(), published_model(128, 2).state_dict()
    terms = [key for key in ours if key.endswith("_term")]
    assert len(terms) == 6
    for key in terms:
        assert torch.equal(ours[key], theirs[key]), key


def test_training_logits_have_the_published_distribution():
    """Mean and spread over dropout masks, 1,500 draws of one row."""
    ours, theirs = trained().train(), published_model(128, 2).train()
    theirs.load_state_dict(ours.state_dict())
    x = [part[:1].expand(1500, *part.shape[1:]) for part in batch(6, 8)]
    with torch.no_grad():
        a, b = ours(*x), theirs(*x)
    spread = b.std()
    assert spread > 0.05
    assert (a.mean() - b.mean()).abs() < 5 * spread * (2 / 1500) ** 0.5
    assert 0.87 < a.std() / spread < 1.15


def test_attention_with_dropped_weights_is_that_of_torch(monkeypatch):
    """Both attentions against softmax(q k') v with the same weights struck out."""
    keep = torch.tensor([0.0, 2.0, 1.5, 0.0, 3.0, 0.7])  # sums of weights are not 1
    monkeypatch.setattr(encoder, "dropout", lambda x, p, training, relu=False: x * keep)
    torch.manual_seed(0)
    attention = nn.MultiheadAttention(32, 4, dropout=0.3, batch_first=True).train()
    nn.init.normal_(attention.in_proj_bias)
    nn.init.normal_(attention.out_proj.bias)
    x, padding = torch.randn(3, 6, 32), torch.zeros(3, 6, dtype=torch.bool)
    padding[1, 4:] = padding[2, 1:] = True
    q, k, v = (
        nn.functional.linear(x, w, b).view(3, 6, 4, 8).transpose(1, 2)
        for w, b in zip(
            attention.in_proj_weight.chunk(3), attention.in_proj_bias.chunk(3), strict=True
        )
    )
    scores = (q @ k.mT / 8**0.5).masked_fill(padding[:, None, None], -torch.inf)
    heads = (scores.softmax(-1) * keep) @ v
    expected = attention.out_proj(heads.transpose(1, 2).reshape(3, 6, 32))
    torch.testing.assert_close(encoder._attend(attention, x, padding), expected)
    first = encoder._attend_from_first(attention, x, padding)
    torch.testing.assert_close(first, expected[:, 0])


# --- invariances ---------------------------------------------------------------------------------


@pytest.mark.parametrize("grad", [True, False])
def test_padding_peak_order_and_batch_do_not_matter(grad):
    net = model().eval()
    mz, intensity, settings, precursor = batch()
    with torch.set_grad_enabled(grad):
        expected = net(mz, intensity, settings, precursor)
        wide = [nn.functional.pad(x, (0, 7)) for x in (mz, intensity)]
        torch.testing.assert_close(net(*wide, settings, precursor), expected, rtol=0, atol=1e-5)
        order = torch.randperm(mz.shape[1])
        shuffled = net(mz[:, order], intensity[:, order], settings, precursor)
        torch.testing.assert_close(shuffled, expected, rtol=0, atol=1e-5)
        for row in range(len(mz)):
            one = slice(row, row + 1)
            alone = net(mz[one], intensity[one], settings[one], precursor[one])
            torch.testing.assert_close(alone, expected[one], rtol=0, atol=5e-6)


def test_what_is_in_padding_gets_no_gradient():
    net = model(**SMALL).eval()
    mz, intensity, settings, precursor = batch()
    wide = nn.functional.pad(mz, (0, 3)).requires_grad_()
    net(wide, nn.functional.pad(intensity, (0, 3)), settings, precursor).sum().backward()
    assert (wide.grad[:, -3:] == 0).all() and wide.grad.abs().sum() > 0


def test_all_inputs_matter():
    net = model(**SMALL).eval()
    x = batch()
    expected = net(*x)
    for i in range(4):
        changed = list(x)
        changed[i] = x[i] * 1.01 + 0.1
        assert not torch.allclose(net(*changed), expected, atol=1e-3)


def test_no_peaks_at_all():
    net = model(**SMALL).eval()
    _, _, settings, precursor = batch()
    none = torch.zeros(6, 0)
    out = net(none, none, settings, precursor)
    padded = net(torch.zeros(6, 5), torch.zeros(6, 5), settings, precursor)
    torch.testing.assert_close(out, padded, rtol=0, atol=1e-5)
    assert net(none[:0], none[:0], settings[:0], precursor[:0]).shape == (0,)


# --- dropout -------------------------------------------------------------------------------------


def test_dropout_only_in_training_and_repeatable_by_seed():
    net, x = model(**SMALL), batch()
    net.eval()
    assert torch.equal(net(*x), net(*x))
    net.train()
    assert not torch.equal(net(*x), net(*x))
    torch.manual_seed(5)
    first = net(*x)
    torch.manual_seed(5)
    assert torch.equal(net(*x), first)


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("p", [0.1, 0.3, 0.5, 0.9])
def test_fast_dropout_keeps_the_rate_the_mean_and_the_gradient(p, relu):
    torch.manual_seed(0)
    x = torch.randn(1001, 999).requires_grad_()
    y = encoder.dropout(x, p, True, relu)
    kept = y != 0
    possible = (x > 0) if relu else torch.ones_like(kept)
    n = possible.sum()
    assert abs(kept.sum() / n - (1 - p)) < 5 * (p * (1 - p) / n) ** 0.5 + 1e-5
    assert not kept[~possible].any()
    torch.testing.assert_close(y[kept], (x / (1 - p))[kept], rtol=1e-4, atol=0)
    (grad,) = torch.autograd.grad(y.sum(), x)
    torch.testing.assert_close(grad, kept / (1 - p), rtol=1e-4, atol=0)
    # neighbours come out of one 64-bit draw: they must not go together
    flat = kept.float().flatten() - kept.float().mean()
    for lag in (1, 2, 3, 4):
        correlation = (flat[lag:] * flat[:-lag]).mean() / flat.square().mean()
        assert abs(correlation) < 5 / flat.numel() ** 0.5


@pytest.mark.parametrize("relu", [False, True])
def test_fast_dropout_off(relu):
    x = torch.randn(10)
    expected = x.relu() if relu else x
    assert torch.equal(encoder.dropout(x, 0.0, True, relu), expected)
    assert torch.equal(encoder.dropout(x, 0.5, False, relu), expected)


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("p", [0.1, 0.3, 0.5, 0.9])
def test_fast_dropout_in_bfloat16(p, relu):
    """8 random bits an element: p is rounded to a multiple of 1/256, and the scale fits it."""
    torch.manual_seed(0)
    x = (torch.rand(1001, 999) + 1).bfloat16().requires_grad_()
    y = encoder.dropout(x, p, True, relu)
    assert y.dtype == torch.bfloat16
    kept, rounded = y != 0, round(p * 256) / 256
    n = kept.numel()
    assert abs(kept.float().mean() - (1 - rounded)) < 5 * (p * (1 - p) / n) ** 0.5
    torch.testing.assert_close(y[kept], (x / (1 - rounded))[kept], rtol=0.02, atol=0)
    assert abs(y.float().mean() / x.float().mean() - 1) < 0.005
    (grad,) = torch.autograd.grad(y.float().sum(), x)
    torch.testing.assert_close(grad.float(), kept / (1 - rounded), rtol=0.01, atol=0)
    flat = kept.float().flatten() - kept.float().mean()
    for lag in range(1, 9):
        correlation = (flat[lag:] * flat[:-lag]).mean() / flat.square().mean()
        assert abs(correlation) < 5 / flat.numel() ** 0.5


# --- parts of a batch, and bfloat16 --------------------------------------------------------------


@pytest.mark.parametrize("tokens", [1, 21, 50, 120])
def test_a_batch_in_parts_is_the_whole_batch(monkeypatch, tokens):
    x, net = batch(13, 20), trained(**SMALL, dropout=0.0).train()
    grads = []
    for at_once in (10**9, tokens):
        monkeypatch.setattr(encoder, "CPU_TOKENS", at_once)
        net.zero_grad()
        logits = net(*x)
        (logits**2).sum().backward()
        grads.append((logits.detach(), [p.grad.clone() for p in net.parameters()]))
    torch.testing.assert_close(grads[1][0], grads[0][0], rtol=0, atol=1e-5)
    for part, whole in zip(grads[1][1], grads[0][1], strict=True):
        assert (part - whole).norm() <= 1e-5 * whole.norm() + 1e-6


def test_bfloat16_is_close_and_leaves_the_weights_alone():
    x, net = batch(200, 40), trained(n_layers=2).eval()
    before = {key: value.clone() for key, value in net.state_dict().items()}
    exact = net(*x)
    logits = encoder.in_bfloat16(net)(*x)
    assert logits.dtype == torch.float32
    assert 0 < (logits - exact).abs().max() < 0.1 * exact.std()
    assert len(logits.unique()) == len(exact.unique())  # not rounded to 8 bits
    logits.sum().backward()
    for key, value in net.state_dict().items():
        assert torch.equal(value, before[key])
    assert all(p.grad.dtype == torch.float32 for p in net.parameters() if p.grad is not None)
    assert torch.equal(encoder.in_bfloat16(net, False)(*x), exact)


def test_bfloat16_serves_a_steady_network():
    x, net = batch(30, 40), encoder.steady(trained())
    with torch.inference_mode():
        exact = net(*x)
        logits = encoder.in_bfloat16(net)(*x)
        assert logits.dtype == torch.float64
        assert 0 < (logits - exact).abs().max() < 0.1 * exact.std()


# --- initialisation, optimizer, errors -----------------------------------------------------------


def test_initialisation_is_the_published_one():
    net = model()
    for name, module in net.named_modules():
        if isinstance(module, nn.Linear):
            fan_in = module.weight.shape[1]
            expected = (2 / fan_in) ** 0.5
            n = module.weight.numel()
            std = module.weight.std().item()
            assert std == pytest.approx(expected, rel=5 / (2 * n) ** 0.5), name
            assert module.bias is None or (module.bias == 0).all(), name
        if isinstance(module, nn.LayerNorm):
            assert (module.weight == 1).all() and (module.bias == 0).all()
        if isinstance(module, nn.MultiheadAttention):  # in_proj keeps Xavier-uniform
            bound = (6 / (128 + 384)) ** 0.5
            assert bound * 0.99 < module.in_proj_weight.abs().max() <= bound
            assert (module.in_proj_bias == 0).all()


def test_parameter_groups_hold_every_parameter_once():
    net = model(**SMALL)
    encoder_group, heads = parameter_groups(net, 5e-6, 1e-5, 1e-3)
    names = {id(p): name for name, p in net.named_parameters()}
    assert all(names[id(p)].startswith("spectrum_encoder.") for p in encoder_group["params"])
    assert all(names[id(p)].startswith("fc_") for p in heads["params"])
    assert len(encoder_group["params"]) + len(heads["params"]) == len(names)
    optimizer = torch.optim.AdamW([encoder_group, heads], eps=ADAMW_EPS)
    assert [(g["lr"], g["weight_decay"], g["eps"]) for g in optimizer.param_groups] == [
        (5e-6, 1e-3, 1e-4),
        (1e-5, 1e-3, 1e-4),
    ]


def test_it_learns():
    torch.manual_seed(0)
    net = model(**SMALL, dropout=0.1)
    x = batch(32, 8)
    y = (x[3] > 500).float()
    optimizer = torch.optim.AdamW(parameter_groups(net, 1e-3, 1e-3, 0.0), eps=ADAMW_EPS)
    losses = []
    for _ in range(40):
        loss = nn.functional.binary_cross_entropy_with_logits(net(*x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.3 * losses[0]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"d_model": 127}, "^d_model: expected an even number"),
        ({"d_model": 2, "nhead": 1}, "^d_model: expected an even number of at least 4"),
        ({"d_model": 100}, "^d_model: 100 is not divisible by nhead = 8"),
        ({"nhead": 3}, "^d_model: 128 is not divisible by nhead = 3"),
        ({"n_layers": 0}, "^n_layers:"),
        ({"nhead": 0}, "^nhead:"),
        ({"dropout": 1.0}, "^dropout:"),
        ({"dropout": -0.1}, "^dropout:"),
    ],
)
def test_bad_arguments_are_named(change, says):
    with pytest.raises(ValueError, match=says):
        SpectrumClassifier(**change)


@pytest.mark.parametrize(
    ("index", "name", "wrong"),
    [
        (0, "mz", torch.zeros(6)),
        (1, "intensity", torch.zeros(6, 19)),
        (2, "settings", torch.zeros(6, 21)),
        (3, "precursor_mz", torch.zeros(6, 1)),
    ],
)
def test_bad_shapes_are_named(index, name, wrong):
    x = list(batch())
    x[index] = wrong
    with pytest.raises(ValueError, match=f"^{name}:"):
        model(**SMALL)(*x)


def test_wavelengths_stay_single_precision():
    net = model(**SMALL)
    before = {k: v.clone() for k, v in net.state_dict().items() if k.endswith("_term")}
    for convert in (lambda m: m.bfloat16(), lambda m: m.half(), lambda m: m.double()):
        convert(net)
        assert net.fc_output.weight.dtype != torch.float32
        for key, value in before.items():
            assert torch.equal(net.state_dict()[key], value)
            assert net.state_dict()[key].dtype == torch.float32


def test_bfloat16_autocast_is_close():
    net, x = model().eval(), batch()
    with torch.no_grad():
        expected = net(*x).sigmoid()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            out = net(*x).float().sigmoid()
    torch.testing.assert_close(out, expected, rtol=0, atol=0.03)
    net.train()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        net(*x).float().sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in net.parameters())


on_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


@on_cuda
@pytest.mark.parametrize(
    ("precision", "atol"), [(torch.float32, 1e-4), (torch.float16, 0.02), (torch.bfloat16, 0.05)]
)
def test_a_gpu_says_what_a_cpu_says(precision, atol):
    net, x = model().eval(), batch()
    with torch.no_grad():
        expected = net(*x).sigmoid()
        net.cuda()
        with torch.autocast("cuda", precision, enabled=precision != torch.float32):
            out = net(*(part.cuda() for part in x)).float().sigmoid()
    torch.testing.assert_close(out.cpu(), expected, rtol=0, atol=atol)


@on_cuda
def test_attention_on_a_gpu_makes_no_square_of_tokens():
    """Twice the peaks must not take four times the memory."""
    net = model().cuda().train()
    peaks = []
    for n_peaks in (2_000, 4_000):
        x = tuple(part.cuda() for part in batch(4, n_peaks))
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        with torch.autocast("cuda", torch.float16):
            net(*x).float().sum().backward()
        peaks.append(torch.cuda.max_memory_allocated() - before)
    assert peaks[1] < 3 * peaks[0]


def test_a_compiled_network_keeps_its_keys():
    net = model()
    net.compile(dynamic=True)
    assert set(net.state_dict()) == set(PUBLISHED)
