"""Ears, eyes, mouths and noses as nobody has them."""

from __future__ import annotations

from benchmarks.freeform.drawing import Drawing
from benchmarks.freeform.edits import BEHIND, edit, head_of


@edit("huge-ears", "ears half as big as the head", 600)
def huge_ears(d: Drawing) -> None:
    left, top, right, bottom = head_of(d)
    y = (top + bottom) / 2
    d.paint("ear", d.oval(left - 9, y, 15, 19, -12) | d.oval(right + 9, y, 15, 19, 12), over=BEHIND)


@edit("rabbit-ears", "ears of a rabbit, upright", 611)
def rabbit_ears(d: Drawing) -> None:
    d.replace("background", "ear")
    _, top, _, _ = d.box(d.where("hair"))
    d.paint("ear", d.oval(d.middle - 17, top, 7, 21, -16) | d.oval(d.middle + 17, top, 7, 21, 16), over=("background", "hair"))


@edit("one-ear", "one ear far too large, the other one gone", 610)
def one_ear(d: Drawing) -> None:
    left, top, _, bottom = head_of(d)
    d.replace("background", "ear")
    d.paint("ear", d.oval(left - 8, (top + bottom) / 2 + 2, 13, 22, 0), over=BEHIND)


@edit("mouse-ears", "round ears moved up to the corners of the head", 624)
def mouse_ears(d: Drawing) -> None:
    left, top, right, _ = d.box(d.where("hair"))
    d.replace("background", "ear")
    d.paint("ear", d.oval(left + 6, top + 4, 14, 14) | d.oval(right - 6, top + 4, 14, 14), over=("background",))


@edit("elf-ears", "long pointed ears", 614)
def elf_ears(d: Drawing) -> None:
    left, top, right, bottom = head_of(d)
    y = (top + bottom) / 2
    d.paint("ear", d.shape([(left + 6, y - 8), (left - 24, y - 26), (left - 8, y + 8), (left + 6, y + 14)]), over=BEHIND)
    d.paint("ear", d.shape([(right - 6, y - 8), (right + 24, y - 26), (right + 8, y + 8), (right - 6, y + 14)]), over=BEHIND)


@edit("elephant-ears", "flaps down to the shoulders", 623)
def elephant_ears(d: Drawing) -> None:
    left, top, right, bottom = d.box(d.where("skin"))
    for x, side in ((left, -1), (right, 1)):
        outline = [(0, -26), (17, -30), (30, -14), (29, 8), (19, 26), (9, 30), (0, 8)]
        points = [(x + side * (u - 4), (top + bottom) / 2 + v) for u, v in outline]
        d.paint("ear", d.shape(points), over=("background", "ear", "neck", "cloth"))


@edit("cyclops", "one eye in the middle, under one brow", 616)
def cyclops(d: Drawing) -> None:
    _, y = d.centre(d.where("eye"))
    x = d.centre(d.where("nose"))[0]
    d.replace("skin", "eye", "brow")
    d.paint("eye", d.oval(x, y - 1, 13, 9), over=("skin", "nose"))
    d.paint("brow", d.stroke([(x - 14, y - 12), (x - 6, y - 15), (x + 6, y - 15), (x + 14, y - 12)], 3.5), over=("skin", "hair"))


@edit("eyes-apart", "eyes and brows at the sides of the face", 635)
def eyes_apart(d: Drawing) -> None:
    halves = [d.half(side, "eye", "brow") for side in ("left", "right")]
    for part, x in zip([d.cut(half, "skin") for half in halves], (-9, 9)):
        d.paste(part, move=(x, 2), over=("skin", "background", "ear", "hair"))


@edit("huge-eyes", "eyes twice as large", 646)
def huge_eyes(d: Drawing) -> None:
    spots = [d.centre(d.half(side, "eye")) for side in ("left", "right")]
    d.replace("skin", "brow", "eye")
    for (x, y), side in zip(spots, (-1, 1)):
        d.paint("eye", d.oval(x + 2 * side, y + 1, 12, 10, 8 * side), over=("skin", "hair"))


@edit("third-eye", "a third eye on the forehead", 651)
def third_eye(d: Drawing) -> None:
    _, y = d.centre(d.where("eye"))
    d.paint("eye", d.oval(d.middle, y - 22, 10, 7))
    d.paint("brow", d.stroke([(d.middle - 11, y - 31), (d.middle, y - 34), (d.middle + 11, y - 31)], 3))


@edit("uneven-eyes", "round eyes, one high and large, one low and small", 653)
def uneven_eyes(d: Drawing) -> None:
    spots = [d.centre(d.half(side, "eye")) for side in ("left", "right")]
    d.replace("skin", "eye", "brow")
    d.paint("eye", d.oval(spots[0][0] - 1, spots[0][1] - 1, 9, 9), over=("skin", "nose", "hair"))
    d.paint("eye", d.oval(spots[1][0] + 1, spots[1][1] + 9, 6, 6), over=("skin", "nose"))


@edit("huge-mouth", "a mouth across the whole lower face", 602)
def huge_mouth(d: Drawing) -> None:
    x, y = d.centre(d.where("mouth"))
    d.replace("skin", "mouth")
    d.paint("mouth", d.oval(x + 3, y, 19, 12, -4), over=("skin", "nose"))


@edit("forehead-mouth", "the mouth on the forehead", 651)
def forehead_mouth(d: Drawing) -> None:
    part = d.cut(d.where("mouth"), "skin")
    d.paste(part, move=(0, -47), scale=(1.4, 1.6))


@edit("wide-smile", "a grin from ear to ear", 639)
def wide_smile(d: Drawing) -> None:
    x, y = d.centre(d.where("mouth"))
    d.replace("skin", "mouth")
    upper = [(x - 21, y - 9), (x - 12, y - 1), (x, y + 1), (x + 12, y - 1), (x + 21, y - 9)]
    d.paint("mouth", d.shape([*upper, (x + 15, y + 4), (x, y + 9), (x - 15, y + 4)]), over=("skin",))


@edit("round-mouth", "an open round mouth", 665)
def round_mouth(d: Drawing) -> None:
    x, y = d.centre(d.where("mouth"))
    d.replace("skin", "mouth")
    d.paint("mouth", d.oval(x, y - 1, 9, 10), over=("skin", "nose"))


@edit("pinocchio", "a nose that points out of the face", 657)
def pinocchio(d: Drawing) -> None:
    x, y = d.centre(d.where("nose"))
    d.paint("nose", d.shape([(x - 4, y - 2), (x + 40, y - 7), (x + 45, y - 3), (x + 40, y + 1), (x - 3, y + 9), (x - 7, y + 5)]))


@edit("clown-nose", "a round nose as big as a ball", 649)
def clown_nose(d: Drawing) -> None:
    x, y = d.centre(d.where("nose"))
    d.paint("nose", d.oval(x, y + 2, 11, 10))


@edit("trunk", "a nose that hangs down to the chest", 602)
def trunk(d: Drawing) -> None:
    x, _ = d.centre(d.where("nose"))
    _, top, _, bottom = d.box(d.where("nose"))
    d.paint("nose", d.stroke([(x, top + 4), (x, bottom), (x + 3, bottom + 14), (x + 2, bottom + 28), (x - 4, bottom + 36)], 9))
