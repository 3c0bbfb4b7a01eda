"""Drawings made from samples: what they must be like, and that they hang on their own sample alone."""

import pytest
import torch
import torch.nn.functional as F

from sisgen.data.portraits import render
from sisgen.metrics.edges import near
from sisgen.train.drawings.fields import kept, thicken, wobble
from sisgen.train.drawings.kinds import DrawingSource, vary_depth
from sisgen.train.drawings.scribbles import draw_scribbles, free_strokes, inner_distance
from sisgen.train.drawings.sketches import draw_canny, draw_sketches, edge_view
from sisgen.train.evaluation.scribbles import FORMS, make_scribbles
from sisgen.train.loop import generator_for

L = 12


@pytest.fixture(scope="module")
def portraits():
    """Twelve small portraits."""
    return render(range(12), 64)


def sources(count: int = 12, stream: int = 3) -> list[torch.Generator]:
    return [generator_for(0, i, stream) for i in range(count)]


def test_scribbles_are_few_strokes_of_the_right_classes(portraits) -> None:
    drawn = torch.cat([draw_scribbles(portraits.labels, L, sources(stream=s)) for s in (1, 2, 3)])
    labels = portraits.labels.repeat(3, 1, 1)
    assert set(drawn.unique().tolist()) == {0.0, 1.0} and float(drawn.sum(dim=1).max()) == 1.0
    painted = drawn.sum(dim=1).mean(dim=(1, 2))
    assert 0.03 < float(painted.mean()) < 0.25 and float(painted.median()) < 0.2
    right = drawn.gather(1, labels[:, None])[:, 0]
    assert 0.7 < float(right.sum() / drawn.sum()) < 0.99  # a hand crosses borders, but not always
    present = F.one_hot(labels, L).flatten(1, 2).any(dim=1)
    shown = drawn.flatten(2).any(dim=2)
    assert 0.5 < float((shown & present).sum() / present.sum()) < 0.95  # classes are missing


def test_widths_differ_from_drawing_to_drawing(portraits) -> None:
    drawn = draw_scribbles(portraits.labels, L, sources()).sum(dim=1, keepdim=True)
    inside = -F.max_pool2d(-drawn, 3, 1, 1)  # what is left of strokes of three pixels and more
    shares = (inside.sum(dim=(1, 2, 3)) / drawn.sum(dim=(1, 2, 3)).clamp_min(1)).tolist()
    assert min(shares) < 0.05 and max(shares) > 0.2


@pytest.mark.parametrize("kind", ["scribble", "sketch", "canny", "hed"])
def test_a_drawing_hangs_on_its_own_sample_alone(portraits, kind: str) -> None:
    source = DrawingSource(kind=kind, num_labels=L)
    together = source.draw(portraits.images, portraits.labels, sources())
    alone = source.draw(portraits.images[4:5], portraits.labels[4:5], sources()[4:5])
    assert together.shape == (12, source.channels, 64, 64)
    assert float(together.min()) >= 0 and float(together.max()) <= 1
    assert torch.allclose(together[4:5], alone, atol=1e-5)
    other = source.draw(portraits.images, portraits.labels, sources(stream=8))
    assert not torch.equal(together, other)


@pytest.mark.parametrize(("kind", "least"), [("canny", 0.8), ("sketch", 0.5), ("hed", 0.4)])
def test_lines_lie_where_the_picture_has_edges(portraits, kind: str, least: float) -> None:
    lines = DrawingSource(kind=kind, num_labels=L).draw(portraits.images, portraits.labels, sources()) > 0.4
    edges = edge_view(portraits.images)
    strong = near(edges > edges.flatten(1).quantile(0.8, dim=1)[:, None, None, None], 2.0)
    assert 0.01 < float(lines.float().mean()) < 0.25
    assert float((lines & strong).sum() / lines.sum()) > least


def test_soft_pictures_have_lines_too(portraits) -> None:
    soft = portraits.images * 0.3
    for lines in (draw_canny(soft, sources()), draw_sketches(soft, portraits.labels, L, sources())):
        assert float((lines.flatten(1).sum(dim=1) > 30).float().mean()) > 0.8


def test_edge_view_is_differentiable_and_blind_to_brightness(portraits) -> None:
    images = portraits.images[:2].clone().requires_grad_(True)
    edge_view(images).mean().backward()
    assert images.grad is not None and bool(torch.isfinite(images.grad).all()) and float(images.grad.abs().max()) > 0
    assert torch.allclose(edge_view(portraits.images * 0.5 + 0.2), edge_view(portraits.images * 0.5), atol=1e-5)
    assert torch.allclose(edge_view(-portraits.images), edge_view(portraits.images), atol=1e-5)


def test_inner_distance_by_hand() -> None:
    labels = torch.zeros(1, 7, 7, dtype=torch.int64)
    labels[:, 1:6, 1:6] = 3
    wanted = torch.tensor([[1, 1, 1, 1, 1], [1, 2, 2, 2, 1], [1, 2, 3, 2, 1], [1, 2, 2, 2, 1], [1, 1, 1, 1, 1]])
    assert torch.equal(inner_distance(labels, 9)[0, 1:6, 1:6], wanted)
    assert int(inner_distance(labels, 2).max()) == 2


def test_free_strokes_stay_inside_and_have_no_holes(portraits) -> None:
    plain = torch.zeros(2, 64, 64, dtype=torch.int64)
    plain[:, :, 32:] = 1
    strokes = free_strokes(plain, 2, sources(2))
    assert 20 < int(strokes[0].sum()) < 1200
    alone = F.conv2d(strokes[:, None].float(), torch.ones(1, 1, 3, 3), padding=1)[:, 0]
    assert bool((alone[strokes] >= 2).all())  # every pixel has a neighbour
    assert not torch.equal(strokes[0], strokes[1])


def test_gaps_keep_the_wanted_share_and_lines_get_the_wanted_width() -> None:
    share = torch.tensor([0.25, 0.9, 1.0])
    assert torch.allclose(kept(sources(3), 64, share).float().mean(dim=(1, 2, 3)), share, atol=0.01)
    line = torch.zeros(3, 1, 16, 16)
    line[:, :, 8] = 1
    assert thicken(line, torch.tensor([1, 2, 4]))[:, 0, :, 5].sum(dim=1).tolist() == [1.0, 2.0, 4.0]
    assert torch.allclose(wobble(line, sources(3), torch.zeros(3)), line, atol=1e-4)
    moved = wobble(line, sources(3), torch.full((3,), 3.0))
    assert not torch.allclose(moved, line, atol=0.2) and 0.7 < float(moved.sum() / line.sum()) < 1.3


def test_depth_is_bent_and_stays_in_order() -> None:
    ramp = torch.linspace(0, 1, 32).expand(4, 1, 32, 32)
    bent = vary_depth(ramp, sources(4))
    assert bool((bent.diff(dim=3) > -1e-4).all()) and float(bent.min()) >= 0 and float(bent.max()) <= 1
    assert not torch.allclose(bent[0], bent[1], atol=0.02)


def test_depth_comes_smooth_as_pages_keep_it_and_as_people_paint_it() -> None:
    ramp = torch.linspace(0, 1, 256).expand(60, 1, 4, 256)
    levels = [len(bent.unique()) for bent in vary_depth(ramp, sources(60))]
    smooth, kept, painted = (sum(low <= level <= high for level in levels) for low, high in ((100, 256 * 4), (12, 16), (2, 5)))
    assert smooth + kept + painted == 60 and min(smooth, kept, painted) >= 8


@pytest.mark.parametrize("form", FORMS)
def test_test_scribbles(portraits, form: str) -> None:
    scribbles, reference = make_scribbles(form, portraits.labels, range(12))
    drawn = scribbles >= 0
    share = drawn.float().mean(dim=(1, 2))
    assert 0.02 < float(share.mean()) < 0.2
    right = float((scribbles == portraits.labels)[drawn].float().mean())
    assert right == 1.0 if form != "wobbled" else 0.6 < right < 0.99
    if form == "half":
        for mask, left in zip(portraits.labels, reference):
            assert len(left[left >= 0].unique()) == len(mask.unique()) - len(mask.unique()) // 2
    else:
        assert torch.equal(reference, portraits.labels)
    again = make_scribbles(form, portraits.labels[3:4], [3])[0]
    assert torch.equal(again, scribbles[3:4])
