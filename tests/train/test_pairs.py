"""Where training pairs come from."""

import pytest
import torch

from sisgen.errors import TrainingError
from sisgen.generators.stylegan2 import StyleGAN2, StyleGAN2Config
from sisgen.nets.segmenter import Segmenter, SegmenterConfig
from sisgen.train.pairs import CachedPairs, SampledPairs


class Numbers:
    """A cache whose pictures are filled with their own index."""

    def __init__(self, num: int) -> None:
        self.num = num

    def __len__(self) -> int:
        return self.num

    def images(self, indices: list[int]) -> torch.Tensor:
        return torch.tensor(indices).float()[:, None, None, None].expand(-1, 3, 2, 2)

    def labels(self, indices: list[int]) -> torch.Tensor:
        return torch.tensor(indices)[:, None, None].expand(-1, 2, 2)


def test_an_epoch_visits_every_picture_once_and_none_that_is_held_out() -> None:
    source = CachedPairs(Numbers(10), seed=0, hold=3)
    first = source.train(range(7))[1][:, 0, 0].tolist()
    second = source.train(range(7, 14))[1][:, 0, 0].tolist()
    assert sorted(first) == sorted(second) == list(range(7))
    assert first != second
    assert source.held_out(99)[1][:, 0, 0].tolist() == [7, 8, 9]
    assert source.train([3])[1][0, 0, 0] == first[3]


def test_halves_share_no_picture() -> None:
    first, second = (CachedPairs(Numbers(11), seed=0, hold=3, half=half).train(range(4))[1][:, 0, 0].tolist() for half in (1, 2))
    assert sorted(first) == [0, 2, 4, 6] and sorted(second) == [1, 3, 5, 7]


def test_a_cache_of_one_is_refused() -> None:
    with pytest.raises(TrainingError, match="at least 4 pictures"):
        CachedPairs(Numbers(1), seed=0)


def test_sampled_pairs_do_not_depend_on_their_batch() -> None:
    torch.manual_seed(0)
    channels = {"4": 8, "8": 8, "16": 4}
    generator = StyleGAN2(StyleGAN2Config(resolution=16, z_dim=8, w_dim=8, num_mapping_layers=2, channels=channels)).eval()
    segmenter = Segmenter(SegmenterConfig(num_labels=3, channels=(8, 8, 4), width=8)).eval()
    source = SampledPairs(generator, segmenter, seed=0)
    images, labels = source.train([0, 1, 2])
    alone, read = source.train([1])
    assert torch.allclose(alone[0], images[1], atol=1e-5) and labels.shape == (3, 16, 16)
    assert float((read[0] == labels[1]).float().mean()) > 0.99
    held, _ = source.held_out(1)
    assert not torch.allclose(held[0], source.train([0])[0][0])
