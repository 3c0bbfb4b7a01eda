"""Everything that one seed decides about a portrait, in groups of plain numbers.

A group holds floats and RGB triples when one seed is drawn, and `[B, 1, 1]` and `[B, 3, 1, 1]` tensors once `stacking.stack` has
joined a batch. Lengths are in half picture sides: the picture spans [-1, 1] in x (right) and y (down); depth z grows towards the
viewer. Face positions (u, v) are arc lengths on the head from the point between the eyes, so they turn with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Scalar = Any  # float, or a [B, 1, 1] tensor once stacked
Color = Any  # RGB triple in [0, 1], or a [B, 3, 1, 1] tensor once stacked


@dataclass(frozen=True, kw_only=True, slots=True)
class Head:
    """Pose and shape of the head."""

    x: Scalar  # centre
    y: Scalar
    yaw: Scalar  # radians, positive turns to the picture's right
    pitch: Scalar  # radians, positive looks down
    cos_roll: Scalar
    sin_roll: Scalar
    a: Scalar  # half width
    b: Scalar  # half height
    jaw: Scalar  # how much the chin narrows
    cheek: Scalar  # how full the cheeks are
    square: Scalar  # 0 is an ellipse; higher is boxier


@dataclass(frozen=True, kw_only=True, slots=True)
class Light:
    """Key light in the head's frame, its half vector with the view, rim light, fill."""

    x: Scalar
    y: Scalar
    z: Scalar
    half_x: Scalar
    half_y: Scalar
    half_z: Scalar
    side: Scalar  # -1 or 1: where the rim light comes from
    rim: Scalar
    tint: Color
    rim_tint: Color


@dataclass(frozen=True, kw_only=True, slots=True)
class Skin:
    """Skin tone and the marks of age."""

    color: Color
    shadow: Color  # what a full shadow multiplies the tone by
    blush: Scalar
    stubble: Scalar
    age: Scalar  # 0 to 1
    gloss: Scalar
    bone: Scalar  # how sculpted cheeks and sockets are


@dataclass(frozen=True, kw_only=True, slots=True)
class Eyes:
    """Both eyes."""

    u: Scalar  # distance from the middle line
    v: Scalar
    width: Scalar  # half width
    upper: Scalar  # height of the upper lid over the corner line
    lower: Scalar
    tilt: Scalar  # positive lifts the outer corner
    gaze_u: Scalar
    gaze_v: Scalar
    iris: Scalar  # radius
    pupil: Scalar  # share of the iris
    color: Color
    lash: Scalar  # thickness of the upper lid line
    crease: Scalar
    shadow: Color  # colour of the lid's make-up
    make_up: Scalar


@dataclass(frozen=True, kw_only=True, slots=True)
class Brows:
    """Both brows."""

    u: Scalar
    v: Scalar
    length: Scalar  # half length
    thick: Scalar  # half thickness at the inner end
    arch: Scalar
    tilt: Scalar  # positive lowers the inner end (stern)
    taper: Scalar
    color: Color


@dataclass(frozen=True, kw_only=True, slots=True)
class Nose:
    """The nose."""

    tip_u: Scalar  # parallax of the tip when the head turns
    top: Scalar  # v where the labelled part begins
    base: Scalar  # v of the wings
    width: Scalar  # half width at the wings
    bridge: Scalar  # half width at the top
    height: Scalar  # how strongly it stands out
    round: Scalar  # radius of the tip


@dataclass(frozen=True, kw_only=True, slots=True)
class Mouth:
    """Lips, gap and teeth."""

    v: Scalar
    width: Scalar  # half width
    smile: Scalar  # how far the corners rise
    upper: Scalar
    lower: Scalar
    gap: Scalar  # opening, 0 closed
    teeth: Scalar  # share of the opening
    bow: Scalar
    color: Color


@dataclass(frozen=True, kw_only=True, slots=True)
class Ears:
    """Both ears."""

    width: Scalar
    height: Scalar
    y: Scalar
    stick: Scalar  # how far they stand off
    ring: Scalar  # ear-ring radius, 0 none


@dataclass(frozen=True, kw_only=True, slots=True)
class Hair:
    """One hair-cut as numbers: a cap with an opening for the face, a mass behind the head, knots."""

    present: Scalar
    top: Scalar  # volume over the crown, share of b
    side: Scalar  # volume at the sides, share of a
    flare: Scalar  # how much wider it gets downwards
    line: Scalar  # v of the hairline at the parting
    part: Scalar  # u of the parting
    fall_left: Scalar  # slope of the hairline left and right of the parting
    fall_right: Scalar
    round: Scalar
    zigzag: Scalar
    zigzag_frequency: Scalar
    opening: Scalar  # half width of the face opening
    front_end: Scalar  # y in the head's frame where the side locks end
    front_soft: Scalar  # over which length they end
    back: Scalar  # 1 when a mass hangs behind the head
    back_end: Scalar
    back_side: Scalar
    knot: Scalar  # 1 when there is a bun or tail
    knot_x: Scalar
    knot_y: Scalar
    knot_rx: Scalar
    knot_ry: Scalar
    twin: Scalar  # 1 when mirrored
    curl: Scalar  # lumps in outline and shade
    curl_frequency: Scalar
    wave: Scalar
    fine: Scalar  # strand strength
    frequency: Scalar
    phase: Scalar
    gloss: Scalar
    color: Color
    tip: Color  # colour towards the ends
    shadow: Color


@dataclass(frozen=True, kw_only=True, slots=True)
class Cloth:
    """Neck, shoulders and what is worn on them."""

    neck_x: Scalar
    neck_width: Scalar
    base: Scalar  # y where the neck meets the shoulders
    slope: Scalar
    width: Scalar  # half width of the shoulders
    hole: Scalar  # half width of the neckline
    depth: Scalar  # depth of the neckline
    point: Scalar  # 1 is a V, 0 a round neckline
    band: Scalar  # width of the neckband, 0 none
    puff: Scalar  # how round the band is (a hood)
    turtle: Scalar  # y up to which the cloth climbs the neck
    flap: Scalar  # size of a shirt collar, 0 none
    stripes: Scalar  # strength
    stripe_frequency: Scalar
    stripe_skew: Scalar
    color: Color
    second: Color
    shadow: Color
    fold: Scalar


@dataclass(frozen=True, kw_only=True, slots=True)
class Glasses:
    """Spectacles."""

    present: Scalar
    shift: Scalar  # parallax when the head turns
    v: Scalar
    u: Scalar  # distance of a lens from the middle
    rx: Scalar
    ry: Scalar
    corner: Scalar  # corner radius
    rim: Scalar  # half thickness
    tint: Color
    dark: Scalar  # opacity of the tint
    color: Color


@dataclass(frozen=True, kw_only=True, slots=True)
class Hat:
    """A crown clipped by an edge curve, over a brim."""

    present: Scalar
    x: Scalar  # centre of the crown
    y: Scalar
    rx: Scalar
    ry: Scalar
    edge: Scalar  # y of the edge in the head's frame
    bow: Scalar  # how the edge bends: positive hangs in the middle
    lean: Scalar
    band: Scalar  # height of the band, 0 none
    rib: Scalar  # strength of knitted ribs
    brim: Scalar
    brim_x: Scalar
    brim_y: Scalar
    brim_rx: Scalar
    brim_ry: Scalar
    pompom: Scalar  # radius, 0 none
    panel: Scalar  # strength of sewn panels
    color: Color
    second: Color
    shadow: Color


@dataclass(frozen=True, kw_only=True, slots=True)
class Backdrop:
    """What is behind the person."""

    first: Color
    second: Color
    third: Color
    dx: Scalar
    dy: Scalar
    hard: Scalar  # 1 soft gradient, higher two-tone
    offset: Scalar
    glow: Scalar
    spots: Scalar  # strength of the soft discs
    spot_1: Color  # x, y, radius
    spot_2: Color
    spot_3: Color
    spot_4: Color


@dataclass(frozen=True, kw_only=True, slots=True)
class Portrait:
    """All groups of one seed."""

    head: Head
    light: Light
    skin: Skin
    eyes: Eyes
    brows: Brows
    nose: Nose
    mouth: Mouth
    ears: Ears
    hair: Hair
    cloth: Cloth
    glasses: Glasses
    hat: Hat
    backdrop: Backdrop
