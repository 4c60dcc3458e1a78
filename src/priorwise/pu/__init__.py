"""Mathematics without negatives: risks, priors, intervals, selection; no I/O."""
