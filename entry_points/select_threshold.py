"""Entry point `select_threshold`."""

from priorwise.cli import run_entry

if __name__ == "__main__":
    run_entry("select_threshold")
