"""One RNA training: its schedule, its epochs, sparse or whole, and how it is taken up again."""

import dataclasses
import os
import signal

import numpy as np
import pytest
import torch
from tests.reference import rna_losses as losses
from tests.reference import schedules
from tests.rna.made import as_reference, hairpins, joined

from priorwise.errors import BadInput, Interrupted
from priorwise.learn.batches import KeyedBatches
from priorwise.learn.sparse_batches import SelectedBatches
from priorwise.learn.stopping import StopRequest
from priorwise.phases import rna_fit
from priorwise.phases.rna_fit import RnaJob, run_rna_job, workers
from priorwise.phases.rna_options import RnaPretrain
from priorwise.phases.rna_reading import USUAL_FOLDING_WEIGHT
from priorwise.rna import module as module_file
from priorwise.rna.alphabet import C, G
from priorwise.rna.batches import FeatureMaps, assemble
from priorwise.rna.checkpoint import kept_weights
from priorwise.rna.masking import VALIDATION
from priorwise.rna.module import RnaModule
from priorwise.rna.network import RnaNetwork
from priorwise.rna.predict import predict

N_TRAIN, EPOCHS, STEPS = 50, 2, 7
#: dropout, weight decay and clipping are on: they must not disturb a resume
OPTIONS = RnaPretrain(
    model_size="tiny",
    pair_channels=4,
    pair_dilations="1,2,1",
    num_epochs=EPOCHS,
    batch_size=8,
    learning_rate=2e-3,
    warmup_steps=4,
    max_len=64,
)
#: 20 of 50 rows are trained on in each epoch, in as many batches
SPARSE = {"use_ast": True, "batch_size": 3}


@pytest.fixture(scope="module")
def rows():
    train = hairpins(N_TRAIN, seed=1, labelled=0.8)
    validation = joined(hairpins(9, 2, "VL0", 0.8), hairpins(6, 3, "CUT"))
    return train, validation


class Notes:
    """Recorder that keeps what it hears."""

    def __init__(self):
        self.epochs = {}

    def epoch(self, metrics, step):
        assert step not in self.epochs
        self.epochs[step] = dict(metrics)

    def step(self, metrics, step):
        pass

    def column(self, name):
        return [self.epochs[step][name] for step in sorted(self.epochs)]


def job_of(rows, folder, resume_from=None, **options):
    return RnaJob(dataclasses.replace(OPTIONS, **options), *rows, folder, resume_from=resume_from)


def trained(rows, folder, notes=None, stop=None, **options):
    """Result and notes of a whole training."""
    notes = notes or Notes()
    result = run_rna_job(job_of(rows, folder, **options), notes, stop or StopRequest())
    return result, notes


def read(path):
    return torch.load(path, map_location="cpu", weights_only=True)


@pytest.fixture
def spied(monkeypatch):
    """Calls of training_step: (module, batch, learning rate)."""
    calls = []
    original = RnaModule.training_step

    def training_step(self, batch, batch_idx):
        calls.append((self, batch, self._rate()))
        return original(self, batch, batch_idx)

    monkeypatch.setattr(RnaModule, "training_step", training_step)
    return calls


# --- schedule -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["cosine", "linear", "constant"])
def test_the_rate_of_every_step_is_the_published_one(rows, tmp_path, spied, kind):
    given = {"lr_scheduler_type": kind, "min_lr_ratio": 0.2, "num_epochs": 2}
    _, notes = trained(rows, tmp_path, **given)
    total = 2 * STEPS
    peak = OPTIONS.learning_rate

    def expected(step):
        return peak * schedules.factor(step, 4, total, kind, 0.2)

    rates = [rate for _, _, rate in spied]
    assert len(rates) == total
    np.testing.assert_allclose(rates, [expected(step) for step in range(total)], rtol=1e-9)
    logged = notes.column("learning_rate")
    np.testing.assert_allclose(logged, [expected(STEPS), expected(total)], rtol=1e-9)


def test_the_rate_stays_at_its_floor(rows, tmp_path, spied):
    trained(rows, tmp_path, num_epochs=1)
    module = spied[0][0]
    configured = module.configure_optimizers()
    optimizer, scheduler = configured["optimizer"], configured["lr_scheduler"]["scheduler"]
    assert configured["lr_scheduler"]["interval"] == "step"
    rates = []
    for _ in range(3 * STEPS):
        optimizer.step()
        scheduler.step()
        rates.append(optimizer.param_groups[0]["lr"])
    floor = OPTIONS.learning_rate * OPTIONS.min_lr_ratio
    assert rates[STEPS - 2] > floor * 1.01
    np.testing.assert_allclose(rates[STEPS - 1 :], floor, rtol=1e-9)


def test_a_warmup_as_long_as_the_training_is_warned_of(rows, tmp_path, capsys):
    trained(rows, tmp_path, num_epochs=1, warmup_steps=STEPS)
    assert f"the warmup of {STEPS} steps" in capsys.readouterr().out
    trained(rows, tmp_path / "b", num_epochs=1, warmup_steps=STEPS - 1)
    assert "warmup" not in capsys.readouterr().out


def test_norms_and_biases_do_not_decay(rows, tmp_path, spied):
    trained(rows, tmp_path, num_epochs=1, weight_decay=0.3)
    module = spied[0][0]
    decays = {
        id(p): group["weight_decay"]
        for group in module.trainer.optimizers[0].param_groups
        for p in group["params"]
    }
    for name, p in module.network.named_parameters():
        assert decays[id(p)] == (0.3 if p.ndim > 1 else 0.0), name
    assert len(decays) == len(list(module.network.parameters()))


# --- epochs ---------------------------------------------------------------------------------------


def test_every_row_is_trained_once_an_epoch(rows, tmp_path, spied):
    """use_ast=false is plain training, whatever the target of sparse training is."""
    result, notes = trained(rows, tmp_path, ast_target_activation=0.1)
    assert len(spied) == EPOCHS * STEPS and result.epochs == EPOCHS
    for epoch in range(EPOCHS):
        seen = np.concatenate([b.row for _, b, _ in spied[epoch * STEPS : (epoch + 1) * STEPS]])
        assert sorted(seen.tolist()) == list(range(N_TRAIN))
    assert notes.column("activation_rate") == [1.0] * EPOCHS
    assert not any(name.startswith("ast_") for name in notes.epochs[0])
    job = job_of(rows, tmp_path)
    assert job.selection() is None and job.steps_per_epoch() == STEPS
    assert type(job.order(None)) is KeyedBatches
    other, _ = trained(rows, tmp_path / "b", ast_target_activation=0.9)
    states = [read(r.last)["state_dict"] for r in (result, other)]
    assert all(torch.equal(v, states[1][k]) for k, v in states[0].items())


def test_a_target_of_one_is_plain_training(rows, tmp_path):
    job = job_of(rows, tmp_path, use_ast=True, ast_target_activation=1.0)
    assert job.selection() is None and type(job.order(None)) is KeyedBatches


def test_sparse_training_keeps_to_its_target_from_the_first_epoch(rows, tmp_path, spied):
    _, notes = trained(rows, tmp_path, **SPARSE, num_epochs=6)
    per_epoch = len(spied) // 6
    visits = np.zeros(N_TRAIN, int)
    for epoch in range(6):
        batches = [b for _, b, _ in spied[epoch * per_epoch : (epoch + 1) * per_epoch]]
        seen = np.concatenate([b.row for b in batches])
        assert len(set(seen.tolist())) == len(seen) == 0.4 * N_TRAIN
        assert min(len(b.row) for b in batches) > 0  # no batch is skipped
        visits[seen] += 1
    assert all(abs(rate - 0.4) <= 0.01 for rate in notes.column("activation_rate"))
    assert visits.min() >= 1 and visits.max() > visits.min()
    assert notes.column("ast_longest_wait")[-1] < 12  # 4 / .4, rounded up
    assert notes.column("ast_unseen")[0] == 30 and notes.column("ast_unseen")[-1] == 0
    job = job_of(rows, tmp_path, **SPARSE)
    assert job.selection().revisit == 12
    assert type(job.order(job.selection())) is SelectedBatches
    assert job.steps_per_epoch() == per_epoch == 7
    # and fewer tokens went through the network
    assert sum(len(b.row) for _, b, _ in spied) == 6 * 20


def test_the_selection_learns_the_loss_of_each_row(rows, tmp_path, spied):
    """Its own, as if it were alone; with weights that stay what they are it can be had again."""
    still = {"learning_rate": 1e-12, "dropout": 0.0}
    trained(rows, tmp_path, **SPARSE, **still, num_epochs=1)
    module = spied[0][0]
    kept = np.array(module.selection.state_dict()["loss"])
    for _, batch, _ in spied:
        with torch.no_grad():
            sums = module.objective.sums(module._answer(batch), batch)
        own = module.objective.losses(sums).total
        np.testing.assert_allclose(kept[batch.row], own.numpy(), rtol=1e-4)
    seen = np.concatenate([batch.row for _, batch, _ in spied])
    assert np.isnan(np.delete(kept, seen)).all() and np.ptp(kept[seen]) > 0.1


def test_samples_per_second_are_those_of_the_clock(rows, tmp_path, monkeypatch):
    """Rows passed over count as seen; validation is not on the clock."""
    now = [0.0]

    class Clock:
        monotonic = staticmethod(lambda: now[0])

    monkeypatch.setattr(module_file, "time", Clock)
    step, judge = RnaModule.training_step, RnaModule.validation_step

    def training_step(self, batch, batch_idx):
        now[0] += 0.5
        return step(self, batch, batch_idx)

    def validation_step(self, batch, batch_idx):
        now[0] += 100
        return judge(self, batch, batch_idx)

    monkeypatch.setattr(RnaModule, "training_step", training_step)
    monkeypatch.setattr(RnaModule, "validation_step", validation_step)
    _, notes = trained(rows, tmp_path, num_epochs=2, **SPARSE)
    assert notes.column("samples_per_second") == pytest.approx([N_TRAIN / (7 * 0.5)] * 2)


def test_early_stopping(rows, tmp_path):
    """With a rate of nearly nothing no epoch is better than the first."""
    given = {"learning_rate": 1e-12, "patience": 2, "num_epochs": 9, "ema_decay": 0.0}
    result, notes = trained(rows, tmp_path, **given)
    assert result.epochs == len(notes.epochs) == 3
    assert result.best_metrics["best_epoch"] == 0
    assert "epoch=00" in result.best.name


@pytest.mark.parametrize(("monitor", "best_of"), [("val_loss_seed", min), ("val_ap", max)])
def test_the_best_epoch_by_any_monitor(rows, tmp_path, monitor, best_of):
    result, notes = trained(rows, tmp_path, monitor=monitor, num_epochs=3)
    values = notes.column(monitor)
    best = best_of(values)
    assert len(set(values)) == 3
    assert result.best_metrics[monitor] == best
    assert result.best_metrics["best_epoch"] == values.index(best)
    assert read(result.best)["epoch"] == values.index(best)


def test_what_is_logged_of_an_epoch(rows, tmp_path):
    _, notes = trained(rows, tmp_path, num_epochs=1)
    measured = [
        f"{phase}_{name}"
        for phase in ("train", "val")
        for name in (
            *("loss", "mlm_loss", "structure_loss", "pair_loss", "mlm_accuracy"),
            *("structure_accuracy", "pair_precision", "pair_recall", "pair_f1"),
        )
    ]
    others = ["val_strict_f1", "val_ap", "cut_strict_f1", "selection_f1", "selection_threshold"]
    others += ["val_loss_seed", "learning_rate", "activation_rate", "samples_per_second"]
    assert set(notes.epochs[0]) == {*measured, *others}
    assert all(np.isfinite(v) for v in notes.epochs[0].values())


def test_losses_and_accuracies_of_validation_leave_the_cut_out(rows, tmp_path):
    train, validation = rows
    without = validation.of_partition("VL0")
    found = [
        trained((train, part), tmp_path / str(k), num_epochs=1)[1].epochs[0]
        for k, part in enumerate((validation, without))
    ]
    for name in found[1]:
        if name.startswith("val_") and name != "val_strict_f1":
            assert found[0][name] == pytest.approx(found[1][name], rel=1e-5), name
    assert "cut_strict_f1" not in found[1]
    assert found[1]["selection_f1"] == found[1]["val_strict_f1"]


def reference_metrics(network, rows, batch, tokens_of_structure, scale=None):
    """Metrics of one giant batch by plain Python."""
    with torch.no_grad():
        answer = network(tokens_of_structure, batch.present)
        letters = network.nucleotide_logits(batch.masked)
    sequences = as_reference(rows, answer._replace(nucleotides=letters), batch)
    return losses.metrics(sequences, OPTIONS.pair_threshold, **(scale or {}))


def test_validation_is_of_the_kept_weights_on_whole_sequences(rows, tmp_path):
    """And nucleotides are told from masked ones; all sequences together, whatever the batches."""
    options = {"num_epochs": 1, "ema_decay": 0.9, "batch_size": 4, "pair_loss_weight": 2.0}
    result, notes = trained(rows, tmp_path, **options)
    network = RnaNetwork(**OPTIONS.network()).eval()
    network.load_state_dict(kept_weights(result.last))
    own = rows[1].of_partition("VL0")
    batch = assemble(rows[1], range(len(own)), seed=OPTIONS.seed, epoch=VALIDATION)
    wanted = reference_metrics(network, own, batch, batch.tokens, {"weights": (1.0, 0.8, 2.0)})
    for name, value in wanted.items():
        assert notes.epochs[0][f"val_{name}"] == pytest.approx(value, rel=1e-4), name
    seed = reference_metrics(network, own, batch, batch.tokens, {"normalizer": "cells"})
    assert notes.epochs[0]["val_loss_seed"] == pytest.approx(seed["loss"], rel=1e-4)
    assert wanted["mlm_accuracy"] < 1 and seed["loss"] < wanted["loss"]


def test_metrics_of_training_are_of_all_its_steps(rows, tmp_path):
    """With weights that stay what they are, those of one giant batch."""
    still = {"num_epochs": 1, "learning_rate": 1e-12, "dropout": 0.0}
    result, notes = trained(rows, tmp_path, **still)
    network = RnaNetwork(**OPTIONS.network()).eval()
    network.load_state_dict(kept_weights(result.last))
    batch = assemble(rows[0], range(N_TRAIN), seed=OPTIONS.seed, epoch=0)
    for name, value in reference_metrics(network, rows[0], batch, batch.tokens).items():
        assert notes.epochs[0][f"train_{name}"] == pytest.approx(value, rel=1e-4), name


def test_gradients_are_clipped(rows, tmp_path, monkeypatch):
    norms = []

    def on_before_zero_grad(self, optimizer):
        grads = [p.grad.norm() for p in self.network.parameters() if p.grad is not None]
        norms.append(float(torch.stack(grads).norm()) if grads else None)

    monkeypatch.setattr(RnaModule, "on_before_zero_grad", on_before_zero_grad)
    for clip in (0.05, 1e6):
        norms.clear()
        trained(rows, tmp_path / str(clip), num_epochs=1, grad_clip=clip)
        found = [norm for norm in norms if norm]
        assert len(found) >= STEPS - 1
        assert all((norm <= clip * 1.001) and (norm > 0.9 * clip or clip > 1) for norm in found)
    assert max(found) > 1


def test_validation_says_the_same_of_the_same_weights(rows, tmp_path):
    """Published: other bases were hidden in every validation."""
    _, notes = trained(rows, tmp_path, num_epochs=2, learning_rate=1e-15, warmup_steps=0)
    for name in ("val_loss", "val_mlm_loss", "val_mlm_accuracy", "val_ap"):
        assert notes.column(name)[0] == pytest.approx(notes.column(name)[1], rel=1e-6)
    assert notes.column("train_mlm_loss")[0] != notes.column("train_mlm_loss")[1]


def test_the_average_follows_the_weights(rows, tmp_path, monkeypatch):
    """As a recursion in double precision; a young average forgets its start faster."""
    path = []

    def on_train_batch_end(self, outputs, batch, batch_idx):
        path.append(self.network.pairs.out.weight.detach().double().numpy().copy())

    monkeypatch.setattr(RnaModule, "on_train_batch_end", on_train_batch_end)
    result, _ = trained(rows, tmp_path, ema_decay=0.6, num_epochs=2)
    state = read(result.last)["state_dict"]
    torch.manual_seed(OPTIONS.seed)
    average = RnaNetwork(**OPTIONS.network()).pairs.out.weight.detach().double().numpy()
    for step, weight in enumerate(path, start=1):
        decay = min(0.6, (step + 1) / (step + 10))
        average = decay * average + (1 - decay) * weight
    found = state["average.pairs.out.weight"].double().numpy()
    np.testing.assert_allclose(found, average, atol=1e-6)
    assert np.abs(found - path[-1]).max() > 1e-5
    kept = kept_weights(result.last)["pairs.out.weight"]
    assert torch.equal(kept, state["average.pairs.out.weight"])


def test_training_does_not_depend_on_what_was_drawn_before(rows, tmp_path):
    torch.manual_seed(99)
    one, _ = trained(rows, tmp_path / "a", num_epochs=1)
    torch.manual_seed(7)
    np.random.seed(7)
    other, _ = trained(rows, tmp_path / "b", num_epochs=1)
    another, _ = trained(rows, tmp_path / "c", num_epochs=1, seed=2)
    states = [read(r.last)["state_dict"] for r in (one, other, another)]
    assert all(torch.equal(v, states[1][k]) for k, v in states[0].items())
    assert not all(torch.equal(v, states[2][k]) for k, v in states[0].items())


def test_dropout_is_another_one_in_every_step_of_every_epoch(rows, tmp_path, monkeypatch):
    """Keyed, so that a resume finds it again."""
    keys = []
    original = RnaModule.training_step

    def training_step(self, batch, batch_idx):
        keys.append(torch.initial_seed())
        return original(self, batch, batch_idx)

    monkeypatch.setattr(RnaModule, "training_step", training_step)
    for seed in (1, 1, 2):
        trained(rows, tmp_path / str(len(keys)), seed=seed)
    one, again, other = np.split(np.array(keys), 3)
    assert one.tolist() == again.tolist()
    assert len(set(one.tolist()) | set(other.tolist())) == 2 * EPOCHS * STEPS


def test_a_short_training_learns(rows, tmp_path):
    given = {"num_epochs": 6, "learning_rate": 5e-3, "pair_channels": 8}
    _, notes = trained(rows, tmp_path, **given)
    for name in ("train_loss", "train_pair_loss", "train_structure_loss"):
        assert notes.column(name)[-1] < 0.9 * notes.column(name)[0], name
    assert notes.column("val_ap")[-1] > 2 * notes.column("val_ap")[0]


def pairing_g_with_c(sequences, parameter_sets):
    """In place of ViennaRNA: every G pairs with every C, half the time."""
    if not parameter_sets:
        return None
    maps = FeatureMaps(len(sequences), len(parameter_sets))
    for row, sequence in enumerate(sequences):
        g, c = (np.array([base == letter for base in sequence]) for letter in "GC")
        cells = 0.5 * (np.outer(g, c) | np.outer(c, g)).astype(np.float32)
        for place in range(len(parameter_sets)):
            maps.put(row, place, cells)
    return maps


def test_what_a_teacher_says_is_learned_beside_the_tasks(rows, tmp_path, monkeypatch, spied):
    monkeypatch.setattr(rna_fit, "feature_maps", pairing_g_with_c)
    options = {"teacher": "bpp", "teacher_loss_weight": 3.0, "num_epochs": 6, "pair_channels": 8}
    result, notes = trained(rows, tmp_path, learning_rate=5e-3, **options)
    module, batch, _ = spied[0]
    assert batch.teacher is not None and batch.features is None
    assert module.folding_weight == USUAL_FOLDING_WEIGHT
    given = dataclasses.replace(OPTIONS, teacher="bpp", pair_channels=8)
    network = RnaNetwork(**given.network()).eval()
    network.load_state_dict(kept_weights(result.last))
    said, hoped = [], []
    for found in predict(network, rows[1]):
        n = len(found.folded)
        i, j = np.triu_indices(n, 4)
        said.append(found.folded[i, j])
        first, second = (rows[1].tokens_of_row(found.row)[k] for k in (i, j))
        hoped.append(((first == G) & (second == C)) | ((first == C) & (second == G)))
    said, hoped = np.concatenate(said), np.concatenate(hoped)
    assert said[hoped].mean() > 3 * said[~hoped].mean()
    # the teacher is not part of the losses that are compared between training and validation
    epoch = notes.epochs[EPOCHS]
    parts = [epoch[f"train_{name}_loss"] for name in ("mlm", "structure", "pair")]
    assert epoch["train_loss"] == pytest.approx(np.dot(parts, (1.0, 0.8, 1.5)), rel=1e-5)


def test_without_a_teacher_or_features_there_is_one_opinion(rows, tmp_path):
    assert job_of(rows, tmp_path).folding_weight() == 0
    assert job_of(rows, tmp_path, folding_weight="0.4").folding_weight() == 0
    assert job_of(rows, tmp_path, folding_weight="0.4", features="bpp").folding_weight() == 0.4


@pytest.mark.parametrize("structure_input", ["whole", "masked"])
def test_what_structures_are_learned_from(rows, tmp_path, spied, monkeypatch, structure_input):
    """Nucleotides are always told from masked sequences: from whole ones they would be copied."""
    seen = []
    original = RnaModule._answer

    def answer(self, batch):
        def at(tokens):
            with torch.no_grad():
                return self.network(tokens, batch.present, None)

        self.network.eval()
        found = original(self, batch)
        seen.append((found, at(batch.tokens), at(batch.masked)))
        return found

    monkeypatch.setattr(RnaModule, "_answer", answer)
    trained(rows, tmp_path, num_epochs=1, structure_input=structure_input)
    found, whole, masked = seen[-1]
    wanted = whole if structure_input == "whole" else masked
    torch.testing.assert_close(found.pairs, wanted.pairs)
    torch.testing.assert_close(found.loops, wanted.loops)
    torch.testing.assert_close(found.nucleotides, masked.nucleotides)
    assert (whole.pairs - masked.pairs).abs().max() > 1e-4
    assert (whole.nucleotides - masked.nucleotides).abs().max() > 1e-4


def test_pair_logits_start_at_the_share_of_pairs_among_known_structures(rows, tmp_path, spied):
    trained(rows, tmp_path, num_epochs=1, learning_rate=1e-12)
    pairs = cells = 0
    for k in np.flatnonzero(rows[0].labelled):
        n = int(rows[0].lengths[k])
        cells += sum(n - apart for apart in range(4, n))
        pairs += len(rows[0].pairs_of_row(k))
    assert 0 < rows[0].labelled.sum() < N_TRAIN
    bias = spied[0][0].network.pairs.out.bias.item()
    assert bias == pytest.approx(np.log(pairs / (cells - pairs)), rel=1e-4)


def test_too_few_rows_for_sparse_training(rows, tmp_path):
    few = rows[0].take([0, 1]), rows[1]
    with pytest.raises(BadInput, match="^ast_target_activation: 0.4: .* of 2 row"):
        trained(few, tmp_path, use_ast=True)


# --- the machine ----------------------------------------------------------------------------------


def test_more_loader_processes_than_processors(capsys):
    there = len(os.sched_getaffinity(0))
    assert workers(99) == there
    assert f"num_workers=99: this machine has {there} processor(s)" in capsys.readouterr().out
    assert workers(0) == 0 and workers(1) == 1
    assert capsys.readouterr().out == ""


def test_half_precision_on_a_processor_without_it(rows, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for able in (True, False):
        for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
            monkeypatch.setattr(torch.cpu, name, lambda able=able: able)
        assert (
            rna_fit.low_precision(dataclasses.replace(OPTIONS, fp16=True, pair_channels=16)) == able
        )
        assert ("no bfloat16" in capsys.readouterr().out) == (not able)
    assert not rna_fit.low_precision(OPTIONS)


def test_bfloat16_training_is_close_to_single_precision(rows, tmp_path, monkeypatch):
    found = []
    for low in (False, True):
        monkeypatch.setattr(rna_fit, "low_precision", lambda options, low=low: low)
        found.append(trained(rows, tmp_path / str(low), num_epochs=1)[1].epochs[0])
    for name in ("train_loss", "val_loss", "val_pair_loss", "val_structure_loss"):
        assert found[1][name] == pytest.approx(found[0][name], rel=0.02), name
        assert found[1][name] != found[0][name]


# --- taken up again -------------------------------------------------------------------------------


def left(result, notes):
    """All that a training leaves, but its speed."""
    last, best = read(result.last), read(result.best)
    history = {
        step: {k: v for k, v in metrics.items() if k != "samples_per_second"}
        for step, metrics in notes.epochs.items()
    }
    kept = {k: v for k, v in result.best_metrics.items() if k != "samples_per_second"}
    return {
        "history": history,
        "best metrics": kept,
        "best name": result.best.name,
        "epochs": result.epochs,
        **{f"last {name}": last[name] for name in ("state_dict", "optimizer_states")},
        **{f"last {name}": last[name] for name in ("lr_schedulers", "epoch_sums", "epoch")},
        "global step": last["global_step"],
        "selection": last.get("selection"),
        "best state_dict": best["state_dict"],
        "best selection": best.get("selection"),
    }


def same(one, other, where=""):
    """Whether two nested things are equal, tensors and nan to the bit."""
    assert type(one) is type(other), where
    if isinstance(one, dict):
        assert one.keys() == other.keys(), where
        for key in one:
            same(one[key], other[key], f"{where}.{key}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), where
        for k, (a, b) in enumerate(zip(one, other, strict=True)):
            same(a, b, f"{where}[{k}]")
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one, other), where
    else:
        assert one == other or (one != one and other != other), where


FORMS = {
    "plain": {"ema_decay": 0.0},
    "average": {"ema_decay": 0.9},
    "sparse": {**SPARSE, "ema_decay": 0.9},
}


@pytest.fixture(scope="module")
def undisturbed(rows, tmp_path_factory):
    """What a whole training of each form leaves, made once."""
    made = {}

    def of(form):
        if form not in made:
            folder = tmp_path_factory.mktemp("whole")
            made[form] = left(*trained(rows, folder, **FORMS[form]))
        return made[form]

    return of


def interrupted(rows, folder, notes, method, call, monkeypatch, **options):
    """A training that is asked to stop in the n-th call of a method."""
    stop, original = StopRequest(), getattr(RnaModule, method)
    calls = iter(range(10**6))

    def called(self, *args):
        if next(calls) == call:
            stop.handle(signal.SIGTERM)
        return original(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(RnaModule, method, called)
        with pytest.raises(Interrupted):
            trained(rows, folder, notes, stop, **options)
    return folder / "checkpoints" / "last.ckpt"


PLACES = {
    "sparse": [
        *(("training_step", n) for n in (0, 3, STEPS - 1, STEPS, STEPS + 4, 2 * STEPS - 1)),
        *(("validation_step", 0), ("on_validation_epoch_end", 0), ("on_train_epoch_start", 1)),
    ],
    "average": [("training_step", 3), ("training_step", STEPS - 1), ("on_save_checkpoint", 1)],
    "plain": [("training_step", STEPS + 4), ("validation_step", 1)],
}


@pytest.mark.parametrize(
    ("form", "method", "call"), [(form, *place) for form in PLACES for place in PLACES[form]]
)
def test_a_resumed_training_equals_an_undisturbed_one(
    rows, tmp_path, monkeypatch, undisturbed, form, method, call
):
    notes = Notes()
    last = interrupted(rows, tmp_path, notes, method, call, monkeypatch, **FORMS[form])
    result, _ = trained(rows, tmp_path, notes, resume_from=last, **FORMS[form])
    same(left(result, notes), undisturbed(form))


@pytest.mark.parametrize("form", ["average", "sparse"])
def test_the_end_of_an_epoch_is_a_place_to_go_on_from(
    rows, tmp_path, monkeypatch, undisturbed, form
):
    """From the checkpoint of each finished epoch, as after a power failure."""
    import shutil

    folder, notes = tmp_path / "first", Notes()
    original = RnaModule.on_train_epoch_start

    def on_train_epoch_start(self):
        if self.current_epoch:  # nothing else is written before the epoch is over
            shutil.copytree(folder, tmp_path / f"after {self.current_epoch}")
        return original(self)

    with monkeypatch.context() as patch:
        patch.setattr(RnaModule, "on_train_epoch_start", on_train_epoch_start)
        trained(rows, folder, **FORMS[form])
    for epoch in range(1, EPOCHS):
        place = tmp_path / f"after {epoch}"
        notes = Notes()
        notes.epochs = {k: v for k, v in undisturbed(form)["history"].items() if k < epoch}
        last = place / "checkpoints" / "last.ckpt"
        result, _ = trained(rows, place, notes, resume_from=last, **FORMS[form])
        same(left(result, notes), undisturbed(form))


@pytest.mark.slow
@pytest.mark.parametrize("form", ["average", "sparse"])
def test_loader_processes_change_nothing(rows, tmp_path, monkeypatch, undisturbed, form):
    """Batches assembled elsewhere come in the same order, also after a resume within an epoch."""
    whole, _ = trained(rows, tmp_path / "whole", notes := Notes(), num_workers=2, **FORMS[form])
    same(left(whole, notes), undisturbed(form))
    notes, options = Notes(), {**FORMS[form], "num_workers": 2}
    last = interrupted(
        rows, tmp_path / "b", notes, "training_step", STEPS + 4, monkeypatch, **options
    )
    result, _ = trained(rows, tmp_path / "b", notes, resume_from=last, **options)
    same(left(result, notes), undisturbed(form))


def test_a_changed_order_is_not_taken_up_in_the_middle_of_an_epoch(rows, tmp_path, monkeypatch):
    last = interrupted(rows, tmp_path, Notes(), "training_step", 3, monkeypatch)
    with pytest.raises(BadInput, match="^resume: in the middle of an epoch, batch_size"):
        trained(rows, tmp_path, resume_from=last, batch_size=5)


def test_the_rates_of_today_count_when_a_training_is_taken_up_again(rows, tmp_path, monkeypatch):
    notes = Notes()
    last = interrupted(rows, tmp_path, notes, "training_step", STEPS + 1, monkeypatch)
    today = {"learning_rate": 0.0123, "weight_decay": 0.3, "num_epochs": EPOCHS + 1}
    result, _ = trained(rows, tmp_path, notes, resume_from=last, **today)
    state = torch.load(result.last, weights_only=True)
    matrices, vectors = state["optimizer_states"][0]["param_groups"]
    assert (matrices["weight_decay"], vectors["weight_decay"]) == (0.3, 0.0)
    total = STEPS * (EPOCHS + 1)
    factor = schedules.factor(state["global_step"], 4, total, "cosine", 0.1)
    assert matrices["lr"] == vectors["lr"] == pytest.approx(0.0123 * factor, rel=1e-12)
    assert state["lr_schedulers"][0]["base_lrs"] == [0.0123, 0.0123]
    assert state["epoch"] == EPOCHS
