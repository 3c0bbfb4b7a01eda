"""Hair, brows, cloth, hats and glasses as nobody wears them."""

from __future__ import annotations

from benchmarks.freeform.drawing import Drawing
from benchmarks.freeform.edits import edit, head_of, heart, ring, star


@edit("heart-hair", "hair in the shape of a heart", 611)
def heart_hair(d: Drawing) -> None:
    left, top, right, _ = head_of(d)
    d.replace("background", "hair", "ear")
    d.paint("hair", d.shape(heart((left + right) / 2, top + 22, 46, 40)), over=("background", "cloth", "neck"))
    d.paint("hair", d.oval((left + right) / 2, top - 2, 16, 6), over=("skin",))


@edit("mohawk", "a high crest on a bald head", 651)
def mohawk(d: Drawing) -> None:
    _, top, _, _ = d.box(d.where("skin"))
    x = d.centre(d.where("skin"))[0]
    teeth = [
        (-8, 24),
        (-14, 10),
        (-24, 0),
        (-14, -4),
        (-18, -16),
        (-6, -10),
        (0, -20),
        (6, -10),
        (18, -16),
        (14, -4),
        (24, 0),
        (14, 10),
        (8, 24),
    ]
    d.paint("hair", d.shape([(x + u, top + v) for u, v in teeth]))


@edit("star-hair", "hair in the shape of a star", 628)
def star_hair(d: Drawing) -> None:
    x, y = d.centre(d.where("hair"))
    d.paint("hair", d.shape(star(x, y + 8, 50, 27, 7)), over=("background", "ear"))


@edit("one-sided-hair", "long hair on one side, none on the other", 616)
def one_sided_hair(d: Drawing) -> None:
    left, _, right, _ = head_of(d)
    top = d.box(d.where("hair"))[1]
    d.paint("skin", d.oval((left + right) / 2 + 6, top + 20, 24, 18) & d.half("right", "hair"))
    lock = [
        (d.middle - 4, top),
        (left - 6, top + 8),
        (left - 14, top + 50),
        (left - 18, 118),
        (left + 12, 116),
        (left + 6, top + 40),
        (left + 6, top + 20),
    ]
    d.paint("hair", d.shape(lock), over=("background", "ear", "hair", "cloth", "neck"))


@edit("afro", "hair as wide as the picture", 626)
def afro(d: Drawing) -> None:
    left, top, right, _ = head_of(d)
    d.paint("hair", d.oval((left + right) / 2, top + 12, 50, 44), over=("background", "ear"))


@edit("beard", "a bald head with a beard down to the chest", 623)
def beard(d: Drawing) -> None:
    left, _, right, bottom = head_of(d)
    x, y = d.centre(d.where("mouth"))
    outline = [
        (left + 1, y - 16),
        (x - 10, y - 7),
        (x, y - 6),
        (x + 10, y - 7),
        (right - 4, y - 14),
        (x + 24, bottom + 8),
        (x, 124),
        (x - 24, bottom + 8),
    ]
    d.paint("hair", d.shape(outline), over=("skin", "neck", "cloth", "background"))


@edit("antennae", "two feelers of hair with a ball at each end", 610)
def antennae(d: Drawing) -> None:
    top = d.box(d.where("hair"))[1]
    for side in (-1, 1):
        x = d.middle + 27 * side
        feeler = [(d.middle + 8 * side, top + 4), (d.middle + 14 * side, top - 8), (x, 13)]
        d.paint("hair", d.stroke(feeler, 4) | d.oval(x, 11, 8, 8))


@edit("great-brows", "one brow across the whole forehead", 610)
def great_brows(d: Drawing) -> None:
    left, _, right, _ = d.box(d.where("brow"))
    y = d.centre(d.where("brow"))[1]
    d.paint(
        "brow",
        d.stroke([(left - 4, y + 1), (left + 8, y - 4), (d.middle, y), (right - 8, y - 4), (right + 4, y + 1)], 8),
        over=("skin", "hair"),
    )


@edit("scarf", "cloth up to the nose", 665)
def scarf(d: Drawing) -> None:
    left, _, right, bottom = head_of(d)
    y = d.box(d.where("nose"))[3]
    outline = [(left - 5, y - 2), ((left + right) / 2, y + 4), (right + 5, y - 2), (right + 12, bottom + 24), (left - 12, bottom + 24)]
    d.paint("cloth", d.shape(outline))


@edit("tall-hat", "a hat as high as the picture", 637)
def tall_hat(d: Drawing) -> None:
    left, _, right, bottom = d.box(d.where("hat"))
    d.replace("background", "hat")
    d.paint("hat", d.shape([(left + 8, 1), (right - 8, 1), (right - 2, bottom - 4), (left + 2, bottom - 4)]), over=("background", "hair"))
    d.paint("hat", d.stroke([(left - 10, bottom - 4), (right + 10, bottom - 4)], 6))


@edit("tiny-hat", "a hat for a doll", 601)
def tiny_hat(d: Drawing) -> None:
    _, top, _, _ = d.box(d.where("hair"))
    x = d.middle + 12
    d.paint("hat", d.shape([(x - 7, top - 10), (x + 7, top - 12), (x + 8, top + 3), (x - 7, top + 4)]))
    d.paint("hat", d.stroke([(x - 13, top + 5), (x + 14, top + 3)], 4))


@edit("wizard-hat", "a hat that ends in a bent point", 606)
def wizard_hat(d: Drawing) -> None:
    left, _, right, bottom = d.box(d.where("hat"))
    d.paint(
        "hat",
        d.shape(
            [(left, bottom - 2), (d.middle - 12, 16), (d.middle + 22, 1), (d.middle + 30, 6), (d.middle + 14, 16), (right, bottom - 2)]
        ),
    )
    d.paint("hat", d.oval((left + right) / 2, bottom - 3, 42, 5), over=("background", "hair", "hat", "skin"))


@edit("sombrero", "a brim from edge to edge", 603)
def sombrero(d: Drawing) -> None:
    _, top, _, _ = d.box(d.where("hair"))
    x = d.middle - 3
    d.paint("hat", d.shape([(x - 18, top + 16), (x - 12, top - 16), (x + 10, top - 17), (x + 18, top + 16)]))
    d.paint(
        "hat",
        d.shape(
            [(2, top + 6), (30, top + 16), (x, top + 19), (98, top + 16), (126, top + 4), (112, top + 22), (x, top + 29), (16, top + 23)]
        ),
    )


@edit("giant-glasses", "glasses as wide as the shoulders on a face without any", 615)
def giant_glasses(d: Drawing) -> None:
    y = d.centre(d.where("eye"))[1] + 2
    for side in (-1, 1):
        x = d.middle + side * 19
        d.paint("glasses", ring(d, d.oval(x, y, 17, 17), d.oval(x, y, 13, 13)))
    d.paint("glasses", d.stroke([(d.middle - 4, y - 2), (d.middle + 4, y - 2)], 3.5))


@edit("star-glasses", "glasses in the shape of stars on a face without any", 653)
def star_glasses(d: Drawing) -> None:
    for side in ("left", "right"):
        x, y = d.centre(d.half(side, "eye"))
        x += -3 if side == "left" else 3
        d.paint("glasses", ring(d, star(x, y, 19, 10, 5), star(x, y, 12, 6.5, 5)))
    y = d.centre(d.where("eye"))[1]
    d.paint("glasses", d.stroke([(d.middle - 5, y - 4), (d.middle + 5, y - 4)], 3.5))
