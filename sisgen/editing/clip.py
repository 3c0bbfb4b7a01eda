"""CLIP (Radford et al., ICML 2021): pictures and texts as vectors of one space, by `transformers`, which is optional."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

from sisgen.errors import CheckpointError, InputError
from sisgen.io.configs import read_json

# Of the channels of CLIP's pictures in [0, 1]; the same for OpenAI's and LAION's.
MEAN = (0.48145466, 0.4578275, 0.40821073)
DEVIATION = (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Clip:
    """A loaded CLIP, frozen.

    Attributes:
        model: a `transformers.CLIPModel`.
        tokenizer: a `transformers.CLIPTokenizer`.
    """

    model: Any
    tokenizer: Any

    def embed_images(self, images: torch.Tensor) -> torch.Tensor:
        """Embed square pictures [B, 3, H, H] in [-1, 1], with gradients: unit vectors [B, E]."""
        size = self.model.config.vision_config.image_size
        images = F.interpolate(images.float().clamp(-1, 1), (size, size), mode="bicubic", antialias=True)
        mean, deviation = (images.new_tensor(values)[:, None, None] for values in (MEAN, DEVIATION))
        pixels = ((images + 1) / 2 - mean) / deviation
        return F.normalize(self.model.get_image_features(pixel_values=pixels).pooler_output, dim=-1)

    @torch.no_grad()
    def embed_text(self, text: str) -> torch.Tensor:
        """Embed a text: a unit vector [E].

        Raises:
            InputError: the text is empty or has more tokens than CLIP reads.
        """
        check_text(text)
        tokens, most = self.tokenizer(text, verbose=False)["input_ids"], self.model.config.text_config.max_position_embeddings
        if len(tokens) > most:
            raise InputError(f"A text for CLIP may have {most} tokens, about {most * 3 // 4} words, but it has {len(tokens)}; shorten it.")
        given = torch.tensor([tokens], device=self.model.device)  # [1, tokens]
        return F.normalize(self.model.get_text_features(input_ids=given).pooler_output[0], dim=-1)


def check_text(text: str) -> None:
    """Refuse a text that says nothing.

    Raises:
        InputError: it is empty.
    """
    if not text.strip():
        raise InputError("A text for CLIP must say what a picture shows, but it is empty; write something like 'a face with a big smile'.")


def check_transformers() -> None:
    """See whether `transformers` is there, before anything is fetched for it.

    Raises:
        InputError: it is not installed.
    """
    try:
        import transformers  # noqa: F401
    except ImportError:
        raise InputError("Directions of texts need transformers, but it is not installed; pip install 'sisgen[text]'.") from None


def load_clip(folder: Path, device: torch.device) -> Clip:
    """Load a CLIP model from a folder that `find_clip` gave; nothing is fetched, and nothing but safetensors is read.

    Raises:
        InputError: `transformers` is not installed.
        CheckpointError: the folder holds another kind of model, or a damaged one.
    """
    check_transformers()
    from safetensors import SafetensorError
    from transformers import CLIPModel, CLIPTokenizer

    kind = read_json(folder / "config.json").get("model_type")
    if kind != "clip":
        raise CheckpointError(f"'{folder}' must hold a CLIP model, but its config.json says {str(kind)[:60]!r}; name another one.")
    try:
        model, notes = CLIPModel.from_pretrained(
            folder, use_safetensors=True, local_files_only=True, dtype=torch.float32, output_loading_info=True
        )
        tokenizer = CLIPTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, TypeError, KeyError, RuntimeError, SafetensorError) as problem:
        reason = str(problem).strip().split("\n")[0][:120]
        raise CheckpointError(f"The CLIP model in '{folder}' cannot be read ({reason}); get it again.") from None
    if notes["missing_keys"]:
        raise CheckpointError(f"The CLIP model in '{folder}' lacks the tensor '{sorted(notes['missing_keys'])[0]}'; get it again.")
    return Clip(model=model.to(device).eval().requires_grad_(False), tokenizer=tokenizer)
