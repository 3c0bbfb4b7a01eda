"""One class of a conditional generator: the same numbers without a label."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from sisgen.errors import InputError
from sisgen.generators.classes import keep_class, keep_class_of_discriminator
from sisgen.generators.convert import ConvertConfig, convert
from sisgen.generators.discriminator import Discriminator
from sisgen.io.configs import read_json
from sisgen.train.checkpoints import load_discriminator, load_generator

Writers = dict[str, Callable[..., Any]]


def one_hot(number: int, batch: int) -> torch.Tensor:
    return torch.eye(3)[number].expand(batch, -1)


@pytest.mark.parametrize("number", [0, 2])
def test_a_class_becomes_the_only_one_exactly(writers: Writers, number: int) -> None:
    generator = writers["noisy_generator"](c_dim=3)
    before = {name: tensor.clone() for name, tensor in generator.state_dict().items()}
    single = keep_class(generator, number)
    assert single.config.c_dim == 0
    z = torch.randn(64, 5)
    ws, wanted = single.map(z), generator.map(z, one_hot(number, 64))
    assert float((ws - wanted).abs().max()) <= 1e-5
    assert float((single(ws[:2]) - generator(wanted[:2])).abs().max()) <= 1e-5
    assert all(torch.equal(tensor, before[name]) for name, tensor in generator.state_dict().items())


def test_truncation_pulls_towards_the_mean_of_the_class(writers: Writers) -> None:
    generator = writers["noisy_generator"](c_dim=3)
    mean = generator.map(torch.randn(20_000, 5), one_hot(1, 20_000)).mean(dim=0)
    ws = keep_class(generator, 1).map(torch.randn(1, 5), psi=0.0)[0]
    assert float((ws - mean).abs().max()) < 0.05 * float(mean.abs().max())


def test_the_discriminator_of_a_class_gives_the_same_logits() -> None:
    torch.manual_seed(0)
    discriminator = Discriminator(16, {"4": 6, "8": 5, "16": 4}, c_dim=3).eval()
    single, images = keep_class_of_discriminator(discriminator, 2), torch.randn(4, 3, 16, 16)
    with torch.no_grad():
        assert float((single(images) - discriminator(images, one_hot(2, 4))).abs().max()) <= 1e-5
    assert "mapping.embed.weight" in discriminator.state_dict() and "mapping.embed.weight" not in single.state_dict()


def test_a_file_and_a_folder_are_converted_to_one_class(writers: Writers, tmp_path: Path) -> None:
    generator = writers["noisy_generator"](c_dim=3)
    module = writers["official_discriminator"](Discriminator(16, {"4": 7, "8": 4, "16": 3}, c_dim=3))
    (tmp_path / "c.pkl").write_bytes(writers["official"](dict(generator.state_dict()), discriminator=module))
    convert(ConvertConfig(source=tmp_path / "c.pkl", out=tmp_path / "all", precision="fp32", license="MIT"))
    z = torch.randn(4, 5)
    for source in (tmp_path / "c.pkl", tmp_path / "all"):
        out = tmp_path / f"one-{source.stem}"
        found = convert(ConvertConfig(source=source, out=out, precision="fp32", class_number=1))
        made = load_generator(out)
        assert found.generator.c_dim == made.config.c_dim == 0 and "Class 1 was made the only one" in found.notes[-1]
        assert float((made.map(z) - generator.map(z, one_hot(1, 4))).abs().max()) <= 1e-5
        assert load_discriminator(out, made.config)(torch.randn(2, 3, 16, 16)).shape == (2,)
    assert read_json(tmp_path / "one-all" / "config.json")["license"] == "MIT"
    with pytest.raises(InputError, match="holds another model"):  # another class of the same file is another model
        convert(ConvertConfig(source=tmp_path / "c.pkl", out=tmp_path / "one-c", class_number=2))


@pytest.mark.parametrize(("c_dim", "number", "words"), [(0, 1, "has no classes"), (3, 3, r"has the classes 0\.\.2, but class 3")])
def test_a_class_that_is_not_there_is_a_sentence(writers: Writers, tmp_path: Path, c_dim: int, number: int, words: str) -> None:
    (tmp_path / "c.pkl").write_bytes(writers["official"](dict(writers["noisy_generator"](c_dim=c_dim).state_dict())))
    with pytest.raises(InputError, match=words):
        convert(ConvertConfig(source=tmp_path / "c.pkl", out=tmp_path / "model", class_number=number))
    assert not (tmp_path / "model").exists()
