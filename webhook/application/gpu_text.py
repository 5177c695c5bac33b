"""GPU requests in text: a manifest, a patch, values or an option that a field, an annotation or a script holds as a string."""

import json
import re
from base64 import b64decode
from collections.abc import Iterator

from ..engine.other_gpus import GpuNames
from ..engine.resources import PREFIX, classify
from ..engine.schedulers import HAMI_RESOURCES
from .gpu_fields import counts_gpus, is_number, is_number_in_gpu

BARE = "gpu"
"""The name of a resource that is written as the word alone."""
# A part of a manifest or an option (nvidia.com/gpu: 1, nvidia.com/gpu=1, HCL's "nvidia.com/gpu" = 1), a path of a JSON patch
# (/limits/nvidia.com~1gpu), of Helm or Kustomize (resources.limits.nvidia\.com/gpu), and of Crossplane (limits[nvidia.com/gpu]).
_NAME = re.compile(
    r"""(?<![\w.-])([A-Za-z0-9][A-Za-z0-9.-]{0,252}/[A-Za-z0-9._-]{1,63})\\*["']?"""
    r"""(?:[ \t]{0,9}:[ \t]{0,9}|[ \t]{0,9}=[ \t]{0,9}(?=["']?[1-9]))(["']?[0-9])?""",
    re.ASCII,
)
_POINTER = re.compile(r"/([A-Za-z0-9][A-Za-z0-9.-]{0,252})~1([A-Za-z0-9._-]{1,63})", re.ASCII)
_PARAMETER = re.compile(
    r"""(?:limits|requests)\.["']?([A-Za-z0-9][A-Za-z0-9-]{0,62}(?:\\{1,2}\.[A-Za-z0-9-]{1,63}){1,9})/([A-Za-z0-9._-]{1,63})""",
    re.ASCII,
)
_INDEXED = re.compile(
    r"""(?:limits|requests)\[["']?([A-Za-z0-9][A-Za-z0-9.-]{0,252}/[A-Za-z0-9._-]{1,63})["']?\]""", re.ASCII
)
# --gpus 2, --num-gpus=4, and Slurm's --gpus-per-node=a100:4 and --gres=gpu:2
_OPTION = re.compile(
    r"(?<![\w-])(?:--(?:num[-_])?gpus?(?:[-_](?:count|num|per[-_](?:node|task|socket|worker|replica)))?"
    r"""(?:[ \t]|=)["']?(?:\w{1,30}:)?(?:[1-9]|all\b)|--gres[ =]["']?gpu)"""
)
_LINE = re.compile(
    r"""^([ \t]*)(?:-[ \t]+)?["']?([A-Za-z][\w.-]{0,39})["']?[ \t]*:[ \t]*["']?([^"'#\n]{0,40})""", re.MULTILINE
)
_RAY = re.compile(r"""\bnum_gpus["']?[ \t]*:[ \t]*["']?[0-9.]*[1-9]""", re.ASCII)
_BASE64 = re.compile(r"[A-Za-z0-9+/\s]{60,}(?:=\s*){0,2}")
_GPU_WORDS = ("gpu", "accelerator")


def gpus_in_text(text: str, gpu_names: GpuNames) -> Iterator[str]:
    """Return the GPU resources that a text requests by name, if it is a part of a manifest, a patch, or an option."""
    names: list[str] = []
    if "/" in text:
        # Another vendor's name is that of a resource only if a number follows: labels have such names too.
        names += (name for name, number in _NAME.findall(text) if _is_gpu(name, gpu_names, numbered=bool(number)))
        names += (name for name in _INDEXED.findall(text) if _is_gpu(name, gpu_names, numbered=True))
        if "\\." in text:
            found = (f"{domain.replace(chr(92), '')}/{name}" for domain, name in _PARAMETER.findall(text))
            names += (name for name in found if _is_gpu(name, gpu_names, numbered=True))
    if "~1" in text:
        names += (name for name in map("/".join, _POINTER.findall(text)) if _is_gpu(name, gpu_names, numbered=False))
    yield from dict.fromkeys(names)


def counts_in_text(text: str) -> bool:
    """Whether a text counts GPUs: an option, Ray's ``num_gpus``, or in several lines a field such as ``gpuCount: 2``."""
    lower = text.lower()
    if not any(word in lower for word in _GPU_WORDS):
        return False
    if _OPTION.search(text) or _RAY.search(text):
        return True
    if "\n" not in text:
        return False
    above: list[tuple[int, str]] = []
    for indent, key, value in _LINE.findall(text):
        depth = len(indent)
        while above and above[-1][0] >= depth:
            above.pop()
        if is_number(value.strip()) and (counts_gpus(key) or (above and is_number_in_gpu(above[-1][1], key))):
            return True
        above.append((depth, key))
    return False


def is_gpu_key(name: str, gpu_names: GpuNames) -> bool:
    """Whether a name outside of resources is that of a GPU resource: ``nvidia.com/gpu.product`` is a node label."""
    return _is_gpu(name, gpu_names, numbered=False)


def decoded(text: str) -> str:
    """Return the decoded text if it is base64, otherwise the text itself."""
    if (len(text) % 4 and "\n" not in text) or not _BASE64.fullmatch(text):
        return text
    try:
        return b64decode(text).decode()
    except ValueError:
        return text


def parsed(text: str) -> object:
    """Return the JSON object or list that a text is, if it may describe pods; ``None`` otherwise."""
    if text[:1] not in {"{", "["} or text[:2] == "{{":
        return None
    try:
        found: object = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict | list) else None


def _is_gpu(name: str, gpu_names: GpuNames, *, numbered: bool) -> bool:
    if classify(name) is not None or name in HAMI_RESOURCES:
        return True
    if name.startswith(PREFIX):
        return False
    is_quota = name.startswith(("requests.", "limits."))
    return gpu_names.is_gpu(name) or (numbered and not is_quota and gpu_names.of_another_vendor(name))
