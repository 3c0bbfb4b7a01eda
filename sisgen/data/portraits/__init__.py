"""Portraits: endless rendered heads with exact labels and depth, one a seed."""

from sisgen.data.portraits.labels import NUM_CLASSES, PORTRAIT_LABELS
from sisgen.data.portraits.renderer import TEST_SEEDS, TRAIN_SEEDS, VALIDATION_SEEDS, Portraits, render

__all__ = ["NUM_CLASSES", "PORTRAIT_LABELS", "TEST_SEEDS", "TRAIN_SEEDS", "VALIDATION_SEEDS", "Portraits", "render"]
