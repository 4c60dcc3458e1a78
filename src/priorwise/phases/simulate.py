"""Tables with known truth: to try everything, and to measure it."""

from dataclasses import asdict

from priorwise.phases.data import SimulateConfig, simulated_folder
from priorwise.phases.desk import Desk, Plan, say
from priorwise.spectra.facts import inspect
from priorwise.tracking.fingerprint import fingerprint
from priorwise.tracking.runs import RunTrack

Config = SimulateConfig


def prepare(config: SimulateConfig, desk: Desk) -> Plan:
    """Nothing to look up: the parameters decide everything."""
    return Plan(
        phase="simulate",
        polarity="",
        config=config,
        tables={},
        fingerprint=fingerprint("simulate", asdict(config), [], {}),
    )


def run(plan: Plan, desk: Desk, track: RunTrack) -> None:
    """Write the tables unless they are there, and say what is in them."""
    config = plan.config
    folder = simulated_folder(config)
    _, train = inspect(str(folder), "train_data")
    for mode, c, pi in (
        ("positive", config.c_pos, config.pi_pos),
        ("negative", config.c_neg, config.pi_neg),
    ):
        track.metrics({f"true.c.{mode}": c, f"true.pi.{mode}": pi})
        say(
            f"simulated {mode}: {train.n_rows(mode)} training rows, s {train.label_rate(mode):.4f} "
            f"(true c {c:g}, true pi {pi:g})"
        )
    track.tags({"data.folder": folder, "data.digest": train.digest})
    track.artifact(folder / "simulation.json")
    say(f"tables are in {folder}")
