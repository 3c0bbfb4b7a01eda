"""Files of other projects become model folders: the original implementations' numbers, sizes by shapes, sentences for the rest."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from sisgen.errors import CheckpointError, InputError, SisgenError
from sisgen.generators.convert import ConvertConfig, convert
from sisgen.generators.discriminator import Discriminator
from sisgen.generators.layouts import read_networks
from sisgen.generators.official import build_discriminator, build_generator
from sisgen.generators.stylegan2 import StyleGAN2
from sisgen.io.configs import read_json
from sisgen.io.files import sha256_of
from sisgen.train.checkpoints import load_discriminator, load_generator

Writers = dict[str, Callable[..., Any]]
State = dict[str, torch.Tensor]
GOLDEN = Path(__file__).parents[1] / "golden"


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def convert_exactly(source: Path, out: Path) -> StyleGAN2:
    convert(ConvertConfig(source=source, out=out, precision="fp32"))
    return load_generator(out)


def same(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    first, second = a.state_dict(), b.state_dict()
    return first.keys() == second.keys() and all(torch.allclose(first[name], second[name], atol=1e-6) for name in first)


def check_official(generator: StyleGAN2, golden: State) -> None:
    assert float((generator.map(golden["in.z"], psi=0.7) - golden["out.w_psi0.7"]).abs().max()) <= 1e-4
    for mode in ("const", "none"):
        made = generator(golden["out.w_psi0.7"], noise_mode=mode)
        assert float((made - golden[f"out.img_{mode}"]).abs().max()) <= 1e-4


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_an_official_pickle_makes_the_official_pictures(writers: Writers, golden_official: State, tmp_path: Path, protocol: int) -> None:
    state = writers["params"](golden_official)
    name = "synthesis.b16.conv0.weight"
    state[name] = state[name].to(memory_format=torch.channels_last)  # as half-precision blocks keep theirs
    source = write(tmp_path / "network.pkl", writers["official"](state, protocol=protocol))
    generator = convert_exactly(source, tmp_path / "model")
    check_official(generator, golden_official)
    assert generator.config.channels == {"4": 32, "8": 32, "16": 32, "32": 16}


def test_fp16_on_disk_is_the_default_and_close(writers: Writers, golden_official: State, tmp_path: Path) -> None:
    source = write(tmp_path / "network.pkl", writers["official"](writers["params"](golden_official)))
    found = convert(ConvertConfig(source=source, out=tmp_path / "model"))
    made = load_generator(tmp_path / "model")(golden_official["out.w_psi0.7"])
    assert found.precision == "fp16"
    assert float((made - golden_official["out.img_const"]).abs().max()) <= 2e-2


@pytest.mark.parametrize("zipped", [True, False])
def test_a_rosinality_file_makes_its_pictures(writers: Writers, golden_rosinality: State, tmp_path: Path, zipped: bool) -> None:
    state = writers["params"](golden_rosinality)
    rest = {"g": {name: tensor + 1 for name, tensor in state.items()}, "args": {"lr": 0.002}, "ada_aug_p": 0.1}
    torch.save({**rest, "g_ema": state}, tmp_path / "r.pt", _use_new_zipfile_serialization=zipped)
    generator = convert_exactly(tmp_path / "r.pt", tmp_path / "model")
    ws = generator.map(golden_rosinality["in.z"])
    assert float((ws[:, 0] - golden_rosinality["out.w"]).abs().max()) <= 1e-4
    assert float((generator(ws) - golden_rosinality["out.img"]).abs().max()) <= 1e-4


def test_a_missing_mean_style_is_computed(writers: Writers, golden_rosinality: State, tmp_path: Path) -> None:
    torch.save({"g_ema": writers["params"](golden_rosinality)}, tmp_path / "r.pt")
    found = convert(ConvertConfig(source=tmp_path / "r.pt", out=tmp_path / "model"))
    generator = load_generator(tmp_path / "model")
    mean = generator.mapping.embed_latent(torch.randn(4096, 32, generator=torch.Generator().manual_seed(7))).mean(dim=0)
    assert "was computed over 16,384 styles" in " ".join(found.notes)
    assert float((generator.mapping.w_avg - mean).abs().max()) < 0.1 and float(mean.abs().max()) > 0.1


def test_shapes_decide_the_sizes_of_a_rosinality_file(writers: Writers, tmp_path: Path) -> None:
    generator = writers["noisy_generator"](z_dim=6, w_dim=6)  # one style_dim there
    other = Discriminator(16, {"4": 5, "8": 6, "16": 4})
    data = {"g_ema": writers["rosinality"](generator), "d": writers["rosinality_discriminator"](other)}
    torch.save({**data, "latent_avg": generator.mapping.w_avg[None]}, tmp_path / "r.pt")
    made = convert_exactly(tmp_path / "r.pt", tmp_path / "model")
    assert made.config == generator.config and same(made, generator)
    foreign = read_networks(tmp_path / "r.pt")
    found, _ = build_discriminator(foreign, generator.config)
    assert found is not None and same(found, other)


def test_a_tensorflow_pickle_makes_the_official_pictures(writers: Writers, golden_official: State, tmp_path: Path) -> None:
    foreign = write(tmp_path / "o.pkl", writers["official"](writers["params"](golden_official)))
    generator, _ = build_generator(read_networks(foreign))
    other = Discriminator(32, generator.config.channels)
    nets = (writers["tensorflow"](generator), writers["tensorflow_discriminator"](other), writers["tensorflow"](generator))
    source = write(tmp_path / "tf.pkl", writers["dump"](nets))
    check_official(convert_exactly(source, tmp_path / "model"), golden_official)
    assert same(load_discriminator(tmp_path / "model", generator.config), other)


def test_a_conditional_generator_keeps_its_classes(writers: Writers, tmp_path: Path) -> None:
    generator = writers["noisy_generator"](c_dim=3)
    source = write(tmp_path / "c.pkl", writers["official"](dict(generator.state_dict())))
    made = convert_exactly(source, tmp_path / "model")
    assert (made.config.z_dim, made.config.w_dim, made.config.c_dim, made.config.num_mapping_layers) == (5, 6, 3, 3)
    z, c = torch.randn(2, 5), torch.eye(3)[:2]
    assert torch.allclose(made.map(z, c), generator.map(z, c))


@pytest.mark.parametrize("c_dim", [0, 3])
def test_the_residual_discriminator_comes_along(writers: Writers, tmp_path: Path, c_dim: int) -> None:
    generator = writers["noisy_generator"](c_dim=c_dim)
    other = Discriminator(16, {"4": 6, "8": 5, "16": 4}, c_dim=c_dim)
    module = writers["official_discriminator"](other, {"b4.mbstd.group_size": 8})
    source = write(tmp_path / "d.pkl", writers["official"](dict(generator.state_dict()), discriminator=module))
    found, sentence = build_discriminator(read_networks(source), generator.config)
    assert found is not None and same(found, other) and "took groups of 8" in sentence
    assert "discriminator.safetensors" in convert(ConvertConfig(source=source, out=tmp_path / "model")).files


def test_another_discriminator_is_left_out_with_a_sentence(writers: Writers, tmp_path: Path) -> None:
    generator = writers["noisy_generator"]()
    state = {name: tensor for name, tensor in Discriminator(16, generator.config.channels).state_dict().items() if ".skip." not in name}
    module = writers["tree"]("Discriminator", state)
    source = write(tmp_path / "d.pkl", writers["official"](dict(generator.state_dict()), discriminator=module))
    found = convert(ConvertConfig(source=source, out=tmp_path / "model"))
    assert "discriminator.safetensors" not in found.files and "was left out" in " ".join(found.notes)


def test_safetensors_with_official_names_and_a_config(golden_official: State, tmp_path: Path) -> None:
    check_official(convert_exactly(GOLDEN / "stylegan2_official_32.safetensors", tmp_path / "model"), golden_official)


def test_attributes_tell_what_shapes_cannot(writers: Writers, tmp_path: Path) -> None:
    generator = writers["noisy_generator"]()
    facts = {"synthesis.b4.conv1.conv_clamp": 256, **{f"mapping.fc{i}.bias_gain": 0.02 for i in range(3)}}
    source = write(tmp_path / "a.pkl", writers["official"](dict(generator.state_dict()), facts))
    made = convert_exactly(source, tmp_path / "model")
    assert made.config.clamp == 256
    assert torch.allclose(made.mapping.fc1.weight, 2 * generator.mapping.fc1.weight)
    assert torch.allclose(made.mapping.fc1.bias, 2 * generator.mapping.fc1.bias)


def test_a_generator_without_noise_gets_silent_noise(writers: Writers, tmp_path: Path) -> None:
    generator = writers["noisy_generator"]()
    state = {name: tensor for name, tensor in generator.state_dict().items() if not name.endswith(("noise_const", "noise_strength"))}
    made = convert_exactly(write(tmp_path / "n.pkl", writers["official"](state)), tmp_path / "model")
    ws = generator.map(torch.randn(2, 5))
    assert torch.allclose(made(ws), generator(ws, noise_mode="none"), atol=1e-5)


def test_values_beyond_fp16_keep_fp32(writers: Writers, tmp_path: Path) -> None:
    state = dict(writers["noisy_generator"]().state_dict())
    state["mapping.fc0.weight"] = state["mapping.fc0.weight"] * 1e4
    source = write(tmp_path / "l.pkl", writers["official"](state))
    found = convert(ConvertConfig(source=source, out=tmp_path / "model"))
    assert found.precision == "fp32" and "kept in fp32" in " ".join(found.notes)
    assert torch.equal(load_generator(tmp_path / "model").mapping.fc0.weight, state["mapping.fc0.weight"])


@pytest.fixture
def source(writers: Writers, tmp_path: Path) -> Path:
    """A small official pickle."""
    return write(tmp_path / "network.pkl", writers["official"](dict(writers["noisy_generator"]().state_dict())))


def test_the_config_says_where_the_weights_come_from(source: Path, tmp_path: Path) -> None:
    convert(ConvertConfig(source=source, out=tmp_path / "first"))
    content = read_json(tmp_path / "first" / "config.json")
    assert (content["format"], content["name"], content["license"]) == (1, "first", "unknown, see the source")
    origin = content["training"]["converted"]
    assert (origin["from"], origin["sha256"], origin["num_ws"]) == ("network.pkl", sha256_of(source), 6)
    convert(ConvertConfig(source=source, out=tmp_path / "second", name="cats", license="CC BY-NC 4.0"))
    content = read_json(tmp_path / "second" / "config.json")
    assert (content["name"], content["license"]) == ("cats", "CC BY-NC 4.0")


def test_an_own_folder_is_copied_whole(tiny_model: Path, tmp_path: Path) -> None:
    found = convert(ConvertConfig(source=tiny_model, out=tmp_path / "copy", license="MIT"))
    first, second = read_json(tiny_model / "config.json"), read_json(tmp_path / "copy" / "config.json")
    assert second["files"] == first["files"] and set(found.files) == {"config.json", *first["files"]}
    assert (second["license"], second["name"]) == ("MIT", first["name"])
    assert all(sha256_of(tmp_path / "copy" / name) == sha256 for name, sha256 in first["files"].items())


def test_an_altered_own_folder_is_refused_and_nothing_is_left(tiny_model: Path, tmp_path: Path) -> None:
    convert(ConvertConfig(source=tiny_model, out=tmp_path / "bad"))
    data = bytearray((tmp_path / "bad" / "reader.safetensors").read_bytes())
    data[-1] ^= 1
    (tmp_path / "bad" / "reader.safetensors").write_bytes(data)
    with pytest.raises(CheckpointError, match=r"is not the one that the model's config\.json names"):
        convert(ConvertConfig(source=tmp_path / "bad", out=tmp_path / "copy"))
    content = read_json(tmp_path / "bad" / "config.json")
    content["files"] = {"../../reader.safetensors": "0"}
    (tmp_path / "bad" / "config.json").write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match="must name its files plainly"):
        convert(ConvertConfig(source=tmp_path / "bad", out=tmp_path / "copy"))
    assert [path.name for path in tmp_path.iterdir()] == ["bad"]


def test_folders_of_others_are_safe(source: Path, tiny_model: Path, tmp_path: Path) -> None:
    out = tmp_path / "model"
    convert(ConvertConfig(source=tiny_model, out=out))
    with pytest.raises(InputError, match="holds another model; choose another folder, or add --overwrite"):
        convert(ConvertConfig(source=source, out=out))
    convert(ConvertConfig(source=source, out=out, overwrite=True))
    assert sorted(path.name for path in out.iterdir()) == ["config.json", "generator.safetensors"]

    (out / "notes.txt").write_text("other parts stay when the same file is converted again")
    convert(ConvertConfig(source=source, out=out, license="MIT"))
    assert (out / "notes.txt").exists() and read_json(out / "config.json")["license"] == "MIT"

    (tmp_path / "papers").mkdir()
    (tmp_path / "papers" / "thesis.txt").write_text("years of work")
    for place, words in ((tmp_path / "papers", "holds other things"), (source, "is a file")):
        with pytest.raises(InputError, match=words):
            convert(ConvertConfig(source=source, out=place, overwrite=True))
    assert (tmp_path / "papers" / "thesis.txt").exists()


def test_a_failed_conversion_leaves_the_old_folder(source: Path, writers: Writers, tmp_path: Path) -> None:
    out = tmp_path / "model"
    convert(ConvertConfig(source=source, out=out))
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    state = dict(writers["noisy_generator"]().state_dict())
    state["mapping.fc0.bias"] = state["mapping.fc0.bias"] * float("nan")
    bad = write(tmp_path / "bad.pkl", writers["official"](state))
    with pytest.raises(CheckpointError, match="must be finite"):
        convert(ConvertConfig(source=bad, out=out, overwrite=True))
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def without(state: State, part: str) -> State:
    return {name: tensor for name, tensor in state.items() if part not in name}


UNFIT: dict[str, tuple[Callable[[State], tuple[State, dict[str, Any]]], str]] = {
    "StyleGAN3": (lambda s: ({"synthesis.input.freqs": torch.zeros(3, 2), "mapping.fc0.weight": torch.zeros(5, 5)}, {}), "StyleGAN3"),
    "resnet": (lambda s: (s | {"synthesis.b8.skip.weight": torch.zeros(4, 7, 1, 1)}, {}), "architecture 'resnet'"),
    "orig": (lambda s: (s, {"synthesis.b8.architecture": "orig"}), "architecture 'orig'"),
    "activation": (lambda s: (s, {"mapping.fc0.activation": "relu"}), "activation 'relu'"),
    "grey pictures": (lambda s: (s | {"synthesis.b4.torgb.bias": torch.zeros(1)}, {}), "pictures of 1 channel"),
    "no constant": (lambda s: (without(s, "b4.const"), {}), "lacks the tensor 'synthesis.b4.const'"),
    "no block": (lambda s: (without(s, "synthesis.b8."), {}), "channels for every resolution"),
    "no mapping": (lambda s: (without(s, "mapping."), {}), "lacks tensors that every StyleGAN2 has"),
    "odd shape": (lambda s: (s | {"mapping.fc1.weight": torch.zeros(6, 7)}, {}), r"\[6, 6\] was expected but \[6, 7\] came"),
    "extra": (lambda s: (s | {"synthesis.b8.attention": torch.zeros(1)}, {}), "has the tensor 'synthesis.b8.attention'"),
    "name on two lines": (lambda s: (s | {"synthesis.b8.a\nb": torch.zeros(1)}, {}), r"'synthesis\.b8\.a\\nb'"),
    "flat sizes": (lambda s: (s | {"synthesis.b16.conv1.weight": torch.zeros(3)}, {}), r"but \[3\] came"),
}


@pytest.mark.parametrize("kind", UNFIT)
def test_networks_that_cannot_run_here_get_a_sentence(writers: Writers, tmp_path: Path, kind: str) -> None:
    change, words = UNFIT[kind]
    state, facts = change(dict(writers["noisy_generator"]().state_dict()))
    source = write(tmp_path / "u.pkl", writers["official"](state, facts))
    with pytest.raises(CheckpointError, match=words) as caught:
        convert(ConvertConfig(source=source, out=tmp_path / "model"))
    assert "\n" not in str(caught.value) and str(caught.value).endswith(".")
    assert not (tmp_path / "model").exists()


def test_tensorflow_networks_of_other_kinds_get_a_sentence(writers: Writers, tmp_path: Path) -> None:
    for name, words in (("4x4/Conv/StyleMod/weight", "first version"), ("LabelConcat/weight", "concatenated in the old way")):
        net = writers["tensorflow"](writers["noisy_generator"]())
        net.fields["variables"].append((name, torch.zeros(2).numpy()))
        with pytest.raises(CheckpointError, match=words):
            read_networks(write(tmp_path / "tf.pkl", writers["dump"]((net, net, net))))


@pytest.mark.parametrize(
    "data", [None, 3, [], (), {}, {"G_ema": 1}, {"g_ema": {}}, {"g_ema": {"x": torch.zeros(1)}}, [1, 2], {"G_ema": None, "G": [1]}]
)
def test_pickles_without_a_network_get_a_sentence(writers: Writers, tmp_path: Path, data: Any) -> None:
    with pytest.raises(CheckpointError, match="holds no StyleGAN2 of a known layout"):
        read_networks(write(tmp_path / "p.pkl", writers["dump"](data)))


def test_records_that_hold_each_other_are_no_network(writers: Writers, tmp_path: Path) -> None:
    """Billions by multiplication, and one by recursion."""
    module = writers["tree"]("Layer", {})
    for _ in range(12):
        parent = writers["tree"]("Layer", {})
        parent.fields["_modules"].update({f"m{i}": module for i in range(50)})
        module = parent
    with pytest.raises(CheckpointError, match="no usable tree of modules"):
        read_networks(write(tmp_path / "laughs.pkl", writers["dump"]({"G_ema": module})))
    net = writers["tensorflow"](writers["noisy_generator"]())
    net.fields["components"]["again"] = net
    with pytest.raises(CheckpointError, match="no usable tree of variables"):
        read_networks(write(tmp_path / "tf.pkl", writers["dump"]((net, net, net))))


def test_tensors_that_share_their_numbers_cannot_fill_the_memory(writers: Writers, tmp_path: Path) -> None:
    widths = {"4": 64, "8": 64, "16": 64, "32": 64}
    state = writers["rosinality"](writers["noisy_generator"](resolution=32, z_dim=64, w_dim=64, channels=widths))
    numbers = torch.zeros(64 * 64 * 9)
    shared = {name: numbers[: tensor.numel()].view(tensor.shape) for name, tensor in state.items()}
    torch.save({"g_ema": shared}, tmp_path / "r.pt")
    with pytest.raises(CheckpointError, match="larger together than the file itself"):
        read_networks(tmp_path / "r.pt")


def test_a_tensorflow_network_tells_its_learning_rate_and_activation(writers: Writers, tmp_path: Path) -> None:
    generator = writers["noisy_generator"]()
    net = writers["tensorflow"](generator, {"mapping_lrmul": 0.02, "conv_clamp": 64, "architecture": "skip", "fmap_base": 8})
    made, _ = build_generator(read_networks(write(tmp_path / "tf.pkl", writers["dump"](net))))
    assert made.config.clamp == 64 and torch.allclose(made.mapping.fc0.weight, 2 * generator.mapping.fc0.weight)
    net = writers["tensorflow"](generator, {"nonlinearity": "relu"})
    with pytest.raises(CheckpointError, match="activation 'relu'"):
        build_generator(read_networks(write(tmp_path / "tf.pkl", writers["dump"](net))))


def test_safetensors_of_other_things_get_a_sentence(tmp_path: Path) -> None:
    save_file({"weight": torch.zeros(2)}, tmp_path / "x.safetensors")
    with pytest.raises(CheckpointError, match=r"must hold the tensor 'synthesis\.b4\.const'"):
        read_networks(tmp_path / "x.safetensors")
    data = (tmp_path / "x.safetensors").read_bytes()
    (tmp_path / "x.safetensors").write_bytes(data[:-4])
    with pytest.raises(SisgenError, match="must be a safetensors file"):
        read_networks(tmp_path / "x.safetensors")


def test_no_source_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="There is no file or folder"):
        convert(ConvertConfig(source=tmp_path / "gone.pkl", out=tmp_path / "model"))
    with pytest.raises(InputError, match=r"has no config\.json"):
        convert(ConvertConfig(source=tmp_path, out=tmp_path / "model"))


PEAK = """
import re, sys
from pathlib import Path
from sisgen.generators.convert import ConvertConfig, convert
from sisgen.train.checkpoints import load_generator

def peak():
    # Not getrusage: a child begins there with the peak of its parent.
    return 1024 * int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text()).group(1))

# PyTorch imports much on its first use, whatever the size.
tiny = Path(sys.argv[3]).with_name("tiny")
convert(ConvertConfig(source=Path(sys.argv[2]).with_name("tiny.pt"), out=tiny))
load_generator(tiny)
before = peak()
if sys.argv[1] == "convert":
    convert(ConvertConfig(source=Path(sys.argv[2]), out=Path(sys.argv[3])))
else:
    load_generator(sys.argv[3])
print(peak() - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak is read from Linux's /proc")
@pytest.mark.parametrize("kind", ["official", "rosinality", "old rosinality"])
def test_memory_stays_near_the_size_of_the_file(writers: Writers, tmp_path: Path, kind: str) -> None:
    """About 30 million parameters, in files that hold the averaged generator alone: the least room that there can be."""
    widths = {"4": 512, "8": 512, "16": 512, "32": 512, "64": 512, "128": 256, "256": 128}
    generator = writers["noisy_generator"](resolution=256, z_dim=512, w_dim=512, num_mapping_layers=8, channels=widths)
    assert 28e6 < sum(parameter.numel() for parameter in generator.parameters()) < 32e6
    source, out = tmp_path / "network", tmp_path / "model"
    if kind == "official":
        source.write_bytes(writers["dump"]({"G_ema": writers["tree"]("Generator", dict(generator.state_dict()))}))
    else:
        torch.save({"g_ema": writers["rosinality"](generator)}, source, _use_new_zipfile_serialization=kind == "rosinality")
    torch.save({"g_ema": writers["rosinality"](writers["noisy_generator"](z_dim=6))}, tmp_path / "tiny.pt")
    for step, file in (("convert", source), ("load", out / "generator.safetensors")):
        words = [sys.executable, "-c", PEAK, step, str(source), str(out)]
        used = int(subprocess.run(words, capture_output=True, text=True, check=True).stdout)
        print(f"{kind}, {step}: {used / file.stat().st_size:.2f} x the file")
        assert used <= 2.5 * file.stat().st_size
