"""Entry point `nnpu_train`."""

from priorwise.cli import run_entry

if __name__ == "__main__":
    run_entry("nnpu_train")
