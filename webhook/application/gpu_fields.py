"""Fields that request GPUs without naming a resource: a number of them (``gpuCount: 2``), a model, or that there is to be one."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

# Fields that count GPUs: gpuCount and numGPUs of many, Ray's num-gpus and entrypointNumGpus, vLLM's requestGPU, Run:ai's
# gpuDevices, Flink's external-resource.gpu.amount. It is not gpuMemory, nor maxGPUs, which is a quota's word.
_COUNT = re.compile(
    r"(?:num|number|numberof|n|requested|request|requests|limit|limits|desired|worker|driver|executor|entrypointnum|externalresource"
    r"|nvidia|amd|total)?"
    r"v?gpus?(?:count|nums?|number|quantity|amount|requests?|limits?|devices?|devicesrequest|portion|portionrequest|fraction"
    r"|(?:count)?per(?:node|worker|replica|pod|task|executor|instance|trial))?"
    r"|accelerator(?:count|s?per(?:node|pod))"
)
_MODEL = re.compile(r"(?:v?gpu|accelerator)(?:type|model|product|class|kind|name)|accelerators?|gres|gputypes")
_SWITCH = re.compile(r"(?:use|uses|enable|with|requires?|needs?)?v?gpus?|v?gpus?(?:enabled|required|support)")
_LONGEST = 40  # characters of a key
_MAPS = frozenset({"gpu", "gpus", "vgpu", "accelerator", "accelerators"})  # gpu: {type: a100, count: 4}
_NUMBERS = frozenset({"count", "number", "num", "quantity", "amount", "value", "devices"})
# What a map has of a device besides its number: {type: nvidia-a100, count: 2}, {driver: nvidia, count: 1}.
_NUMBERS_OF_DEVICES = frozenset({"count", "number", "quantity", "amount"})
_DEVICE = ("type", "driver", "vendor", "model", "class", "kind", "accelerator", "product")
_GPU_WORD = re.compile(
    r"(?:^|[-_./ ])(?:v?gpus?|nvidia|tesla|geforce|rtx|[abhlptv][0-9]{1,4}(?:s|x)?)(?:$|[-_./ ])", re.IGNORECASE
)
# Of nodes, not of pods.
_OF_NODES = frozenset({"guestAccelerator", "guestAccelerators", "resourceLimits"})
_NUMBER = re.compile(r"[0-9.]{0,9}[1-9][0-9.]{0,9}[kM]?", re.ASCII)
_MODEL_TEXT = re.compile(r"[A-Za-z0-9$({][\w .:/+${}()-]{0,79}", re.ASCII)
_NONE = frozenset({"none", "null", "no", "false", "off", "cpu", "0", "auto", "disabled"})


def counts_gpus(key: str) -> bool:
    """Whether a field's name means a number of GPUs, such as ``gpuCount``."""
    return _is(_COUNT, key)


def is_number(amount: object) -> bool:
    """Whether a value is a number above 0, or text that a template engine has yet to fill in."""
    if isinstance(amount, str):
        return _NUMBER.fullmatch(amount) is not None or "{{" in amount or amount.startswith(("$", "%"))
    return isinstance(amount, int | float) and not isinstance(amount, bool) and amount > 0


def is_number_in_gpu(above: object, key: object) -> bool:
    """Whether a field is the number of GPUs in a map of that name: ``count`` in ``gpu``."""
    return above in _MAPS and key in _NUMBERS


def gpu_fields(value: Mapping[Any, Any], step: object, above: object) -> Iterator[str]:
    """Return the fields of a map that request GPUs.

    ``step`` is its key, and ``above`` the key of what it is in; for a list's item, that of the list.
    """
    if step in _OF_NODES or above in _OF_NODES:
        return
    is_device = any(isinstance(value.get(key), str) and _GPU_WORD.search(value[key]) for key in _DEVICE)
    for key, amount in value.items():
        if isinstance(key, str) and (
            ((step in _MAPS or _has_word(key.lower())) and _requests(key, amount, step))
            or (is_device and key in _NUMBERS_OF_DEVICES and is_number(amount))
        ):
            yield key


def _requests(key: str, amount: Any, step: object) -> bool:
    if isinstance(amount, bool):
        return amount and (_is(_SWITCH, key) or (step in _MAPS and key == "enabled"))
    if is_number_in_gpu(step, key) and is_number(amount):
        return True
    if isinstance(amount, str | int | float):
        is_model = isinstance(amount, str) and _MODEL_TEXT.fullmatch(amount) and amount.lower() not in _NONE
        if key == "gres":  # Slurm's, which are not GPUs alone
            return bool(is_model and "gpu" in str(amount))
        return (counts_gpus(key) and (amount == "all" or is_number(amount))) or bool(is_model and _is(_MODEL, key))
    if isinstance(amount, Mapping):
        # Run:ai's gpuDevices: {value: 1}; SkyPilot's accelerators: {A100: 4}
        named = key in _MAPS and key.startswith("accelerator")
        return (counts_gpus(key) and is_number(amount.get("value")) and key not in _MAPS) or (
            named and any(map(is_number, amount.values()))
        )
    return False


def _is(pattern: re.Pattern[str], key: str) -> bool:
    if len(key) > _LONGEST:
        return False
    lower = key.lower()
    return _has_word(lower) and bool(pattern.fullmatch(re.sub(r"[._-]", "", lower)))


def _has_word(lower: str) -> bool:
    return "gpu" in lower or "accelerator" in lower or lower == "gres"
