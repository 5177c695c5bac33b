"""Programs that run on GPUs, recognised by a container's image, command, arguments and variables, none of which is kept."""

import re
from collections.abc import Mapping, Sequence

import msgspec

# By words of the image's name, the command and the arguments. Sources: the projects' own images and entry points.
_PROGRAMS = {
    "vLLM": r"\bvllm\b",
    "SGLang": r"\bsglang\b",
    "Triton": r"\btritonserver\b",
    "TGI": r"\btext-generation-(?:inference|launcher)\b",
    "TensorFlow": r"\btensorflow\b|\btensorflow_model_server\b",
    "JAX": r"\bjax\b",
    "NIM": r"(?:^|/)nim/",
    "TensorRT-LLM": r"\btrtllm-|\btensorrt[-_]llm\b",
    "LMDeploy": r"\blmdeploy\b",
}
_COMPILED = {name: re.compile(pattern, re.IGNORECASE) for name, pattern in _PROGRAMS.items()}
SERVERS = frozenset({"vLLM", "SGLang", "Triton", "TGI", "NIM", "TensorRT-LLM", "LMDeploy"})
"""Programs that serve models, and process the requests of many clients in one batch."""

# How each allocates memory, for people: vllm/config/cache.py gpu_memory_utilization; sglang server_args.py mem_fraction_static;
# docs.jax.dev gpu_memory_allocation; tensorflow.org/guide/gpu; triton docs/user_guide/model_management and its backends;
# text-generation-inference router: --cuda-memory-fraction; docs.nvidia.com/nim configuration of NIM for LLMs; tensorrt_llm
# llmapi KvCacheConfig.free_gpu_memory_fraction; lmdeploy TurbomindEngineConfig.cache_max_entry_count.
_RESERVES = {
    "vLLM": "vLLM reserves a share of the GPU (--gpu-memory-utilization) whatever it needs",
    "SGLang": "SGLang reserves a share of the GPU (--mem-fraction-static) whatever it needs",
    "Triton": "Triton's backends may reserve memory in advance, as TensorFlow's does",
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
    ("--kv_cache_free_gpu_memory_fraction", "TensorRT-LLM"),
    ("--cache-max-entry-count", "LMDeploy"),
)
_GROWS = {"TF_FORCE_GPU_ALLOW_GROWTH": ("TensorFlow", "true"), "XLA_PYTHON_CLIENT_PREALLOCATE": ("JAX", "false")}
_MODEL_OPTIONS = ("--model", "--model-id", "--model-path", "--model-name", "--model_name", "--model-repository")
_MODEL_VARIABLES = ("MODEL_ID", "MODEL_NAME", "HF_MODEL_ID", "MODEL_PATH")
_NO_NAMES = ("/", "./", "../", "~", "file:")
"""How a path begins: two volumes may have other models at one path, so it does not say which model that is."""
_ADDRESS_OPTIONS = frozenset({"--host", "--port", "-p", "--served-model-name"})
"""What may differ between servers that do the same."""
_PARALLEL_OPTIONS = (
    *("--tensor-parallel-size", "-tp", "--tp", "--tp-size", "--pipeline-parallel-size", "-pp", "--data-parallel-size"),
    *("-dp", "--dp", "--dp-size", "--pp-size", "--num_machines", "--num_nodes", "--num-nodes"),
    *("--num-shard", "--nnodes", "--nproc_per_node", "--nproc-per-node", "--num_processes", "--world-size"),
)
_SEVERAL = re.compile(r"(?:\d+:)?0*(?:[2-9]|[1-9]\d+)|\$.*")
"""More than one: a number, torchrun's range (1:4), or a variable whose value is not known."""
_CAPABILITIES = "NVIDIA_DRIVER_CAPABILITIES"
_GRAPHICS = frozenset({"graphics", "display", "all"})
VARIABLES = frozenset({*_GROWS, *_MODEL_VARIABLES, "WORLD_SIZE", "XLA_PYTHON_CLIENT_MEM_FRACTION", _CAPABILITIES})
"""The variables whose values are read."""

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
    """What is known of a container's program.

    Attributes:
        name: empty if it is none of the known ones.
        model: the model that it serves; empty where nothing names it (a path does not).
        arguments: a number for its arguments: those of one model with other ones may serve it for something else (embeddings,
            adapters, prefill), which one process can't do.
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


def recognise(image: str, words: Sequence[str], variables: Mapping[str, str]) -> ServerProgram:
    """Return what is known of a container's program.

    Args:
        image: the image.
        words: command and arguments.
        variables: those of ``VARIABLES`` that have a value.
    """
    written = " ".join((image, *words))
    split = [part for word in words for part in word.split()]  # sh -c "vllm serve …" is one word
    name = next((name for name, pattern in _COMPILED.items() if pattern.search(written)), "")
    if not name:
        name = next((program for option, program in _SETTINGS if _value(split, (option,)) is not None), "")
    if not name:
        of_variables = (program for variable, (program, _) in _GROWS.items() if variable in variables)
        name = "JAX" if "XLA_PYTHON_CLIENT_MEM_FRACTION" in variables else next(of_variables, "")
    grows = any(
        program == name and variables.get(variable, "").lower() == value
        for variable, (program, value) in _GROWS.items()
    )
    return ServerProgram(
        name,
        model=_model(name, split, variables),
        reserves="" if grows else _RESERVES.get(name, ""),
        parallel=_parallel(split, variables),
        graphics=_graphics(variables.get(_CAPABILITIES, "")),
    )


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
    return f"the {pods} pods of a {kind} work together" if kind in _TOGETHER and pods > 1 else ""


def _model(name: str, words: Sequence[str], variables: Mapping[str, str]) -> str:
    found = _named_model(name, words, variables)
    return "" if found.startswith(_NO_NAMES) or "$" in found else found


def _named_model(name: str, words: Sequence[str], variables: Mapping[str, str]) -> str:
    if found := _value(words, _MODEL_OPTIONS):
        return found
    if name == "vLLM" and "serve" in words[:-1] and not (after := words[words.index("serve") + 1]).startswith("-"):
        return after  # vllm serve MODEL
    return next((variables[one] for one in _MODEL_VARIABLES if variables.get(one)), "")


def _graphics(capabilities: str) -> str:
    asks = not _GRAPHICS.isdisjoint(capabilities.replace(" ", "").split(","))
    return f"{_CAPABILITIES}={capabilities} asks for graphics (OpenGL, Vulkan)" if asks else ""


def _parallel(words: Sequence[str], variables: Mapping[str, str]) -> str:
    for option in _PARALLEL_OPTIONS:
        value = _value(words, (option,)) or ""
        if _SEVERAL.fullmatch(value):
            return f"{option} {value}: its GPUs work together"
    size = variables.get("WORLD_SIZE", "")
    if _SEVERAL.fullmatch(size):
        return f"WORLD_SIZE={size}: its GPUs work together"
    return ""


def _value(words: Sequence[str], options: Sequence[str]) -> str | None:
    """The value of the first of these options that is set: ``--model X`` or ``--model=X``."""
    for at, word in enumerate(words):
        option, equals, value = word.partition("=")
        if option in options:
            return value if equals else (words[at + 1] if at + 1 < len(words) else "")
    return None
