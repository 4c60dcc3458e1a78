"""Mass spectra: schema, readers, preprocessing, library, simulation, encoder."""
