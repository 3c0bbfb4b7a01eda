"""Directions: applied to the rows they name, found by name, kept in a file; SeFa and GANSpace against what they should find."""

import pytest
import torch

from sisgen.editing.directions import Direction, find_direction, load_directions, save_directions, scale_to_deviation
from sisgen.editing.unsupervised import draw_w, ganspace_directions, sefa_directions
from sisgen.errors import CheckpointError, InputError


def test_a_direction_moves_its_rows_only():
    ws = torch.zeros(2, 4, 3)
    moved = Direction(name="light", vector=torch.tensor([1.0, 0.0, -2.0]), rows=(1, 3)).apply(ws, 1.5)
    assert moved[:, [0, 3]].abs().sum() == 0
    assert moved[1, 2].tolist() == [1.5, 0.0, -3.0]
    assert ws.abs().sum() == 0, "the given rows stay"


def test_one_step_is_one_standard_deviation():
    w = torch.randn(4000, 3, generator=torch.Generator().manual_seed(0)) * torch.tensor([1.0, 5.0, 0.2]) + 7
    assert scale_to_deviation(torch.tensor([0.0, -3.0, 0.0]), w).tolist() == pytest.approx([0.0, -5.0, 0.0], rel=0.05)


def test_directions_come_back_from_their_file(tmp_path):
    directions = [Direction(name="hair-light", vector=torch.randn(8)), Direction(name="glasses-size", vector=torch.randn(8))]
    save_directions(tmp_path / "directions.safetensors", directions)
    loaded = load_directions(tmp_path / "directions.safetensors", 8)
    assert [one.name for one in loaded] == ["glasses-size", "hair-light"]
    assert torch.equal(find_direction("hair-light", loaded).vector, directions[0].vector)
    with pytest.raises(InputError, match="choose one of glasses-size, hair-light"):
        find_direction("age", loaded)
    with pytest.raises(CheckpointError, match="vectors of 9 numbers"):
        load_directions(tmp_path / "directions.safetensors", 9)


def test_refusals():
    direction = Direction(name="a", vector=torch.zeros(3))
    for ws, strength, words in (
        (torch.zeros(1, 2, 4), 1.0, "any, any, 3"),
        (torch.zeros(1, 2, 3), 99.0, "-10..10"),
        (torch.zeros(1, 2, 3), float("nan"), "-10..10"),
    ):
        with pytest.raises(InputError, match=words):
            direction.apply(ws, strength)
    with pytest.raises(InputError, match="rows to move"):
        Direction(name="a", vector=torch.zeros(3), rows=(1, 9)).apply(torch.zeros(1, 2, 3), 1.0)
    with pytest.raises(InputError, match="lower-case"):
        Direction(name="../A", vector=torch.zeros(3))


def test_ganspace_takes_the_widest_directions_first(tiny_generator):
    found = ganspace_directions(tiny_generator, 3)
    lengths = [float(direction.vector.norm()) for direction in found]
    assert [direction.name for direction in found] == ["pca-1", "pca-2", "pca-3"]
    assert lengths == sorted(lengths, reverse=True)
    centred = draw_w(tiny_generator) - draw_w(tiny_generator).mean(dim=0)
    assert lengths[0] == pytest.approx(float(torch.linalg.matrix_norm(centred, 2)) / (len(centred) - 1) ** 0.5, rel=1e-3)


def test_sefa_changes_styles_more_than_other_directions(tiny_generator):
    found = sefa_directions(tiny_generator, 8)

    def change(vector):
        weights = [m.affine.weight for name, m in tiny_generator.synthesis.named_modules() if name.endswith(("conv0", "conv1"))]
        stacked = torch.cat(weights)
        return float(((stacked / stacked.norm(dim=0)) @ (vector / vector.norm())).norm())

    changes = [change(direction.vector) for direction in found]
    assert changes == sorted(changes, reverse=True)
    assert changes[0] > change(torch.randn(8, generator=torch.Generator().manual_seed(0))) > changes[-1]
    late = sefa_directions(tiny_generator, 1, rows=(4, 7))[0]
    assert late.rows == (4, 7)
    with pytest.raises(InputError, match="rows within"):
        sefa_directions(tiny_generator, 1, rows=(4, 99))
