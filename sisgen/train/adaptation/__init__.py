"""The parts of `sisgen.train.adapt`."""
