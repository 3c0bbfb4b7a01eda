"""The generator: the official implementation's numbers, and the promise that the cut changes nothing."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch.nn import functional as F

from sisgen.errors import InputError
from sisgen.generators.stylegan2 import THIN_128, StyleGAN2, StyleGAN2Config, channels_by_rule
from sisgen.io.configs import from_dict

GOLDEN = Path(__file__).parents[1] / "golden" / "stylegan2_official_32.safetensors"
TINY = StyleGAN2Config(resolution=32, z_dim=8, w_dim=8, num_mapping_layers=2, channels={"4": 8, "8": 8, "16": 6, "32": 4})


@pytest.fixture(scope="module")
def golden() -> dict[str, torch.Tensor]:
    with safe_open(str(GOLDEN), "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping


@pytest.fixture(scope="module")
def official(golden: dict[str, torch.Tensor]) -> StyleGAN2:
    """The official network, built from the file's metadata and filled strictly."""
    with safe_open(str(GOLDEN), "pt") as file:
        init = json.loads(file.metadata()["init"])
    size = init["img_resolution"]
    config = StyleGAN2Config(
        resolution=size,
        z_dim=init["z_dim"],
        w_dim=init["w_dim"],
        c_dim=init["c_dim"],
        num_mapping_layers=init["num_layers"],
        channels=channels_by_rule(size, init["channel_base"], init["channel_max"]),
    )
    generator = StyleGAN2(config)
    generator.load_state_dict({name.removeprefix("params."): t for name, t in golden.items() if name.startswith("params.")}, strict=True)
    return generator.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def noisy() -> StyleGAN2:
    """A random generator whose noise is not silent and whose mean style is not zero."""
    torch.manual_seed(0)
    generator = StyleGAN2(TINY).eval().requires_grad_(False)
    for name, tensor in generator.named_parameters():
        if name.endswith(("noise_strength", "bias")):
            tensor.normal_()
    generator.mapping.w_avg.normal_()
    return generator


def ws_of(generator: StyleGAN2, batch: int = 2) -> torch.Tensor:
    z = torch.randn(batch, generator.config.z_dim, generator=torch.Generator().manual_seed(5))
    return generator.map(z)


def test_official_styles(official: StyleGAN2, golden: dict[str, torch.Tensor]) -> None:
    made = official.map(golden["in.z"], psi=0.7)
    assert made.shape == golden["out.w_psi0.7"].shape
    assert float((made - golden["out.w_psi0.7"]).abs().max()) <= 1e-4


@pytest.mark.parametrize("mode", ["const", "none"])
def test_official_pictures(official: StyleGAN2, golden: dict[str, torch.Tensor], mode: str) -> None:
    made = official(golden["out.w_psi0.7"], noise_mode=mode)
    assert float((made - golden[f"out.img_{mode}"]).abs().max()) <= 1e-4


def test_the_two_noise_modes_of_the_golden_file_differ(golden: dict[str, torch.Tensor]) -> None:
    assert float((golden["out.img_const"] - golden["out.img_none"]).abs().max()) > 1e-2


@pytest.mark.parametrize("mode", ["const", "none"])
@pytest.mark.parametrize("resolution", [4, 8, 16, 32])
def test_the_cut_changes_nothing(noisy: StyleGAN2, resolution: int, mode: str) -> None:
    ws = ws_of(noisy)
    features = noisy.head(ws, resolution, noise_mode=mode)
    assert features.map.shape == (2, TINY.channels[str(resolution)], resolution, resolution)
    assert features.rgb.shape == (2, 3, resolution, resolution)
    assert torch.equal(noisy.tail(features, ws, noise_mode=mode), noisy(ws, noise_mode=mode))


def test_the_cut_changes_nothing_with_random_noise_from_one_source(noisy: StyleGAN2) -> None:
    ws = ws_of(noisy)
    whole = noisy(ws, noise_mode="random", generator=torch.Generator().manual_seed(3))
    source = torch.Generator().manual_seed(3)
    features = noisy.head(ws, 8, noise_mode="random", generator=source)
    assert torch.equal(noisy.tail(features, ws, noise_mode="random", generator=source), whole)


def test_styles_of_the_tail_act_behind_the_cut_only(noisy: StyleGAN2) -> None:
    ws = ws_of(noisy)
    fine = torch.cat([ws[:, :5], torch.zeros_like(ws[:, 5:])], dim=1)  # 16 uses rows 3 to 5, its last for to-RGB
    assert torch.equal(noisy.head(ws, 16).map, noisy.head(fine, 16).map)
    assert not torch.equal(noisy.head(ws, 16).rgb, noisy.head(fine, 16).rgb)
    assert not torch.equal(noisy(ws), noisy(fine))


def test_advance_goes_from_cut_to_cut(noisy: StyleGAN2) -> None:
    ws = ws_of(noisy)
    coarse, fine = noisy.head(ws, 8), noisy.head(ws, 32)
    grown = noisy.advance(coarse, ws, 32)
    assert torch.equal(grown.map, fine.map) and torch.equal(grown.rgb, fine.rgb)
    assert noisy.advance(coarse, ws, 8) is coarse


def test_the_hypercolumn_holds_every_head(noisy: StyleGAN2) -> None:
    ws = ws_of(noisy)
    steps = noisy.hypercolumn(ws)
    assert [step.resolution for step in steps] == [4, 8, 16, 32]
    for step in steps:
        assert torch.equal(step.map, noisy.head(ws, step.resolution).map)
    assert torch.equal(steps[-1].rgb, noisy(ws))


def test_truncation_moves_towards_the_mean_style(noisy: StyleGAN2) -> None:
    z, mean = torch.randn(2, 8), noisy.mapping.w_avg
    full, half, none = (noisy.map(z, psi=psi) for psi in (1.0, 0.5, 0.0))
    assert torch.allclose(none, mean.expand_as(none))
    assert torch.allclose(half, (full + mean) / 2, atol=1e-6)
    each = noisy.map(z, psi=torch.tensor([[0.5], [0.0]]))
    assert torch.allclose(each, torch.stack([half[0], none[1]]))


def test_random_noise_of_a_sample_does_not_depend_on_its_batch(noisy: StyleGAN2) -> None:
    ws = ws_of(noisy, 3)
    together = noisy(ws, noise_mode="random", generator=[torch.Generator().manual_seed(i) for i in range(3)])
    for i in range(3):
        alone = noisy(ws[i : i + 1], noise_mode="random", generator=[torch.Generator().manual_seed(i)])
        assert torch.allclose(together[i : i + 1], alone, atol=1e-5)
    other = noisy(ws, noise_mode="random", generator=[torch.Generator().manual_seed(i) for i in (0, 7, 2)])
    assert float((other[1] - together[1]).abs().max()) > 1e-2


def test_a_modulated_convolution_is_that_of_the_paper(noisy: StyleGAN2) -> None:
    """Weights scaled by the style and demodulated a sample (StyleGAN2, eqs. 1-3) give the layer's output."""
    layer, w = noisy.synthesis.b8.conv1, torch.randn(2, 8)
    x = torch.randn(2, 8, 8, 8)
    styles = layer.affine(w)
    weight = layer.weight[None] * styles[:, None, :, None, None]  # [B, O, I, 3, 3]
    weight = weight * (weight.square().sum(dim=(2, 3, 4), keepdim=True) + 1e-8).rsqrt()
    convolved = torch.cat([F.conv2d(x[i : i + 1], weight[i], padding=1) for i in range(2)])
    wanted = F.leaky_relu(convolved + layer.bias[None, :, None, None], 0.2) * 2**0.5
    assert torch.allclose(layer(x, w, None), wanted, atol=1e-5)


def test_clamping_bounds_the_features() -> None:
    torch.manual_seed(0)
    generator = StyleGAN2(replace(TINY, clamp=0.25)).requires_grad_(False)
    steps = generator.hypercolumn(ws_of(generator))
    assert max(float(step.map.abs().max()) for step in steps) <= 0.25 + 1e-6


def test_a_conditional_mapping_reads_its_label() -> None:
    torch.manual_seed(0)
    generator = StyleGAN2(replace(TINY, c_dim=3)).requires_grad_(False)
    z, classes = torch.randn(1, 8).expand(3, -1), torch.eye(3)
    ws = generator.map(z, classes)
    assert ws.shape == (3, TINY.num_ws, 8)
    assert float((ws[0] - ws[1]).abs().max()) > 1e-4 and float((ws[1] - ws[2]).abs().max()) > 1e-4
    with pytest.raises(InputError, match="needs a class label c, but none came"):
        generator.map(z)


def test_gradients_reach_every_parameter() -> None:
    torch.manual_seed(0)
    generator = StyleGAN2(TINY)
    generator(ws_of(generator), noise_mode="random").square().mean().backward()
    assert [name for name, p in generator.named_parameters() if p.grad is None or not bool(p.grad.abs().sum() > 0)] == []


def test_sizes_of_the_presets() -> None:
    assert sum(p.numel() for p in StyleGAN2(StyleGAN2Config()).parameters()) == 1_445_869
    assert channels_by_rule(128, 8192, 256) == {"4": 256, "8": 256, "16": 256, "32": 256, "64": 128, "128": 64}
    assert set(THIN_128) == {str(r) for r in StyleGAN2Config().resolutions}


def test_bad_doors_are_refused_in_a_sentence(noisy: StyleGAN2) -> None:
    ws = ws_of(noisy)
    with pytest.raises(InputError, match="can be cut at 4, 8, 16, 32, but 12 was asked for"):
        noisy.head(ws, 12)
    with pytest.raises(InputError, match="can be cut at"):
        noisy.advance(noisy.head(ws, 8), ws, 64)
    with pytest.raises(InputError, match="noise_mode must be one of const, random, none, but it is 'loud'"):
        noisy(ws, noise_mode="loud")
    with pytest.raises(InputError, match=r"ws must have the shape \[any, 8, 8\], but it has \[2, 3, 8\]"):
        noisy(ws[:, :3])
    with pytest.raises(InputError, match=r"z must have the shape \[any, 8\]"):
        noisy.map(torch.zeros(1, 9))


HOSTILE = {
    "resolution 48": ({"resolution": 48}, "power of two in 8..4096, but it is 48"),
    "resolution 0": ({"resolution": 0}, "power of two"),
    "10^9 channels": ({"channels": {"4": 10**9, "8": 8, "16": 8, "32": 8}}, "from 2 to 1000000000"),
    "missing channels": ({"channels": {"4": 8, "32": 8}}, "but 8, 16 lack"),
    "no channels at 8": ({"channels": {"4": 8, "8": 0, "16": 8, "32": 8}}, "they reach from 0"),
    "negative classes": ({"c_dim": -1}, "must lie in"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_configs_are_refused_in_a_sentence(kind: str) -> None:
    changes, message = HOSTILE[kind]
    with pytest.raises(InputError, match=message) as caught:
        replace(TINY, **changes)
    assert "\n" not in str(caught.value) and str(caught.value).endswith(".")


def test_a_hostile_file_is_refused_before_anything_is_built() -> None:
    with pytest.raises(Exception, match="1000000000"):
        from_dict(StyleGAN2Config, {"channels": {"4": 10**9}})
