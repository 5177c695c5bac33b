"""Programs that run on GPUs, recognised by a container's image, command, arguments and variables, none of which is kept."""

import re
from collections.abc import Mapping, Sequence

import msgspec

# By words of the image's name, the command and the arguments. Sources: the projects' own images and entry points.
_PROGRAMS = {
    "vLLM": "vllm|huggingfaceserver|aphrodite|llm-d|ray-llm",  # the others run vLLM, or are forks of it
    "SGLang": "sglang",
    "Triton": "tritonserver",
    "TGI": "text-generation-(?:inference|launcher)",
    "TEI": "text-embeddings-(?:inference|router)",
    "Infinity": "michaelf34/infinity|infinity[-_]emb",
    "TensorFlow": "tensorflow",
    "JAX": "jax",
    "NIM": "(?<![^/])nim/[^/]+",
    "TensorRT-LLM": "trtllm-[a-z]+|tensorrt[-_]llm",
    "LMDeploy": "lmdeploy",
}
_COMPILED = {
    name: re.compile(f"(?<![a-z0-9])(?:{pattern})(?![a-z0-9])", re.IGNORECASE) for name, pattern in _PROGRAMS.items()
}
SERVERS = frozenset({"vLLM", "SGLang", "Triton", "TGI", "TEI", "Infinity", "NIM", "TensorRT-LLM", "LMDeploy"})
"""Programs that serve models, and process the requests of many clients in one batch."""

# How each allocates memory, for people: vllm/config/cache.py gpu_memory_utilization; sglang server_args.py mem_fraction_static;
# docs.jax.dev gpu_memory_allocation; tensorflow.org/guide/gpu; triton docs/user_guide/model_management and its backends;
# text-generation-inference router: --cuda-memory-fraction; docs.nvidia.com/nim configuration of NIM for LLMs; tensorrt_llm
# llmapi KvCacheConfig.free_gpu_memory_fraction; lmdeploy TurbomindEngineConfig.cache_max_entry_count.
_RESERVES = {
    "vLLM": "vLLM reserves a share of the GPU (--gpu-memory-utilization) whatever it needs",
    "SGLang": "SGLang reserves a share of the GPU (--mem-fraction-static) whatever it needs",
    "Triton": "Triton's backends may preallocate memory, as TensorFlow's does",
    "TGI": "text-generation-inference reserves a share of the GPU (--cuda-memory-fraction) whatever it needs",
    "TensorFlow": "TensorFlow reserves nearly all memory unless TF_FORCE_GPU_ALLOW_GROWTH=true",
    "JAX": "JAX reserves a share of the memory (XLA_PYTHON_CLIENT_MEM_FRACTION, else 75 %) unless "
    "XLA_PYTHON_CLIENT_PREALLOCATE=false",
    "NIM": "NIM reserves a share of the GPU for its cache (NIM_KVCACHE_PERCENT) whatever it needs",
    "TensorRT-LLM": "TensorRT-LLM reserves a share of the free memory (--kv_cache_free_gpu_memory_fraction) whatever it needs",
    "LMDeploy": "LMDeploy reserves a share of the free memory (--cache-max-entry-count) whatever it needs",
}
_SETTINGS = (
    ("--gpu-memory-utilization", "vLLM"),
    ("--mem-fraction-static", "SGLang"),
    ("--cuda-memory-fraction", "TGI"),
    ("--kv-cache-free-gpu-memory-fraction", "TensorRT-LLM"),
    ("--cache-max-entry-count", "LMDeploy"),
    ("--model-repository", "Triton"),
)
_PREFIXES = (
    *(("VLLM_", "vLLM"), ("SGLANG_", "SGLang"), ("NIM_", "NIM")),
    *(("TRTLLM_", "TensorRT-LLM"), ("LMDEPLOY_", "LMDeploy")),
)
"""Prefixes of the environment variables that configure a server, and the server. Variables that name an address or a key
configure its clients instead."""
_OF_CLIENTS = frozenset({"URL", "HOST", "PORT", "ENDPOINT", "ADDRESS", "ADDR", "KEY", "TOKEN", "SERVER", "SERVICE"})
_MEMORY_WORDS = frozenset({"mem", "memory", "rmm"})
_RESERVE_WORDS = frozenset(
    {
        *("frac", "fraction", "utilization", "utilisation", "percent", "percentage", "ratio"),
        *("pool", "preallocate", "reserve", "buffer"),
    }
)
_OTHER_MEMORY = frozenset({"cpu", "host", "system", "swap", "shared", "pin", "pinned"})
_CAPITAL = re.compile(r"(?<=[a-z])(?=[A-Z])")  # between the words of allocFraction
_WORDS = re.compile(r"[A-Za-z0-9_.-]+")
_GROWS = {"TF_FORCE_GPU_ALLOW_GROWTH": ("TensorFlow", "true"), "XLA_PYTHON_CLIENT_PREALLOCATE": ("JAX", "false")}
_MODEL_OPTIONS = ("--model", "--model-id", "--model-path", "--model-name", "--model-repository")
_MODEL_VARIABLES = ("MODEL_ID", "MODEL_NAME", "HF_MODEL_ID", "MODEL_PATH")
_BEFORE_MODEL = {"vLLM": ("serve",), "TensorRT-LLM": ("trtllm-serve", "serve"), "LMDeploy": ("api_server",)}
"""Words after which the model may follow: ``vllm serve MODEL``, ``trtllm-serve [serve] MODEL``, ``lmdeploy serve api_server
MODEL``."""
_NO_NAMES = ("/", "./", "../", "~", "file:")
"""Prefixes of paths. A path does not identify a model, because two volumes may have different models at the same path."""
_ADDRESS_OPTIONS = frozenset({"--host", "--port", "-p", "--served-model-name"})
"""What may differ between servers that do the same."""
_SIZES = frozenset(
    {
        *("tensor-parallel-size", "tp", "tp-size", "pipeline-parallel-size", "pp", "pp-size", "model-parallel-size"),
        *("data-parallel-size", "dp", "dp-size", "num-shard", "nnodes", "num-nodes", "num-machines", "nproc-per-node"),
        *("num-processes", "world-size", "np"),
    }
)
"""How many GPUs or processes work together: options and variables, which are written in the same way."""
_MEETINGS = frozenset(
    {
        *("hostfile", "machinefile", "master-addr", "main-process-ip", "rdzv-endpoint", "dist-init-addr"),
        *("coordinator-address", "jax-coordinator-address", "tf-config", "nccl-comm-id", "paddle-trainer-endpoints"),
        *("nccl-socket-ifname", "nccl-ib-hca"),
    }
)
"""Where or over which network a process meets those of other pods."""
_ALONE = ("world-size", "nnodes", "num-nodes", "num-machines")
_ITSELF = ("localhost", "127.", "0.0.0.0", "::1", "[::1]")  # noqa: S104 - values of options
_SEVERAL = re.compile(r"(?:\d+:)?0*(?:[2-9]|[1-9]\d+)|\$.*")
"""More than one: a number, torchrun's range (1:4), or a variable whose value is not known."""
_CAPABILITIES = "NVIDIA_DRIVER_CAPABILITIES"
_GRAPHICS = frozenset({"graphics", "display", "all"})
_VARIABLES = frozenset({*_GROWS, *_MODEL_VARIABLES, "XLA_PYTHON_CLIENT_MEM_FRACTION", _CAPABILITIES})

# Kinds whose pods work on one job together: NCCL permits no two ranks on one GPU, nor MIG slices of one.
# Sharing is not recommended either for kinds whose pods may or may not work together.
_TOGETHER = frozenset(
    {
        *(
            "PyTorchJob",
            "TFJob",
            "MPIJob",
            "XGBoostJob",
            "PaddleJob",
            "JAXJob",
            "TrainJob",
            "LeaderWorkerSet",
            "JobSet",
        ),
        *("RayCluster", "RayJob", "RayService", "Job.batch.volcano.sh"),
    }
)


class ServerProgram(msgspec.Struct, frozen=True, omit_defaults=True):
    """The known facts about a container's program.

    Attributes:
        name: the program; empty if it is not a known one.
        model: the model that it serves; empty if nothing names it (a path does not).
        arguments: a number that identifies its arguments. Containers that serve one model with different arguments may
            serve it for different purposes (embeddings, adapters, prefill), which one process can't do.
        reserves: why the memory that it holds does not show how much it needs; empty if there is no sign of it.
        parallel: why it uses several GPUs together; empty if there is no sign of it.
        graphics: why it may use graphics (OpenGL, Vulkan); empty if there is no sign of it.
    """

    name: str = ""
    model: str = ""
    arguments: int = 0
    reserves: str = ""
    parallel: str = ""
    graphics: str = ""


def is_read(variable: str) -> bool:
    """Return whether ``recognise`` reads a variable."""
    is_parallel = _plain(variable) in _SIZES | _MEETINGS
    return variable in _VARIABLES or is_parallel or bool(_of_program(variable)) or _reserves(variable)


def recognise(image: str, words: Sequence[str], variables: Mapping[str, str]) -> ServerProgram:
    """Return what is known about a container's program.

    Args:
        image: the image.
        words: command and arguments.
        variables: those that ``is_read``; empty if the value is not known.
    """
    written = " ".join((image, *words))
    split = [part for word in words for part in word.split()]  # sh -c "vllm serve …" is one word
    name = next((name for name, pattern in _COMPILED.items() if pattern.search(written)), "")
    if not name:
        name = next((program for option, program in _SETTINGS if _value(split, (option,)) is not None), "")
    if not name:
        of_variables = (program for variable, (program, _) in _GROWS.items() if variable in variables)
        name = "JAX" if "XLA_PYTHON_CLIENT_MEM_FRACTION" in variables else next(of_variables, "")
    if not name:
        name = next(filter(None, map(_of_program, variables)), "")
    grows = any(
        program == name and variables.get(variable, "").lower() == value
        for variable, (program, value) in _GROWS.items()
    )
    return ServerProgram(
        name,
        model=_model(name, split, variables),
        reserves="" if grows else _RESERVES.get(name) or _reserved(words, variables),
        parallel=_parallel(split, variables),
        graphics=_graphics(variables.get(_CAPABILITIES, "")),
    )


def _of_program(variable: str) -> str:
    """The program that a variable configures; empty if it is of none that is known, or of its clients."""
    if not _OF_CLIENTS.isdisjoint(variable.split("_")):
        return ""
    return next((name for prefix, name in _PREFIXES if variable.startswith(prefix)), "")


def _reserves(name: str) -> bool:
    """Whether an option or variable sets what is reserved of a GPU's memory, whatever program it is of."""
    parts = frozenset(re.split(r"[-_.]", _CAPITAL.sub("-", name).lower()))
    return not (
        _MEMORY_WORDS.isdisjoint(parts) or _RESERVE_WORDS.isdisjoint(parts) or not _OTHER_MEMORY.isdisjoint(parts)
    )


def _reserved(words: Sequence[str], variables: Mapping[str, str]) -> str:
    """The reason why a process may preallocate memory, for any program; empty if there is none."""
    names = (*variables, *(name for word in words for name in _WORDS.findall(word)))
    setting = next(filter(_reserves, names), "")
    return f"{setting} sets how much of the GPU's memory is reserved, whatever is needed" if setting else ""


def without_address(words: Sequence[str]) -> tuple[str, ...]:
    """Return command and arguments without what may differ between servers that do the same."""
    found: list[str] = []
    split = iter([part for word in words for part in word.split()])
    for word in split:
        option, equals, _ = word.partition("=")
        if option not in _ADDRESS_OPTIONS:
            found.append(word)
        elif not equals:
            next(split, None)
    return tuple(found)


def works_together(kind: str, pods: int) -> str:
    """Return why the pods of a kind work on one job together; empty if there is no sign of it."""
    article = "an" if kind.startswith("MPI") else "a"
    return f"the {pods} pods of {article} {kind} work together" if kind in _TOGETHER and pods > 1 else ""


def _model(name: str, words: Sequence[str], variables: Mapping[str, str]) -> str:
    found = _named_model(name, words, variables)
    return "" if found.startswith(_NO_NAMES) or "$" in found else found


def _named_model(name: str, words: Sequence[str], variables: Mapping[str, str]) -> str:
    if found := _value(words, _MODEL_OPTIONS):
        return found
    for word in reversed(_BEFORE_MODEL.get(name, ())):
        if word in words[:-1]:
            after = words[words.index(word) + 1]
            return "" if after.startswith("-") else after
    return next((variables[one] for one in _MODEL_VARIABLES if variables.get(one)), "")


def _graphics(capabilities: str) -> str:
    asks = not _GRAPHICS.isdisjoint(capabilities.replace(" ", "").split(","))
    return f"{_CAPABILITIES}={capabilities} requests graphics (OpenGL, Vulkan)" if asks else ""


def _parallel(words: Sequence[str], variables: Mapping[str, str]) -> str:
    found: dict[str, tuple[str, str]] = {}  # by plain name: as it is written, and the value
    for word, after in zip(words, (*words[1:], ""), strict=False):
        option, equals, value = word.partition("=")
        if option.startswith("-"):
            found.setdefault(_plain(option), (option, value if equals else after))
    for variable, value in variables.items():
        found.setdefault(_plain(variable), (variable, value))
    for name, (written, value) in found.items():
        if name in _SIZES and _SEVERAL.fullmatch(value):
            return f"{written} {value}: its GPUs work together"
    if any(found.get(name, ("", ""))[1] == "1" for name in _ALONE):
        return ""
    meetings = _MEETINGS | ({"address"} if {"ray", "start"} <= {*words} else frozenset())
    for name, (written, value) in found.items():
        if name in meetings and value and not value.startswith(_ITSELF):
            return f"{written} is set: it works with other pods"
    return ""


def _plain(name: str) -> str:
    return name.lstrip("-").replace("_", "-").lower()


def _value(words: Sequence[str], options: Sequence[str]) -> str | None:
    """The value of the first of these options that is set: ``--model X`` or ``--model=X``; ``_`` may stand for ``-``."""
    for at, word in enumerate(words):
        option, equals, value = word.partition("=")
        if option.replace("_", "-") in options:
            return value if equals else (words[at + 1] if at + 1 < len(words) else "")
    return None
