"""Training of the edge network: targets, crops that hang on their ids alone, losses by hand, and a run that learns."""

import json

import numpy as np
import pytest
import torch

from sisgen.cli.main import main
from sisgen.data.bsds import BSDS
from sisgen.nets.edges import EdgeConfig, load_edges
from sisgen.train.edge_data import OUTSIDE, CropConfig, EdgeData, agreed
from sisgen.train.edges import EdgeTask, EdgeTrainConfig, balanced_loss, dice_loss, export_edges, note_scores
from sisgen.train.loop import StepInfo

TINY = EdgeConfig(full=8, half=8, quarter=8, deep=8)


@pytest.fixture(scope="module")
def data(tiny_bsds):
    return EdgeData(BSDS(tiny_bsds), ("train", "val"), seed=0)


def test_annotators_agree_who_drew_a_pixel_apart():
    drawn = np.zeros((3, 8, 8), dtype=bool)
    drawn[0, 2, 1:7], drawn[1, 3, 1:7], drawn[2, 6, 1:7] = True, True, True
    target = agreed(drawn)
    assert target.shape == (1, 8, 8)
    assert target[0, 2, 3] == pytest.approx(2 / 3) and target[0, 3, 3] == pytest.approx(2 / 3)
    assert target[0, 6, 3] == pytest.approx(1 / 3)
    assert float(target[0, 4].max()) == 0 and float(target[0, 0].max()) == 0


def test_crops_hang_on_their_ids_alone_and_keep_contours_on_edges(data):
    config = CropConfig(size=64, p_color=0, p_grey=0, p_noise=0)
    images, targets = data.crops(range(6), config)
    again = data.crops([4], config)
    assert torch.equal(images[4:5], again[0]) and torch.equal(targets[4:5], again[1])
    assert images.shape == (6, 3, 64, 64) and targets.shape == (6, 1, 64, 64)
    assert float(targets.min()) == OUTSIDE and float(targets.max()) <= 1

    # The drawn rim lies where the picture changes.
    change = torch.nn.functional.max_pool2d(images.mean(dim=1, keepdim=True), 5, 1, 2)
    change = change + torch.nn.functional.max_pool2d(-images.mean(dim=1, keepdim=True), 5, 1, 2)
    assert float(change[targets > 0.5].mean()) > 4 * float(change[targets == 0].mean())


def test_losses_by_hand():
    targets = torch.tensor([0.9, 0.0, 0.0, 0.2, -1.0]).reshape(1, 1, 1, 5)
    config = EdgeTrainConfig(balance=1.0)
    logits = torch.zeros(1, 1, 1, 5)
    # One contour of weight 2 * 0.9, two places without; the others do not count.
    assert float(balanced_loss(logits, targets, config)) == pytest.approx(np.log(2))
    sure = torch.tensor([9.0, -9.0, -9.0, 9.0, 9.0]).reshape(1, 1, 1, 5)
    assert float(balanced_loss(sure, targets, config)) < 1e-3
    assert float(dice_loss(sure, targets, config)) < 1e-3
    assert float(dice_loss(-sure, targets, config)) > 0.5


def test_a_short_run_learns(data):
    config = EdgeTrainConfig(edges=TINY, crops=CropConfig(size=64), warmup=1, lr=1e-2, ema=1.0)
    task = EdgeTask(config, data)
    losses = []
    for step in range(10):
        ids = (2 * step, 2 * step + 1)
        info = StepInfo(step=step, sample_ids=ids, batch_size=2, images_seen=2 * step, total_images=40, seed=0)
        losses.append(task.step(info)["entropy"])
    assert np.mean(losses[-3:]) < 0.8 * np.mean(losses[:3])


def test_command_exports_a_network_with_its_card(tiny_bsds, tmp_path):
    command = ["train", "edges", "--data", str(tiny_bsds), "--images", "2", "--batch", "1", "--crop", "64", "--device", "cpu"]
    assert main([*command, "--out", str(tmp_path / "run"), "--export", str(tmp_path / "edges")]) == 0
    assert load_edges(tmp_path / "edges").read(torch.zeros(1, 3, 32, 32)).shape == (1, 1, 32, 32)
    card = (tmp_path / "edges" / "CARD.md").read_text()
    assert "non-commercial" in card and "--images 2" in card
    assert "ODS" not in card

    scores = {"ods": 0.71, "ois": 0.72, "ap": 0.7, "split": "test", "pictures": 200}
    note_scores(tmp_path / "edges", scores)
    assert "ODS 0.710" in (tmp_path / "edges" / "CARD.md").read_text()
    assert json.loads((tmp_path / "edges" / "config.json").read_text())["training"]["edges"]["scores"] == scores
    assert load_edges(tmp_path / "edges").config == EdgeConfig()
    note_scores(tmp_path / "edges", {**scores, "careful": True})
    assert "200 pictures; three sizes and mirror images" in (tmp_path / "edges" / "CARD.md").read_text()


def test_an_export_goes_on_from_its_folder(data, tmp_path):
    task = EdgeTask(EdgeTrainConfig(edges=TINY), data)
    export_edges(tmp_path, task, 0, "CPU")
    task.save_samples(tmp_path / "samples.png")
    assert (tmp_path / "samples.png").stat().st_size > 1000
