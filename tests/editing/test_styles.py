"""Mixing and walking between styles, by hand."""

import pytest
import torch

from sisgen.editing.styles import StyleRows, lerp, mix_rows, slerp, walk
from sisgen.errors import InputError


def test_mixing_takes_coarse_rows_from_one_and_fine_ones_from_the_other():
    mixed = mix_rows(torch.zeros(1, 4, 2), torch.ones(1, 4, 2), 3)
    assert mixed[0, :, 0].tolist() == [0, 0, 0, 1]
    with pytest.raises(InputError, match=r"must lie in 0\.\.4"):
        mix_rows(torch.zeros(1, 4, 2), torch.ones(1, 4, 2), 5)
    with pytest.raises(InputError, match="one shape"):
        mix_rows(torch.zeros(1, 4, 2), torch.ones(1, 5, 2), 1)


def test_slerp_keeps_to_the_circle():
    a, b = torch.tensor([2.0, 0.0]), torch.tensor([0.0, 2.0])
    assert slerp(a, b, 0.5).tolist() == pytest.approx([2**0.5, 2**0.5])
    assert torch.allclose(slerp(a, b, 0.0), a, atol=1e-6) and torch.allclose(slerp(a, b, 1.0), b, atol=1e-6)
    assert torch.allclose(slerp(a, a, 0.3), a), "the same way needs no circle"
    assert lerp(a, b, 0.25).tolist() == [1.5, 0.5]


def test_walks_begin_and_end_at_their_stops():
    stops = torch.eye(3)
    there = list(walk(stops, 4, spherical=True))
    assert len(there) == 9
    for place, stop in ((0, 0), (4, 1), (8, 2)):
        assert torch.allclose(there[place], stops[stop], atol=1e-6)
    assert all(float(step.norm()) == pytest.approx(1.0, abs=1e-5) for step in there)
    loop = list(walk(stops, 4, spherical=False, loop=True))
    assert len(loop) == 12
    assert float((loop[-1] - stops[0]).norm()) < float((loop[-2] - stops[0]).norm())
    assert len(list(walk(stops[:1], 5, spherical=True))) == 5
    with pytest.raises(InputError, match="at least 1 stop"):
        list(walk(stops, 0, spherical=True))


def test_rows_have_one_style_and_a_name_of_their_own():
    assert StyleRows(ws=torch.zeros(1, 2, 3)).key != StyleRows(ws=torch.zeros(1, 2, 3)).key
    with pytest.raises(InputError, match="ws must have the shape"):
        StyleRows(ws=torch.zeros(2, 2, 3))
