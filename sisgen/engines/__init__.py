"""Ways to answer a request; each only wires parts."""
