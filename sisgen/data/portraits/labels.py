"""The twelve classes of the portraits, in id order, and their palette."""

from __future__ import annotations

from sisgen.types import LabelSet

PORTRAIT_LABELS = LabelSet(
    names=("background", "skin", "brow", "eye", "nose", "mouth", "ear", "hair", "neck", "cloth", "glasses", "hat"),
    colors=(
        (38, 40, 56), (242, 190, 160), (110, 62, 34), (64, 132, 230), (240, 140, 84), (214, 48, 72),
        (250, 222, 110), (150, 98, 52), (196, 142, 112), (62, 164, 98), (70, 226, 226), (168, 70, 196),
    ),
)  # fmt: skip
NUM_CLASSES = len(PORTRAIT_LABELS)

BACKGROUND, SKIN, BROW, EYE, NOSE, MOUTH, EAR, HAIR, NECK, CLOTH, GLASSES, HAT = range(NUM_CLASSES)
