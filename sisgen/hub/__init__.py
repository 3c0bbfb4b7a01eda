"""From a model's name to its folder, from wherever it lies, and from a folder to the Hugging Face Hub."""

from sisgen.hub.download import Report
from sisgen.hub.find import find_model
from sisgen.hub.places import CONFIG_FILE, DEFAULT_MODEL, ModelFolder, cache_folder, list_models, local_places, shipped_folder

__all__ = [
    "CONFIG_FILE",
    "DEFAULT_MODEL",
    "ModelFolder",
    "Report",
    "cache_folder",
    "find_model",
    "list_models",
    "local_places",
    "shipped_folder",
]
