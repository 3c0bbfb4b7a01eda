"""Degradations: independent of the batch, joint for picture and labels, and each does what its name says."""

import torch

from sisgen.data.degrade import DegradeConfig, blur, dct_matrix, degrade, jpeg, recolor_parts, warp

ALWAYS = DegradeConfig(p_flip=1, p_warp=1, p_color=1, p_resize=1, p_blur=1, p_noise=1, p_jpeg=1)


def sources(ids: range) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(i) for i in ids]


def test_a_sample_does_not_depend_on_its_batch() -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(4, 3, 32, 32, generator=generator) * 2 - 1
    labels = torch.randint(0, 5, (4, 32, 32), generator=generator)
    together = degrade(images, labels, sources(range(4)), ALWAYS)
    alone = degrade(images[2:3], labels[2:3], sources(range(2, 3)), ALWAYS)
    assert torch.equal(together[0][2:3], alone[0]) and torch.equal(together[1][2:3], alone[1])
    assert float(together[0].abs().max()) <= 1


def test_labels_move_with_the_picture() -> None:
    labels = torch.zeros(8, 64, 64, dtype=torch.int64)
    labels[:, 20:44, 12:40] = 1
    images = labels[:, None].float().repeat(1, 3, 1, 1) * 2 - 1
    moves = DegradeConfig(p_color=0, p_resize=0, p_blur=0, p_noise=0, p_jpeg=0, p_warp=1)
    moved, read = degrade(images, labels, sources(range(8)), moves)
    assert float(((moved[:, 0] > 0) == (read == 1)).float().mean()) > 0.99
    assert not torch.equal(read, labels)


def test_parts_get_colours_of_their_own() -> None:
    labels = torch.full((6, 32, 32), -1)
    labels[:, 4:12], labels[:, 12:24] = 0, 1
    images = torch.zeros(6, 3, 32, 32)
    out = recolor_parts(images, labels, 2, sources(range(6)), DegradeConfig(p_parts=1, parts=1))
    assert torch.equal(out[:, :, labels[0] < 0], images[:, :, labels[0] < 0])
    tops, bottoms = out[:, :, 8, 8], out[:, :, 16, 8]
    assert float((tops - bottoms).abs().amax(dim=1).min()) > 0.02  # each its own
    assert torch.equal(out[:, :, 4:12], tops[:, :, None, None].expand(-1, -1, 8, 32))  # a flat part stays flat
    alone = recolor_parts(images[2:3], labels[2:3], 2, sources(range(2, 3)), DegradeConfig(p_parts=1, parts=1))
    assert torch.equal(out[2:3], alone)
    for never in (DegradeConfig(), DegradeConfig(p_parts=1, parts=0)):
        assert torch.equal(recolor_parts(images, labels, 2, sources(range(6)), never), images)
    assert torch.equal(recolor_parts(images, labels, 2, sources(range(6)), DegradeConfig(p_parts=1), strength=0), images)


def test_identity_warp() -> None:
    images, labels = torch.rand(1, 3, 16, 16), torch.randint(0, 4, (1, 16, 16))
    grid = torch.nn.functional.affine_grid(torch.eye(2, 3)[None], [1, 1, 16, 16], align_corners=False)
    moved, read = warp(images, labels, grid)
    assert torch.allclose(moved, images, atol=1e-5) and torch.equal(read, labels)


def test_blur_keeps_the_mean_of_a_dot_and_lowers_it() -> None:
    dot = torch.zeros(2, 1, 17, 17)
    dot[:, :, 8, 8] = 1
    out = blur(dot, torch.tensor([0.01, 1.0]))
    assert torch.allclose(out[0], dot[0], atol=1e-6)
    assert abs(float(out[1].sum()) - 1) < 1e-4
    assert abs(float(out[1].max()) - 0.1592) < 1e-3  # 1 / (2 pi)


def test_jpeg_transform_is_orthonormal_and_rounding_grows_with_the_factor() -> None:
    basis = dct_matrix()
    assert torch.allclose(basis @ basis.t(), torch.eye(8), atol=1e-6)
    images = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(3)) * 2 - 1
    errors = [float((jpeg(images, torch.tensor([f])) - images).abs().mean()) for f in (0.01, 0.5, 2.0)]
    assert errors[0] < 0.02 and errors[0] < errors[1] < errors[2]
