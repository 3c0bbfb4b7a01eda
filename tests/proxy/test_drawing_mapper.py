from dataclasses import replace

import pytest
import torch

from sisgen.errors import InputError
from sisgen.nets.reader import count_macs
from sisgen.proxy.drawing_mapper import DrawingMapper, DrawingMapperConfig

TINY = DrawingMapperConfig(channels=1, num_clusters=5, resolution=32, proxy_resolution=16, width=6)


@pytest.mark.parametrize(("resolution", "proxy"), [(32, 32), (32, 16), (32, 8), (64, 16), (24, 12)])
def test_logits_lie_on_the_proxy_grid(resolution: int, proxy: int) -> None:
    config = DrawingMapperConfig(channels=3, num_clusters=5, resolution=resolution, proxy_resolution=proxy, width=6)
    mapper = DrawingMapper(config)
    drawing = torch.rand(2, 3, resolution, resolution)
    assert mapper(drawing).shape == (2, 5, proxy, proxy)
    assert torch.allclose(mapper.read(drawing).probs.sum(dim=1), torch.ones(2, proxy, proxy), atol=1e-5)


def test_a_proxy_mask_is_surer_than_its_logits_and_says_the_same() -> None:
    mapper, drawing = DrawingMapper(TINY), torch.rand(2, 1, 32, 32)
    plain, taken = mapper(drawing).softmax(dim=1), mapper.read(drawing).probs
    assert torch.equal(plain.argmax(dim=1), taken.argmax(dim=1))
    assert bool((taken.amax(dim=1) > plain.amax(dim=1)).all())


def test_scribbles_are_completed_to_classes_of_the_whole_picture() -> None:
    config = DrawingMapperConfig(channels=4, num_clusters=5, resolution=32, proxy_resolution=16, width=6, completes=True)
    assert config.outputs == (4, 32)
    mapper, drawing = DrawingMapper(config), torch.zeros(2, 4, 32, 32)
    drawing[:, 1, 4:8, 4:20] = 1
    labels = mapper.complete(drawing)
    assert mapper(drawing).shape == (2, 4, 32, 32)
    assert labels.shape == (2, 32, 32) and labels.dtype == torch.int64 and 0 <= int(labels.min()) <= int(labels.max()) < 4


def test_strokes_are_taken_at_their_word() -> None:
    torch.manual_seed(0)
    mapper = DrawingMapper(DrawingMapperConfig(channels=3, num_clusters=7, resolution=32, proxy_resolution=16, width=8, completes=True))
    drawing = torch.zeros(1, 3, 32, 32)
    drawing[:, 0, 4:6, 3:20] = 1
    drawing[:, 2, 20:22, 8:30] = 1
    labels = mapper.complete(drawing)
    assert bool((labels[:, 4:6, 3:20] == 0).all()) and bool((labels[:, 20:22, 8:30] == 2).all())
    found = (mapper(drawing) + mapper(drawing.flip(3)).flip(3)).argmax(dim=1)
    assert torch.equal(labels[:, 24:], found[:, 24:])
    assert torch.equal(mapper.complete(drawing.flip(3)), labels.flip(2)), "a mirrored drawing is completed to the mirrored picture"


def test_depth_is_completed_to_classes_that_it_does_not_name() -> None:
    torch.manual_seed(0)
    fixed = {"num_clusters": 7, "resolution": 32, "proxy_resolution": 16, "width": 8}
    mapper = DrawingMapper(DrawingMapperConfig(channels=1, completes=True, num_labels=4, **fixed))
    depth = torch.rand(2, 1, 32, 32)
    logits = mapper(depth) + mapper(depth.flip(3)).flip(3)
    assert logits.shape == (2, 4, 32, 32)
    assert torch.equal(mapper.complete(depth), logits.argmax(dim=1))  # also where it is near, which is no stroke


def test_more_blocks_make_its_coarser_levels_deeper() -> None:
    deep = DrawingMapper(replace(TINY, blocks=4))
    assert [len(level) for level in deep.levels] == [4, 4, 4]
    assert [len(level) for level in DrawingMapper(TINY).levels] == [2, 2, 2]
    assert deep(torch.rand(1, 1, 32, 32)).shape == (1, 5, 16, 16)


def test_every_weight_learns_and_a_line_is_seen_everywhere() -> None:
    torch.manual_seed(0)
    mapper = DrawingMapper(TINY)
    drawing = torch.zeros(1, 1, 32, 32)
    drawing[..., 3, 2:9] = 1
    loss = (mapper(drawing) * torch.randn(1, 5, 16, 16)).sum()
    loss.backward()
    assert [name for name, p in mapper.named_parameters() if p.grad is None or not bool(p.grad.any())] == []
    with torch.no_grad():
        change = (mapper(drawing) - mapper(torch.zeros_like(drawing))).abs().amax(dim=1)
    assert float(change.min()) > 0


def test_a_drawing_does_not_depend_on_its_batch() -> None:
    mapper = DrawingMapper(TINY).eval()
    drawings = torch.rand(3, 1, 32, 32)
    assert torch.allclose(mapper(drawings)[1:2], mapper(drawings[1:2]), atol=1e-5)


@pytest.mark.parametrize("channels", [1, 12])
def test_it_is_light_enough_for_the_live_path(channels: int) -> None:
    mapper = DrawingMapper(DrawingMapperConfig(channels=channels, num_clusters=64))
    assert 0.3e6 < sum(p.numel() for p in mapper.parameters()) < 0.6e6

    class Takes(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.mapper = mapper

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.mapper(images[:, :1].expand(-1, channels, -1, -1))

    assert count_macs(Takes(), 128) < 0.15e9


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"channels": 0}, "channels must be in 1..256"),
        ({"num_clusters": 10**6}, "num_clusters must be in"),
        ({"width": 0}, "width must be in"),
        ({"blocks": 0}, "blocks must be in 1..16"),
        ({"resolution": 128, "proxy_resolution": 48}, "1, 2 or 4 times"),
    ],
)
def test_impossible_sizes(changes: dict[str, int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        DrawingMapperConfig(**changes)
    with pytest.raises(InputError, match="drawing must have the shape"):
        DrawingMapper(TINY)(torch.zeros(1, 2, 32, 32))
