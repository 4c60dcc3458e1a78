"""RNA: sequences with secondary structures, their tables, and the network that learns them."""
