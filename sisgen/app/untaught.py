"""A generator that has learned no labels yet: its samples are shown, and the label tab teaches it.

So a file of another project can be opened as it is: `python app.py --model my.pkl`. It is converted into the user's cache without running
anything in it; drawings change nothing until a model was taught, which then is another one in the menu.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sisgen.app.models import is_whole
from sisgen.errors import InputError
from sisgen.hub.find import FOREIGN
from sisgen.hub.places import cache_folder, find_local, read_summary

if TYPE_CHECKING:
    from sisgen.pipeline import Pipeline

ABOUT = "This generator has not learned labels yet: paint a few of its samples in the label tab"
REVISION = "untaught"


def open_untaught(name: str, device: str | None) -> Pipeline | None:
    """Open a generator without labels.

    Args:
        name: another project's file, or a model of this machine.
        device: "cpu", "cuda", ...; `None` takes CUDA where it works.

    Returns:
        A pipeline that gives plain samples whatever is drawn; `None` where `name` is no such generator.

    Raises:
        SisgenError: the file is refused, or its generator is one of several classes.
    """
    file = Path(name)
    if file.suffix.lower() in FOREIGN and file.is_file():
        folder = _bring_in(file)
    else:
        found = find_local(name)
        content = read_summary(found.path) if found is not None else None
        if found is None or is_whole(content) or not (found.path / "generator.safetensors").is_file():
            return None
        folder = found.path
    return _build(folder, name, device)


def is_untaught(pipe: Pipeline) -> bool:
    """Whether drawings change nothing, since no labels were learned."""
    return pipe.revision == REVISION


def _bring_in(file: Path) -> Path:
    """Convert another project's file into the user's cache, once."""
    from sisgen.generators.convert import ConvertConfig, convert
    from sisgen.io.files import sha256_of

    folder = cache_folder() / "converted" / sha256_of(file)[:16]
    if not (folder / "config.json").is_file():
        convert(ConvertConfig(source=file, out=folder, name=file.stem[:24]))
    return folder


def _build(folder: Path, name: str, device: str | None) -> Pipeline:
    """Put the least parts around a generator that a pipeline takes."""
    from sisgen.devices import pick_device
    from sisgen.engines.models import Defaults, ModelConfig
    from sisgen.engines.rearrange import RearrangeEngine
    from sisgen.generators.stylegan2 import StyleGAN2Config
    from sisgen.io.configs import from_dict, read_json
    from sisgen.nets.reader import Reader, ReaderConfig
    from sisgen.pipeline import Pipeline
    from sisgen.proxy.clusters import FeatureClusters, ProxyConfig
    from sisgen.proxy.mapper import MaskMapper, MaskMapperConfig
    from sisgen.rearrange.rearranger import Rearranger, RearrangerConfig
    from sisgen.shapes import drawing_size
    from sisgen.train.checkpoints import load_generator
    from sisgen.types import LabelSet

    content = read_json(folder / "config.json")
    sizes = from_dict(StyleGAN2Config, content.get("generator", {}), where=f"The generator of '{name}'")
    if sizes.c_dim:
        words = f"python -m sisgen convert {name} --class N --out FOLDER, with N in 0..{sizes.c_dim - 1}"
        raise InputError(f"The generator in '{name}' draws one of {sizes.c_dim} classes, and one must be chosen first: {words}.")
    side = drawing_size(sizes.resolution)
    grid, cut = side // 4, min(8, side // 4)
    proxy = ProxyConfig(resolution=grid, sources=(grid,), channels=sizes.channels[str(grid)], dims=1, num_clusters=1)
    rearranger = RearrangerConfig(
        resolution=cut,
        channels=sizes.channels[str(cut)],
        fine_resolution=grid,
        fine_channels=sizes.channels[str(grid)],
        num_clusters=1,
        proxy_resolution=grid,
        w_dim=sizes.w_dim,
        width=1,
        dim=1,
        tokens_per_cluster=0,
    )
    config = ModelConfig(
        format=1,
        name=str(content.get("name", folder.name)),
        labels=LabelSet(names=("everything",), colors=((128, 128, 128),)),
        generator=sizes,
        proxy=proxy,
        rearranger=rearranger,
        mappers={"mask": MaskMapperConfig(num_labels=1, num_clusters=1, resolution=side, proxy_resolution=grid, width=1)},
        reader=ReaderConfig(num_labels=1, width=1, most=side),
        files=content.get("files", {}),
        description=ABOUT,
        license=str(content.get("license", "unknown")),
        revision=REVISION,
        defaults=Defaults(),
    )

    class UntaughtEngine(RearrangeEngine):
        """Gives plain samples."""

        def synthesize(self, condition: Any, *args: Any, **kwargs: Any) -> Any:
            return super().synthesize(None, *args, **kwargs)

    engine = UntaughtEngine(
        generator=load_generator(folder),
        clusters=FeatureClusters(config.proxy),
        rearranger=Rearranger(config.rearranger),
        mapper=MaskMapper(config.mappers["mask"]),
        reader=Reader(config.reader),
    )
    return Pipeline(config, engine.to(pick_device(device)), source=f"the generator '{name}'", folder=folder)
