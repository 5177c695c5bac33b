"""Configuration files of the NVIDIA device plugin in ConfigMaps."""

from collections.abc import Iterator, Mapping

from ..application.plugin_configuration import PluginFile, is_plugin_configuration
from . import yaml_loader

# A configuration has one of these words; other ConfigMaps may hold megabytes, which take long to parse.
_WORDS = ("timeSlicing", "mps", "renameByDefault", "failRequestsGreaterThanOne", "flags")


def of_config_map(data: Mapping[str, object], where: str) -> Iterator[PluginFile]:
    """The device plugin's configurations among the values of a ConfigMap; others, such as scripts, are left out.

    A value that is not valid YAML counts if it names a sharing strategy, because nothing else reports the mistake.
    """
    for key, text in data.items():
        if not isinstance(text, str) or not any(word in text for word in _WORDS):
            continue
        name = f"{where}, key {key}"
        try:
            found = yaml_loader.load(text)
        except ValueError as error:
            if "sharing:" in text and ("timeSlicing:" in text or "mps:" in text):
                yield PluginFile(name, unreadable=str(error))
            continue
        if is_plugin_configuration(found):
            yield PluginFile(name, found)
