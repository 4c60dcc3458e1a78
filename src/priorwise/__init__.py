"""priorwise: train where most rows carry no label; hand every estimate on through MLflow."""

__version__ = "0.1.0"
