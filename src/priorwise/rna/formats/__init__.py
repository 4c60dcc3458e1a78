"""Files with sequences and structures: CSV, dot-bracket, CT, BPSEQ, FASTA; plain or .gz."""
