"""Heads and necks as nobody has them."""

from __future__ import annotations

from benchmarks.freeform.drawing import FACE, HEAD, Drawing
from benchmarks.freeform.edits import BEHIND, edit, head_of


@edit("square-head", "a head like a box", 600)
def square_head(d: Drawing) -> None:
    left, top, right, bottom = d.box(d.where("skin", "hair"))
    d.paint("hair", d.shape([(left - 6, top - 2), (right + 6, top - 2), (right + 6, top + 18), (left - 6, top + 18)]), over=BEHIND)
    box = [(left - 6, top + 14), (right + 6, top + 14), (right + 6, bottom + 2), (left - 6, bottom + 2)]
    d.paint("skin", d.shape(box), over=("background", "hair", "ear", "neck", "skin"))


@edit("corn-head", "a corn cob between its leaves", 651)
def corn_head(d: Drawing) -> None:
    left, top, right, bottom = d.box(d.where("skin"))
    x = (left + right) / 2
    face = d.cut(d.where(*FACE), "skin")
    d.replace("background", "skin", "ear")
    for side in (-1, 1):
        leaf = [(4, bottom + 4), (26, bottom - 6), (38, bottom - 34), (36, bottom - 58), (24, bottom - 36), (14, bottom - 16)]
        d.paint("hair", d.shape([(x + side * u, v) for u, v in leaf]), over=("background", "neck"))
    cob = [(0, top - 16), (9, top - 12), (17, top + 4), (20, top + 26), (19, bottom - 14), (12, bottom + 2)]
    outline = [(x + u, v) for u, v in cob] + [(x - u, v) for u, v in reversed(cob[1:])]
    d.paint("skin", d.shape(outline))
    d.paste(face, move=(x - d.centre(face.mask)[0], -2), scale=(0.72, 1.0), over=("skin",))


@edit("pear-head", "a head that is all jaw", 639)
def pear_head(d: Drawing) -> None:
    left, _, right, bottom = head_of(d)
    x = (left + right) / 2
    d.paint("skin", d.oval(x, bottom - 16, 38, 21), over=("background", "neck", "cloth", "ear"))


@edit("two-lobes", "a head with two bumps", 623)
def two_lobes(d: Drawing) -> None:
    left, top, right, _ = d.box(d.where("skin"))
    x, y = (left + right) / 2, top + 16
    d.paint("background", d.oval(x, top - 4, 9, 15))
    for side in (-1, 1):
        d.paint("skin", d.oval(x + side * 17, y - 6, 17, 20), over=("background", "ear"))
    d.paint("background", d.shape([(x - 5, 0), (x + 5, 0), (x, top + 12)]))


@edit("giraffe", "a small head on a very long neck", 611)
def giraffe(d: Drawing) -> None:
    bottom = d.box(d.where("skin"))[3]
    x = d.centre(d.where("skin"))[0]
    head = d.cut(d.where(*HEAD), "background")
    d.paint("neck", d.shape([(x - 8, 36), (x + 8, 36), (x + 11, 112), (x - 11, 112)]), over=("background", "neck"))
    d.paste(head, scale=(0.58, 0.58), about=(x, bottom), move=(0, 52 - bottom))


@edit("tilted", "the head turned by a third of a right angle and more", 635)
def tilted(d: Drawing) -> None:
    x, _ = d.centre(d.where("skin"))
    bottom = d.box(d.where("skin"))[3]
    head = d.cut(d.where(*HEAD), "background")
    d.paint("neck", d.oval(x, bottom - 2, 13, 12), over=("background",))
    d.paste(head, angle=38, about=(x, bottom - 12))


@edit("upside-down", "the face upside down in its head", 651)
def upside_down(d: Drawing) -> None:
    face = d.cut(d.where(*FACE), "skin")
    d.paste(face, angle=180, move=(0, -4))
