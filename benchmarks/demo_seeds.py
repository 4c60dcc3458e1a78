"""What configs/demo.yaml reaches on simulated data, over seeds: `make bench-demo`.

For each seed new tables are simulated and the whole workflow is trained; the truth that the
simulation knows judges it. Prints one table (mean and every seed) and writes it as CSV.

    python benchmarks/demo_seeds.py [--seeds 1,2,3] [--out outputs/demo_seeds.csv]
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd
import yaml
from mlflow.tracking import MlflowClient

ROOT = Path(__file__).resolve().parents[1]
RECIPE = ROOT / "configs" / "demo.yaml"


def one_seed(seed: int, folder: Path) -> dict[str, float]:
    """The truth.* metrics of `main` for data and training with this seed."""
    recipe = yaml.safe_load(RECIPE.read_text())
    recipe["simulate"]["seed"] = seed
    path = folder / f"demo_{seed}.yaml"
    path.write_text(yaml.safe_dump(recipe))
    store = f"sqlite:///{folder / f'seed_{seed}.db'}"
    command = [sys.executable, "-P", "entry_points/main.py", f"--config={path}", f"--seed={seed}"]
    environment = {**os.environ, "MLFLOW_TRACKING_URI": store, "PYTHONPATH": str(ROOT / "src")}
    subprocess.run(command, cwd=ROOT, env=environment, check=True)
    run = MlflowClient(store).search_runs(["0"], "tags.phase = 'main'")[0]
    return {k: v for k, v in run.data.metrics.items() if k.startswith("truth.")}


def table(seeds: list[int]) -> pd.DataFrame:
    """Rows: what was measured; columns: mean over seeds, and each seed."""
    with tempfile.TemporaryDirectory() as folder:
        results = {f"seed {seed}": one_seed(seed, Path(folder)) for seed in seeds}
    measured = pd.DataFrame(results)
    measured.insert(0, "mean", measured.mean(axis=1))
    return measured.sort_index().rename_axis("measured")


def main() -> None:
    """Run, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", default="1,2,3", help="comma-separated integers")
    parser.add_argument("--out", default="outputs/demo_seeds.csv", help="CSV file")
    arguments = parser.parse_args()
    measured = table([int(seed) for seed in arguments.seeds.split(",")])
    Path(arguments.out).parent.mkdir(parents=True, exist_ok=True)
    measured.to_csv(arguments.out)
    sys.stdout.write("\n" + measured.to_string(float_format=lambda v: f"{v:.4f}") + "\n")


if __name__ == "__main__":
    main()
