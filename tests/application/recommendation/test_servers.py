"""Programs, recognised by image, command, arguments and variables."""

import pytest

from webhook.application.recommendation.servers import is_read, recognise, without_address, works_together


@pytest.mark.parametrize(
    ("image", "words", "variables", "is_known_as"),
    [
        ("registry/app:1", ["python", "train.py"], {}, ("", "", False, False)),
        ("registry/revllmish:1", [], {}, ("", "", False, False)),
        ("registry/ajax-jaxb:1", [], {}, ("", "", False, False)),
        ("vllm/vllm-openai:v1", ["--model=llama"], {}, ("vLLM", "llama", True, False)),
        ("app:1", ["vllm", "serve", "org/llama", "--port", "80"], {}, ("vLLM", "org/llama", True, False)),
        ("app:1", ["sh", "-c", "exec vllm serve llama -tp 4"], {}, ("vLLM", "llama", True, True)),
        ("app:1", ["serve", "--gpu-memory-utilization", "0.3"], {}, ("vLLM", "", True, False)),
        ("app:1", ["python", "-m", "sglang.launch_server", "--model-path", "m"], {}, ("SGLang", "m", True, False)),
        (
            "registry.example/nvidia/tritonserver:24",
            ["tritonserver", "--model-repository=/m"],
            {},
            ("Triton", "", True, False),
        ),
        ("app:1", ["trtllm-serve", "m"], {}, ("TensorRT-LLM", "m", True, False)),
        ("app:1", ["trtllm-serve", "serve", "org/m", "--port=1"], {}, ("TensorRT-LLM", "org/m", True, False)),
        ("app:1", ["trtllm-serve", "--port=1"], {}, ("TensorRT-LLM", "", True, False)),
        ("hf/text-embeddings-inference:1.7", ["--model-id", "org/m"], {}, ("TEI", "org/m", False, False)),
        ("app:1", ["text-embeddings-router", "--model-id=org/m"], {}, ("TEI", "org/m", False, False)),
        ("hf/text-embeddings-inference:1.7", [], {"MODEL_ID": "org/m"}, ("TEI", "org/m", False, False)),
        ("michaelf34/infinity:0.0.7", ["v2", "--model-id", "org/m"], {}, ("Infinity", "org/m", False, False)),
        ("app:1", ["infinity_emb", "v2", "--model-id=org/m"], {}, ("Infinity", "org/m", False, False)),
        ("registry.example/nvidia/tensorrt-llm/release:1", [], {}, ("TensorRT-LLM", "", True, False)),
        ("app:1", ["lmdeploy", "serve", "api_server", "m"], {}, ("LMDeploy", "m", True, False)),
        ("app:1", ["--cache-max-entry-count=0.2"], {}, ("LMDeploy", "", True, False)),
        ("vllm:1", ["vllm", "serve", "$(MODEL)"], {}, ("vLLM", "", True, False)),
        ("vllm:1", ["vllm", "serve", "s3://models/m"], {}, ("vLLM", "s3://models/m", True, False)),
        ("registry.example/huggingface/text-generation-inference:3", [], {"MODEL_ID": "m"}, ("TGI", "m", True, False)),
        ("tensorflow/tensorflow:2", ["python"], {}, ("TensorFlow", "", True, False)),
        ("tensorflow/tensorflow:2", [], {"TF_FORCE_GPU_ALLOW_GROWTH": "true"}, ("TensorFlow", "", False, False)),
        ("app:1", [], {"XLA_PYTHON_CLIENT_MEM_FRACTION": ".5"}, ("JAX", "", True, False)),
        ("app:1", [], {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}, ("JAX", "", False, False)),
        ("app:1", [], {"WORLD_SIZE": "8"}, ("", "", False, True)),
        ("app:1", ["torchrun", "--nproc_per_node=1", "--nnodes", "2"], {}, ("", "", False, True)),
        ("app:1", ["torchrun", "--nnodes=1:4"], {}, ("", "", False, True)),
        ("app:1", ["torchrun", "--nnodes=1:1"], {}, ("", "", False, False)),
        ("app:1", ["torchrun", "--nnodes", "$(NODES)"], {}, ("", "", False, True)),
        ("app:1", ["accelerate", "launch", "--num_machines", "2"], {}, ("", "", False, True)),
        ("app:1", ["accelerate", "launch", "--num_machines", "1"], {}, ("", "", False, False)),
        # Where it meets others; not itself, nor if it says that it is alone.
        ("app:1", ["deepspeed", "--hostfile", "/job/hosts", "train.py"], {}, ("", "", False, True)),
        ("app:1", ["python", "sim.py", "--coordinator_address=sim-0:1234"], {}, ("", "", False, True)),
        ("app:1", ["torchrun", "--rdzv_endpoint=localhost:29400"], {}, ("", "", False, False)),
        ("app:1", ["torchrun", "--nnodes=1", "--rdzv-endpoint", "$(IP):29400"], {}, ("", "", False, False)),
        ("app:1", [], {"MASTER_ADDR": "train-0.train"}, ("", "", False, True)),
        ("app:1", [], {"MASTER_ADDR": "train-0.train", "WORLD_SIZE": "1"}, ("", "", False, False)),
        ("app:1", [], {"MASTER_ADDR": "127.0.0.1"}, ("", "", False, False)),
        ("app:1", ["mpirun", "-np", "2", "train"], {}, ("", "", False, True)),
        ("app:1", ["sh", "-c", "ray start --address=head:6379 --block"], {}, ("", "", False, True)),
        ("app:1", ["ray", "start", "--head"], {}, ("", "", False, False)),
        ("app:1", ["python", "client.py", "--address=head:6379"], {}, ("", "", False, False)),
        ("app:1", [], {"NNODES": "2"}, ("", "", False, True)),
        ("app:1", [], {"TF_CONFIG": '{"cluster": {"worker": ["a:1", "b:1"]}}'}, ("", "", False, True)),
        ("app:1", [], {"NCCL_SOCKET_IFNAME": "eth0"}, ("", "", False, True)),
        ("app:1", ["--np"], {"MASTER_ADDR": ""}, ("", "", False, False)),
        # A share of memory, whatever the program and however it is written.
        ("app:1", ["serve", "--gpu_memory_utilization=0.4"], {}, ("vLLM", "", True, False)),
        ("app:1", ["max", "serve", "--device-memory-utilization", "0.4"], {}, ("", "", True, False)),
        ("app:1", ["serve.py", "engine.gpu_memory_utilization=0.4"], {}, ("", "", True, False)),
        ("app:1", ['--engine={"gpu_memory_utilization": 0.4}'], {}, ("", "", True, False)),
        ("app:1", [], {"FLAGS_fraction_of_gpu_memory_to_use": "0.3"}, ("", "", True, False)),
        ("app:1", ["dask-cuda-worker", "--rmm-pool-size", "0.3"], {}, ("", "", True, False)),
        ("app:1", ["--conf", "spark.rapids.memory.gpu.allocFraction=0.25"], {}, ("", "", True, False)),
        ("app:1", ["--conf", "spark.rapids.memory.pinnedPool.size=2g"], {}, ("", "", False, False)),
        ("app:1", ["--gpu-buffer-mem-bytes=20000000000"], {}, ("", "", True, False)),
        ("kserve/huggingfaceserver:v0.15-gpu", ["--model_id", "m"], {}, ("vLLM", "m", True, False)),
        ("registry.example/llm-d/llm-d:v1", [], {}, ("vLLM", "", True, False)),
        ("rayproject/ray-llm:2", [], {}, ("vLLM", "", True, False)),
        ("alpindale/aphrodite-openai:v1", ["run", "m"], {}, ("vLLM", "", True, False)),
        ("app:1", ["--pinned-memory-pool-byte-size=1"], {}, ("", "", False, False)),
        ("app:1", ["python", "-m", "fastchat.serve.vllm_worker"], {}, ("vLLM", "", True, False)),
        ("app:1", ["--model-repository=/models"], {}, ("Triton", "", True, False)),
        ("app:1", [], {"GPU_MEMORY_UTILIZATION": ""}, ("", "", True, False)),
        ("app:1", ["--cpu-memory-fraction=0.5", "memory_utils.py", "--operation"], {}, ("", "", False, False)),
        # A program's own variables, and those of its clients.
        ("app:1", ["serve"], {"VLLM_USE_V1": "1"}, ("vLLM", "", True, False)),
        ("app:1", ["serve"], {"VLLM_BASE_URL": "http://llm"}, ("", "", False, False)),
        ("app:1", ["--tensor-parallel-size"], {}, ("", "", False, False)),
        ("registry.example/nim/meta/llama:1", [], {}, ("NIM", "", True, False)),
        ("registry.example/denim/app:1", [], {}, ("", "", False, False)),
    ],
)
def test_programs(
    image: str, words: list[str], variables: dict[str, str], is_known_as: tuple[str, str, bool, bool]
) -> None:
    found = recognise(image, words, variables)
    assert (found.name, found.model, bool(found.reserves), bool(found.parallel)) == is_known_as


@pytest.mark.parametrize(
    ("words", "left"),
    [
        (["vllm", "serve", "m", "--port", "80"], ("vllm", "serve", "m")),
        (
            ["sh", "-c", "exec vllm serve m --host=:: --task embed"],
            ("sh", "-c", "exec", "vllm", "serve", "m", "--task", "embed"),
        ),
        (["--served-model-name", "a", "--model", "m", "--port"], ("--model", "m")),
    ],
)
def test_arguments_that_may_differ_between_servers_that_do_the_same(words: list[str], left: tuple[str, ...]) -> None:
    assert without_address(words) == left


@pytest.mark.parametrize(
    ("capabilities", "draws"),
    [("compute,utility", False), ("", False), ("graphics,display", True), ("utility, graphics", True), ("all", True)],
)
def test_programs_that_ask_for_graphics(capabilities: str, *, draws: bool) -> None:
    assert bool(recognise("app:1", [], {"NVIDIA_DRIVER_CAPABILITIES": capabilities}).graphics) is draws


def test_variables_that_are_read() -> None:
    read = ("WORLD_SIZE", "MASTER_ADDR", "VLLM_USE_V1", "FLAGS_fraction_of_gpu_memory_to_use")
    assert all(map(is_read, read))
    assert not any(map(is_read, ("HF_TOKEN", "NIM_API_KEY", "MEMORY", "UTILIZATION", "NCCL_DEBUG")))


def test_kinds_whose_pods_work_together() -> None:
    assert works_together("Deployment", 8) == ""
    assert works_together("Job", 8) == ""
    assert works_together("Job.batch.volcano.sh", 8) == "the 8 pods of a Job.batch.volcano.sh work together"
    assert works_together("PyTorchJob", 1) == ""
    assert works_together("LeaderWorkerSet", 2) == "the 2 pods of a LeaderWorkerSet work together"
