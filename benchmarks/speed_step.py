"""Parts `step` and `inference`: training steps and predictions on the same spectra.

The lines with length buckets take batches from all over a window of 64 batches sorted by length, so
that short and long ones are there in their shares. The floor is the time that the matrix products
which must be done would take at the rate this machine reaches on large ones.
"""

import time
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import torch

from benchmarks import baseline
from benchmarks.figures import dots
from benchmarks.speed_loader import waste_of
from benchmarks.speed_setting import Setting, Turn, take_turns, timed
from benchmarks.tables import Goal, Report, present
from priorwise.learn.batches import KeyedBatches
from priorwise.pu.rates import ClassPrior, PolarityPriors
from priorwise.pu.risk import pu_risk
from priorwise.spectra.encoder import (
    ADAMW_EPS,
    SpectrumClassifier,
    in_bfloat16,
    parameter_groups,
    steady,
)
from priorwise.spectra.probabilities import probabilities
from priorwise.spectra.read_rows import load_rows
from priorwise.spectra.rows import SpectraBatch, SpectraRows
from priorwise.store.tables import open_pinned

BATCH, WINDOW = 256, 64
#: batches of a turn: as drawn, and with buckets (spread over the window)
DRAWN, BUCKETS = 2, 8
D_MODEL, WIDE, HEADS = 128, 1024, 8
BASELINE = "published"
Batches = Sequence[np.ndarray]


class Batched:
    """Which rows a round takes: as drawn, and sorted by length within a window."""

    def __init__(self, rows: SpectraRows, setting: Setting) -> None:
        self._lengths, self._strata, self._seed = rows.lengths, rows.strata, setting.seed
        self.size = 32 if setting.quick else BATCH
        self._n = len(rows)

    def __call__(self, number: int) -> tuple[Batches, Batches]:
        rng = np.random.default_rng([self._seed, number])
        window = rng.permutation(self._n)[: self.size * WINDOW]
        whole = len(window) // self.size
        window = window[: whole * self.size]
        drawn = [window[k * self.size : (k + 1) * self.size] for k in range(DRAWN)]
        order = KeyedBatches(
            len(window),
            self.size,
            seed=self._seed,
            window=WINDOW,
            lengths=self._lengths[window],
            strata=self._strata[window],
        )
        every = sorted((window[part] for part in order), key=lambda p: self._lengths[p].mean())
        step = max(whole // BUCKETS, 1)
        buckets = every[step // 2 :: step]
        return drawn, [buckets[k] for k in rng.permutation(len(buckets))]


def run(setting: Setting) -> Report:
    """Training steps."""
    rows, batched = _prepared(setting)
    lines: dict[str, Callable[[int], Turn]] = {
        BASELINE: _published_steps(rows, batched),
        "ours, same batches": _our_steps(rows, batched, 0, False),
        "ours, buckets": _our_steps(rows, batched, 1, False),
        "ours, buckets, bfloat16": _our_steps(rows, batched, 1, True),
    }
    title = f"training steps (nnPU risk, AdamW, dropout .3), batches of {batched.size}"
    bounds = {
        "step, same batches, f32": ("ours, same batches", 2.5, 4),
        "step, buckets, f32": ("ours, buckets", 4, 7),
        "step, buckets, bf16": ("ours, buckets, bfloat16", 5.5, 12),
    }
    return _compared("step", title, rows, lines, bounds, setting, training=True)


def run_compiled(setting: Setting) -> Report:
    """Training steps with torch.compile and without."""
    rows, batched = _prepared(setting)
    lines: dict[str, Callable[[int], Turn]] = {
        f"{kind}{how}": _our_steps(rows, batched, 1, kind == "bfloat16", compiled=bool(how))
        for kind in ("float32", "bfloat16")
        for how in ("", ", compiled")
    }
    first = [f"{name} {line(0).wall:.0f} s" for name, line in lines.items()]
    table, turns = take_turns(lines, setting.rounds, "float32", "wall")
    used = [
        f"batches of {batched.size}, {setting.threads} thread(s)",
        f"first turn, with the compilation: {', '.join(first)}",
    ]
    title = "training steps with torch.compile"
    labels = {"wall": "rows per second (dot: round)"}
    figure = dots(turns, "line", labels, title, ours=[line for line in lines if "," in line])
    report = Report("compile", title, used, table, [], {"": figure}, files={"_rounds": turns})
    return present(report, setting.out)


def run_inference(setting: Setting) -> Report:
    """Predictions."""
    rows, batched = _prepared(setting)
    lines: dict[str, Callable[[int], Turn]] = {
        BASELINE: _published_answers(rows, batched),
        "ours": _our_answers(rows, batched, False),
        "ours, bfloat16": _our_answers(rows, batched, True),
    }
    title = "predictions of the same rows, batches as each makes them"
    bounds = {
        "inference, f32": ("ours", 4.5, 8),
        "inference, bf16": ("ours, bfloat16", 6.5, 14),
    }
    return _compared("inference", title, rows, lines, bounds, setting, training=False)


def _prepared(setting: Setting) -> tuple[SpectraRows, Batched]:
    torch.set_num_threads(setting.threads)
    rows = load_rows(open_pinned(str(setting.table(min(setting.rows, 20_000)))))
    return rows, Batched(rows, setting)


def _compared(
    name: str,
    title: str,
    rows: SpectraRows,
    lines: dict[str, Callable[[int], Turn]],
    bounds: dict[str, tuple[str, float, float]],
    setting: Setting,
    *,
    training: bool,
) -> Report:
    """Take turns; `bounds` names each goal's line, and what it must and may reach."""
    table, turns = take_turns(lines, setting.rounds, BASELINE, "wall")
    flops = np.mean([flops_of(int(n), training=training) for n in rows.lengths])
    table, used = _with_floor(table, flops, setting)
    x = table.set_index("line")["x baseline"]
    goals = [Goal(goal, x[line], must, best) for goal, (line, must, best) in bounds.items()]
    ours = [line for line in table["line"] if line != BASELINE]
    figure = dots(turns, "line", {"wall": "rows per second (dot: round)"}, title, ours=ours)
    report = Report(name, title, used, table, goals, {"": figure}, files={"_rounds": turns})
    return present(report, setting.out)


# --- the lines -----------------------------------------------------------------------------------


def _published_batch(rows: SpectraRows, indices: np.ndarray) -> baseline.Batch:
    batch = rows.assemble(indices)
    return (
        batch.mz,
        batch.intensity,
        batch.settings,
        batch.precursor_mz,
        batch.s,
        batch.positive,
    )


def _published_steps(rows: SpectraRows, batched: Batched) -> Callable[[int], Turn]:
    torch.manual_seed(0)
    network = baseline.PublishedNetwork().train()
    optimizer = baseline.optimizer_of(network)

    def turn(number: int) -> Turn:
        parts, _ = batched(number)
        ready = [_published_batch(rows, part) for part in parts]

        def work() -> tuple[int, float]:
            for batch in ready:
                baseline.step(network, optimizer, batch)
            return sum(map(len, parts)), waste_of([rows.lengths[part] for part in parts])

        return timed(work)

    return turn


def optimizer_of(network: SpectrumClassifier) -> torch.optim.Optimizer:
    """Ours, with the guide's rates."""
    groups = parameter_groups(network, 5e-6, 1e-5, 1e-3)
    return torch.optim.AdamW(groups, eps=ADAMW_EPS, fused=True)


def _our_steps(
    rows: SpectraRows, batched: Batched, which: int, bfloat16: bool, *, compiled: bool = False
) -> Callable[[int], Turn]:
    torch.manual_seed(0)
    network = in_bfloat16(SpectrumClassifier(), bfloat16).train()
    if compiled:
        network.compile(dynamic=True)
    optimizer = optimizer_of(network)
    priors = PolarityPriors(ClassPrior(0.45, 0.2), ClassPrior(0.28, 0.2))

    def step(batch: SpectraBatch) -> None:
        logits = network(batch.mz, batch.intensity, batch.settings, batch.precursor_mz)
        risk = pu_risk(logits, batch.s, batch.positive, priors, scenario="published")
        optimizer.zero_grad()
        risk.objective.backward()
        optimizer.step()

    def turn(number: int) -> Turn:
        parts = batched(number)[which]
        ready = [rows.assemble(part) for part in parts]

        def work() -> tuple[int, float]:
            for batch in ready:
                step(batch)
            return sum(map(len, parts)), waste_of([rows.lengths[part] for part in parts])

        return timed(work)

    return turn


def _published_answers(rows: SpectraRows, batched: Batched) -> Callable[[int], Turn]:
    torch.manual_seed(0)
    network = baseline.PublishedNetwork().eval()

    def turn(number: int) -> Turn:
        parts, _ = batched(number)
        ready = [_published_batch(rows, part) for part in parts]

        def work() -> tuple[int, float]:
            with torch.no_grad():
                for batch in ready:
                    torch.sigmoid(network(*batch[:4]))
            return sum(map(len, parts)), waste_of([rows.lengths[part] for part in parts])

        return timed(work)

    return turn


def _our_answers(rows: SpectraRows, batched: Batched, bfloat16: bool) -> Callable[[int], Turn]:
    torch.manual_seed(0)
    network = in_bfloat16(steady(SpectrumClassifier()), bfloat16)

    def turn(number: int) -> Turn:
        chosen = rows.take(np.concatenate(batched(number)[1]))

        def work() -> tuple[int, float]:
            probabilities(network, chosen)
            return len(chosen), float("nan")

        return timed(work)

    return turn


# --- the floor -----------------------------------------------------------------------------------


def flops_of(n_peaks: int, training: bool, n_layers: int = 2) -> float:
    """Floating point operations of the matrix products that a row cannot do without.

    All layers but the last one: projections, attention and the feed-forward block of each token;
    the last one: token 0 alone, with keys and values folded into its query. Training: three times
    as many. Sinusoids, softmax, norms, dropout and the optimizer are left out: it is a floor.
    """
    t, d = n_peaks + 1, D_MODEL
    layer = 2 * t * (4 * d * d + 2 * d * WIDE) + 4 * t * t * d
    last = 4 * t * d * HEADS + 2 * (4 * d * d + 2 * d * WIDE)
    peaks = 2 * n_peaks * 2 * d * d
    return (peaks + (n_layers - 1) * layer + last) * (3 if training else 1)


def matrix_rate(dtype: torch.dtype, seconds: float = 2.0) -> float:
    """Floating point operations per second of large matrix products."""
    a, b = torch.randn(4096, 1024).to(dtype), torch.randn(1024, 1024).to(dtype)
    best, began = 0.0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        start = time.perf_counter()
        a @ b
        best = max(best, 2 * 4096 * 1024 * 1024 / (time.perf_counter() - start))
    return best


def _with_floor(
    table: pd.DataFrame, flops: float, setting: Setting
) -> tuple[pd.DataFrame, list[str]]:
    """The share of the floor that each line reaches, and what to say of it."""
    types = {"f32": torch.float32, "bf16": torch.bfloat16}
    rates = {name: matrix_rate(kind) for name, kind in types.items()}
    floors = {name: rate / flops for name, rate in rates.items()}
    kinds = ["bf16" if "bfloat16" in line else "f32" for line in table["line"]]
    table["of the floor"] = [
        speed / floors[kind] for speed, kind in zip(table["rows/s"], kinds, strict=True)
    ]
    used = [
        f"{setting.rounds} rounds, {setting.threads} thread(s); a row needs {flops / 1e9:.2f} "
        "GFLOP in matrix products",
        *(
            f"{name}: {rates[name] / 1e9:.0f} GFLOP/s in large products, so at most "
            f"{floors[name]:.0f} rows/s"
            for name in rates
        ),
    ]
    return table, used
