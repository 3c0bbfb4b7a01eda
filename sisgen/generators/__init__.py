"""Hop 4: unconditional generators that can be cut open, and their discriminators."""
