"""The generative model behind the simulated tables, one step a file."""
