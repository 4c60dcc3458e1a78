"""RNA: sequences and structures, the multi-task network, decoding; no tracking."""
