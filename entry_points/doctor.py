"""Entry point `doctor`."""

from priorwise.cli import run_entry

if __name__ == "__main__":
    run_entry("doctor")
