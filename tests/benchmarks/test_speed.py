"""The speed benchmark measures what it says; how fast anything is belongs to its own tables."""

import numpy as np
import pandas as pd
import pytest
import torch

pytest.importorskip("depthcharge", reason="needs the `bench` extra")

from benchmarks import baseline, speed, speed_loader, speed_quality, speed_step
from benchmarks.speed_setting import Setting, Turn, take_turns

from priorwise.spectra.encoder import SpectrumClassifier
from priorwise.spectra.read_rows import load_rows
from priorwise.store.tables import open_pinned


@pytest.fixture(scope="module")
def setting(tmp_path_factory):
    out = tmp_path_factory.mktemp("speed")
    return Setting(out=out, rows=400, rounds=1, threads=1, seed=1, quick=True)


def test_the_published_loader_reads_the_same_rows(setting):
    uri = setting.table(60)
    ours = load_rows(open_pinned(str(uri))).assemble(range(60))
    theirs = next(iter(baseline.loader(str(uri), 60, shuffle=False)))
    expected = ours.mz, ours.intensity, ours.settings, ours.precursor_mz, ours.s, ours.positive
    for mine, other in zip(expected, theirs, strict=True):
        torch.testing.assert_close(mine, other, rtol=0, atol=0)


def test_both_steps_take_the_same_network(setting):
    rows = load_rows(open_pinned(str(setting.table(60))))
    network, published = SpectrumClassifier(), baseline.PublishedNetwork()
    published.load_state_dict(network.state_dict())
    batch = speed_step._published_batch(rows, np.arange(20))
    torch.testing.assert_close(
        network.eval()(*batch[:4]), published.eval()(*batch[:4]), rtol=0, atol=1e-5
    )


def test_rounds_are_compared_one_by_one():
    wall = {"slow": [9, 2.0, 4.0, 8.0], "quick": [9, 1.0, 1.0, 1.0]}  # round 0 warms up
    lines = {
        name: lambda number, seconds=seconds: Turn(10, seconds[number], 1.0, 0.5)
        for name, seconds in wall.items()
    }
    table, turns = take_turns(lines, 3, "slow", "wall")
    quick = table.set_index("line").loc["quick"]
    assert (quick["x baseline"], quick["lowest x"], quick["highest x"]) == (4.0, 2.0, 8.0)
    assert quick["rows/s"] == 10 and quick["padding"] == 0.5
    assert len(turns) == 6


def test_waste_is_the_share_of_padding():
    assert speed_loader.waste_of([np.array([1, 3]), np.array([2])]) == pytest.approx(1 - 6 / 8)


def test_flops_are_those_of_the_matrix_products():
    """Against torch's own count, of a network whose last layer is left out but for token 0."""
    from torch.utils.flop_counter import FlopCounterMode

    n, rows = 50, 3
    network = SpectrumClassifier(dropout=0.0).eval()
    x = torch.rand(rows, n) + 1, torch.rand(rows, n) + 1, torch.randn(rows, 22), torch.rand(rows)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(*x)
    counted = counter.get_total_flops() / rows
    assert counted == pytest.approx(speed_step.flops_of(n, training=False), rel=0.1)


def test_length_batches_have_all_lengths(setting):
    rows = load_rows(open_pinned(str(setting.table(400))))
    drawn, buckets = speed_step.Batched(rows, setting)(1)
    assert len(drawn) == speed_step.DRAWN
    lengths = rows.lengths[np.concatenate(buckets)]
    assert abs(np.median(lengths) / np.median(rows.lengths) - 1) < 0.35
    assert speed_loader.waste_of([rows.lengths[part] for part in buckets]) < 0.35


def test_quality_is_judged_by_paired_differences():
    lines = [
        {"line": mode, "seed": seed, "accuracy": 0.8 + 0.01 * seed + gain, "proxy_f1": 0.5}
        for seed in range(10)
        for mode, gain in zip(speed_quality.MODES, (0.0, 0.002, -0.02), strict=True)
    ]
    table, goals = speed_quality.compared(pd.DataFrame(lines))
    assert table["accuracy, change"].tolist()[1:] == pytest.approx([0.002, -0.02])
    assert [goal.reached for goal in goals] == ["yes", "yes", "no", "yes"]


def test_parts_run_and_are_summed_up(setting, capsys):
    given = ["loader", "pyfunc", "--quick", "--rows", "600", "--threads", "1"]
    speed.main([*given, "--out", str(setting.out)])
    said = capsys.readouterr().out
    assert said.splitlines()[-1].startswith("summary: streamed: x rows per CPU-second")
    assert (setting.out / "loader.csv").exists() and (setting.out / "loader.png").exists()
    with pytest.raises(SystemExit):
        speed.main(["nothing"])
