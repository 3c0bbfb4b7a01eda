"""Directions of texts with a real CLIP of 2 layers and random weights, loaded from its folder as any other."""

import sys

import pytest
import torch
from safetensors.torch import load_file, save_file

from sisgen.editing.clip import Clip, load_clip
from sisgen.editing.text import NEUTRAL, name_of, text_direction
from sisgen.editing.unsupervised import draw_w
from sisgen.errors import CheckpointError, InputError, ModelNotFoundError
from sisgen.hub.clip import CLIP_FILES, find_clip

CPU = torch.device("cpu")
TEXT = "a face with a big smile"


@pytest.fixture(scope="module")
def clip(tiny_clip) -> Clip:
    return load_clip(find_clip(str(tiny_clip)), CPU)


def test_pictures_and_texts_become_unit_vectors(clip):
    images = (torch.rand(2, 3, 48, 48, generator=torch.Generator().manual_seed(0)) * 2 - 1).requires_grad_()
    found = clip.embed_images(images)
    assert found.shape == (2, 16)
    assert found.norm(dim=1).tolist() == pytest.approx([1.0, 1.0])
    (slope,) = torch.autograd.grad(found[0, 0], images)
    assert slope[0].abs().sum() > 0 and slope[1].abs().sum() == 0
    assert float(clip.embed_text(TEXT).norm()) == pytest.approx(1.0)
    assert torch.equal(clip.embed_text(TEXT), clip.embed_text("  A face   with a BIG smile")), "CLIP reads lower case"
    assert not torch.allclose(clip.embed_text(TEXT), clip.embed_text(NEUTRAL))


def test_pictures_are_normalised_as_clip_wants_them(clip):
    """The picture of CLIP's own mean colours is all zeros inside, so that only biases speak."""
    mean = torch.tensor([0.48145466, 0.4578275, 0.40821073])[None, :, None, None].expand(1, 3, 8, 8)
    with torch.no_grad():
        zeros = clip.model.get_image_features(pixel_values=torch.zeros(1, 3, 32, 32)).pooler_output
    assert torch.allclose(clip.embed_images(mean * 2 - 1), torch.nn.functional.normalize(zeros, dim=-1), atol=1e-4)


def test_a_direction_follows_its_text(tiny_generator, clip):
    told = []
    found = text_direction(tiny_generator, clip, TEXT, steps=20, report=lambda *at: told.append(at))
    again = text_direction(tiny_generator, clip, TEXT, steps=20)
    other = text_direction(tiny_generator, clip, TEXT, steps=1, seed=1)
    assert found.alignment > found.start + 0.02, "steps help on samples that they never saw"
    assert found.direction.name == "a-face-with-a-big-smile" and found.direction.vector.shape == (8,)
    assert torch.equal(found.direction.vector, again.direction.vector) and found.alignment == again.alignment
    assert not torch.allclose(found.direction.vector, other.direction.vector)
    assert told[0] == (1, 20) and told[-1] == (20, 20)


def test_a_step_is_one_standard_deviation(tiny_generator, clip):
    vector = text_direction(tiny_generator, clip, TEXT, steps=1).direction.vector
    inverse = torch.linalg.pinv(torch.cov(draw_w(tiny_generator).t()), rtol=1e-4, hermitian=True)
    assert float(vector @ inverse @ vector) == pytest.approx(1.0, abs=0.01)


def test_texts_that_say_nothing_or_too_much_are_refused(tiny_generator, clip):
    with pytest.raises(InputError, match="it is empty"):
        clip.embed_text(" \n")
    with pytest.raises(InputError, match="may have 77 tokens, about 57 words, but it has 102"):
        clip.embed_text("a " * 100)
    with pytest.raises(InputError, match="must differ"):
        text_direction(tiny_generator, clip, "A  face")


def test_names_of_directions():
    assert name_of("A big smile!") == "a-big-smile"
    assert name_of("x" * 47 + " y") == "x" * 47
    assert name_of("улыбка") == "text"


def test_without_transformers_one_sentence_says_so(tiny_pipeline, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(InputError, match=r"need transformers, but it is not installed; pip install 'sisgen\[text\]'"):
        tiny_pipeline.text_direction(TEXT)
    with pytest.raises(InputError, match="it is empty"):
        tiny_pipeline.text_direction("")


def test_a_folder_or_name_that_is_no_clip_is_refused(tmp_path, tiny_model):
    with pytest.raises(ModelNotFoundError, match=r"a folder or user/model on the Hub, but 'no such' is neither"):
        find_clip("no such")
    with pytest.raises(ModelNotFoundError, match=r"lacks config\.json"):
        find_clip(str(tmp_path))
    for name in CLIP_FILES[:2]:
        (tmp_path / name).write_text('{"model_type": "bert"}')
    with pytest.raises(ModelNotFoundError, match=r"lacks model\.safetensors"):
        find_clip(str(tmp_path))  # pickles in its place count for nothing


def test_a_damaged_clip_is_refused(tmp_path, tiny_clip):
    for name in CLIP_FILES:
        (tmp_path / name).write_bytes((tiny_clip / name).read_bytes())
    weights = load_file(tmp_path / "model.safetensors")
    lost = weights.pop("visual_projection.weight")
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"lacks the tensor 'visual_projection.weight'"):
        load_clip(tmp_path, CPU)
    save_file({**weights, "visual_projection.weight": lost[:3]}, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_clip(tmp_path, CPU)
    (tmp_path / "model.safetensors").write_bytes(b"\x80\x04no weights")
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_clip(tmp_path, CPU)
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(CheckpointError, match="says 'bert'"):
        load_clip(tmp_path, CPU)
