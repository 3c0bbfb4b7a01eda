"""Training of the baseline for lines on the tiny model, and its row in the evaluation."""

import json
import math
import shutil
from pathlib import Path

import pytest
import torch

from sisgen.cli.evaluate import print_condition
from sisgen.cli.main import main
from sisgen.errors import InputError
from sisgen.inversion.encoder import Encoder, encoder_config
from sisgen.io.configs import read_json, to_dict, write_json
from sisgen.io.weights import read_weights
from sisgen.pipeline import Pipeline
from sisgen.train.checkpoints import export_parts, load_generator
from sisgen.train.drawing_baseline import open_baseline
from sisgen.train.evaluation.mixing import LineBaseline, load_baselines, mix_pictures
from sisgen.train.loop import LoopConfig, StepInfo, run_loop

CPU = torch.device("cpu")
SQUEEZENET = Path(__file__).parents[2] / "checkpoints" / "squeezenet"


def fixed_info(batch: int = 8) -> StepInfo:
    return StepInfo(step=0, sample_ids=tuple(range(batch)), batch_size=batch, images_seen=600, total_images=6_000, seed=0)


@pytest.mark.parametrize("kind", ["sketch", "canny", "hed"])
def test_style_rows_are_found_in_lines_and_only_the_encoder_changes(tiny_model: Path, kind: str) -> None:
    task = open_baseline(tiny_model, kind, CPU)
    frozen = {name: value.clone() for name, value in task.generator.state_dict().items()}
    stats = [task.step(fixed_info()) for _ in range(12)]
    assert set(stats[0]) == {"pixels", "edges", "known", "deltas", "typical"}
    assert all(math.isfinite(value) for line in stats for value in line.values())
    assert stats[-1]["known"] < 0.9 * stats[0]["known"]
    assert all(torch.equal(value, frozen[name]) for name, value in task.generator.state_dict().items())


def test_it_goes_on_from_its_own_weights_else_from_the_encoder_of_photographs(tiny_model: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(tiny_model, model)
    torch.manual_seed(8)
    sizes = encoder_config(load_generator(model).config)
    encoder = Encoder(sizes)
    export_parts(model, {"encoder": encoder}, {"encoder": to_dict(sizes)}, half=False)
    words = ["train", "drawing-baseline", "--kind", "canny", "--model", str(model), "--export", str(tmp_path / "baselines")]
    words += ["--batch", "2", "--device", "cpu", "--squeezenet", str(SQUEEZENET)]

    before = (model / "config.json").read_bytes()
    assert torch.equal(open_baseline(model, "canny", CPU).encoder.latent.weight, encoder.latent.weight)
    assert not torch.equal(open_baseline(model, "canny", CPU, fresh=True).encoder.latent.weight, encoder.latent.weight)
    assert main([*words, "--images", "4", "--out", str(tmp_path / "run")]) == 0
    assert (tmp_path / "run" / "samples-00000004.png").exists() and (model / "config.json").read_bytes() == before
    assert "perceptual" in json.loads((tmp_path / "run" / "stats.jsonl").read_text().splitlines()[-1])

    own = read_weights(tmp_path / "baselines" / "baseline_canny.safetensors")["latent.weight"].float()
    task = open_baseline(model, "canny", CPU, export=tmp_path / "baselines")
    assert torch.equal(task.encoder.latent.weight, own) and not torch.equal(own, encoder.latent.weight)
    content = read_json(tmp_path / "baselines" / "config.json")
    assert content["training"]["baseline_canny"]["fitted_to"] == read_json(model / "config.json")["files"]["generator.safetensors"]


def test_the_evaluation_has_a_row_of_the_best_split(drawing_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "baselines"
    for kind in ("canny", "sketch"):
        words = ["--kind", kind, "--model", str(drawing_model), "--images", "2", "--batch", "2", "--device", "cpu"]
        assert main(["train", "drawing-baseline", *words, "--export", str(folder), "--out", str(tmp_path / kind)]) == 0
    words = ["--conditions", "2", "--baselines", str(folder), "--device", "cpu", "--out", str(tmp_path)]
    assert main(["evaluate", "--model", str(drawing_model), *words]) == 0
    report = json.loads((tmp_path / "evaluation.json").read_text())["conditions"]
    assert "baseline" not in report["hed"]
    for kind in ("canny", "sketch"):
        row, (chance, own) = report[kind]["baseline"], (report[kind][name]["f"] for name in ("chance", "self"))
        assert row["split"] in (8, 16) and row["ratio"] == pytest.approx((row["f"] - chance) / (own - chance), abs=0.01)
    capsys.readouterr()
    print_condition("canny", report["canny"])
    assert f"ratio {report['canny']['baseline']['ratio']:.3f}" in capsys.readouterr().out


def test_a_baseline_for_another_generator_is_refused(tiny_pipeline: Pipeline, tiny_model: Path, tmp_path: Path) -> None:
    generator, own = tiny_pipeline.engine.generator, tiny_pipeline.config.generator_sum
    with pytest.raises(InputError, match="must hold baselines, but it holds none"):
        load_baselines(tiny_model, generator, own)
    words = ["--kind", "hed", "--model", str(tiny_model), "--images", "1", "--batch", "1", "--device", "cpu"]
    assert main(["train", "drawing-baseline", *words, "--export", str(tmp_path / "b"), "--out", str(tmp_path / "run")]) == 0
    assert set(load_baselines(tmp_path / "b", generator, own)) == {"hed"}
    content = read_json(tmp_path / "b" / "config.json")
    write_json(tmp_path / "b" / "config.json", {**content, "training": {"baseline_hed": {"fitted_to": "0" * 64}}})
    with pytest.raises(InputError, match=r"baseline for hed in .* was trained for another generator than this model's"):
        load_baselines(tmp_path / "b", generator, own)


def test_the_style_alone_gives_the_fine_rows(tiny_pipeline: Pipeline) -> None:
    engine = tiny_pipeline.engine
    torch.manual_seed(2)
    baseline = LineBaseline(kind="sketch", encoder=Encoder(encoder_config(engine.generator.config)).eval())
    lines = (torch.rand(2, 1, 32, 32) > 0.9).float()
    first = baseline.follow(engine, lines, [4, 5], 0.7)
    assert set(first) == {8, 16} and all(images.shape == (2, 3, 32, 32) for images in first.values())
    again = baseline.follow(engine, lines.flip(0), [4, 5], 0.7)
    assert not torch.allclose(first[16], again[16], atol=1e-4)  # the lines count

    shape, fine = (tiny_pipeline.style_rows([seed]) for seed in (1, 2))
    mixed = mix_pictures(engine.generator, shape, fine)
    split = engine.generator.synthesis.first_row(32)
    assert torch.allclose(mixed[16], engine.generator(torch.cat([shape[:, :split], fine[:, split:]], dim=1)).clamp(-1, 1), atol=1e-5)


def test_a_stopped_run_goes_on(tiny_model: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert run_loop(open_baseline(tiny_model, "hed", CPU), LoopConfig(out=out, images=2, batch=2)) == 2
    assert run_loop(open_baseline(tiny_model, "hed", CPU), LoopConfig(out=out, images=4, batch=2)) == 4
    assert len((out / "stats.jsonl").read_text().splitlines()) == 2
