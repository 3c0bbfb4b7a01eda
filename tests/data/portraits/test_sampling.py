import math
from dataclasses import fields

import torch

from sisgen.data.portraits.sampling import draw_portrait
from sisgen.data.portraits.stacking import stack


def test_a_seed_decides_everything():
    assert draw_portrait(11) == draw_portrait(11)
    assert draw_portrait(11) != draw_portrait(12)


def test_poses_stay_moderate_and_colours_are_colours():
    for seed in range(300):
        portrait = draw_portrait(seed)
        head = portrait.head
        assert abs(head.yaw) <= math.radians(30) and abs(head.pitch) <= math.radians(15)
        assert abs(head.sin_roll) <= math.sin(math.radians(12))
        for color in (portrait.skin.color, portrait.hair.color, portrait.brows.color, portrait.cloth.color, portrait.hat.color):
            assert all(0 <= value <= 1 for value in color)
        assert not (portrait.hat.present and portrait.hair.knot)


def test_hats_and_glasses_are_frequent():
    portraits = [draw_portrait(seed) for seed in range(1000)]
    assert sum(one.hat.present for one in portraits) > 250
    assert sum(one.glasses.present for one in portraits) > 250


def test_stacking_keeps_every_number():
    portraits = [draw_portrait(seed) for seed in (1, 2, 3)]
    stacked = stack(portraits, torch.device("cpu"))
    for group in fields(stacked):
        for field in fields(getattr(stacked, group.name)):
            tensor = getattr(getattr(stacked, group.name), field.name)
            wanted = torch.tensor([getattr(getattr(one, group.name), field.name) for one in portraits])
            assert torch.equal(tensor.squeeze(-1).squeeze(-1), wanted), field.name
