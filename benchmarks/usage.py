"""GPU usage of a large cluster, written into a real Prometheus by remote write: blocks and chunks are as scrapes make them.

Source: https://prometheus.io/docs/specs/prw/remote_write_spec/ (protobuf ``WriteRequest``, compressed with snappy).
"""

import struct
import urllib.request
from array import array
from collections.abc import Iterator, Sequence
from random import Random

import msgspec

from testing.gpu_usage import ENCODER, FREE, GR, SM, T4, USED, UTIL, Json, first_pod, pod, template

STEP = 300
DAY, HOUR = 86400, 3600
NAMESPACES = 50
DECODER, RESERVED = "DCGM_FI_DEV_DEC_UTIL", "DCGM_FI_DEV_FB_RESERVED"
BANDWIDTH = "DCGM_FI_PROF_DRAM_ACTIVE"
_A100 = ("NVIDIA A100-SXM4-80GB", 81_920)
_GPUS_OF_A_NODE = 8
_SHARE = 4  # pods on a time-sliced GPU
_PATTERNS = 16  # of each kind of workload; more would not make other queries
_RESTART = 7 * DAY  # the exporter was updated then, so its series have another label from then on
_SERIES_OF_A_REQUEST = 4000
_SAMPLE = struct.Struct("<3sd7s")


class Behaviour(msgspec.Struct, frozen=True):
    """What workloads of a kind do: compute and memory between two values, for so much of each day, and what they request."""

    name: str
    compute: tuple[float, float]
    mebibytes: tuple[int, int]
    of_a_day: float = 1
    model: tuple[str, int] = _A100
    resource: str = "nvidia.com/gpu"
    profile: str = ""
    image: str = "team/app:1"


BEHAVIOURS = (
    Behaviour("train", (0.7, 1.0), (40_000, 70_000)),
    Behaviour("finetune", (0.5, 0.95), (30_000, 60_000), 0.5),
    Behaviour("nightly", (0.8, 1.0), (10_000, 30_000), 0.1),
    Behaviour("embed", (0.02, 0.12), (2_000, 6_000)),
    Behaviour("ocr", (0.02, 0.12), (2_000, 9_000), 0.6),
    Behaviour("rerank", (0.1, 0.35), (8_000, 16_000)),
    Behaviour("llm", (0.1, 0.5), (73_000, 73_001), image="vllm/vllm-openai:v0.10"),
    Behaviour("idle", (0.0, 0.0), (400, 401)),
    Behaviour("slice", (0.2, 0.9), (2_000, 7_000), 0.8, (_A100[0], 9_728), "nvidia.com/mig-1g.10gb", "1g.10gb"),
    Behaviour("notebook", (0.1, 0.9), (2_000, 9_000), 0.1, T4, "nvidia.com/gpu.shared"),
)


class Workload(msgspec.Struct, frozen=True):
    """A Deployment with one pod, by its number."""

    number: int

    @property
    def behaviour(self) -> Behaviour:
        """What it does."""
        return BEHAVIOURS[self.number % len(BEHAVIOURS)]

    @property
    def name(self) -> str:
        """The Deployment's name."""
        return f"{self.behaviour.name}-{self.number:05}"

    @property
    def namespace(self) -> str:
        """Its namespace, which has workloads of every kind."""
        return f"team-{self.number // len(BEHAVIOURS) % NAMESPACES:02}"

    @property
    def device(self) -> int:
        """The number of its GPU among those of its kind; slices have seven on one."""
        rank = self.number // len(BEHAVIOURS)
        if self.behaviour.profile:
            return rank // 7
        return rank // _SHARE if self.behaviour.model is T4 else rank

    @property
    def node(self) -> str:
        """Its node."""
        return f"node-{self.behaviour.name}-{self.device // _GPUS_OF_A_NODE:03}"

    @property
    def pattern(self) -> int:
        """Which of the patterns of its kind; pods that share a GPU have the device's values."""
        return (self.device if self.behaviour.model is T4 else self.number // len(BEHAVIOURS)) % _PATTERNS

    def labels(self, exporter: str) -> dict[str, str]:
        """The labels of its series from one pod of the exporter, where Prometheus does not honour the exporter's labels."""
        behaviour = self.behaviour
        found = {
            "DCGM_FI_DRIVER_VERSION": "570.124.06",
            "Hostname": self.node,
            "UUID": f"GPU-{behaviour.name}-{self.device:05}-5b3c-4d21-9f7e-0a1b2c3d4e5f",
            "container": "nvidia-dcgm-exporter",
            "device": f"nvidia{self.device % _GPUS_OF_A_NODE}",
            "exported_container": "main",
            "exported_namespace": self.namespace,
            "exported_pod": first_pod(self.name),
            "gpu": str(self.device % _GPUS_OF_A_NODE),
            "instance": f"{self.node}:9400",
            "job": "nvidia-dcgm-exporter",
            "modelName": behaviour.model[0],
            "namespace": "gpu-operator",
            "pci_bus_id": f"00000000:{self.device % _GPUS_OF_A_NODE:02X}:00.0",
            "pod": f"nvidia-dcgm-exporter-{exporter}",
            "service": "nvidia-dcgm-exporter",
        }
        if behaviour.profile:
            found |= {"GPU_I_ID": str(self.number // len(BEHAVIOURS) % 7 + 7), "GPU_I_PROFILE": behaviour.profile}
        return found


def metrics(behaviour: Behaviour, seed: int, count: int) -> dict[str, Sequence[float]]:
    """The samples of each metric of one pattern."""
    random = Random(f"{behaviour.name} {seed}")  # noqa: S311 - no secret
    low, high = behaviour.compute
    works = [at * STEP % DAY < behaviour.of_a_day * DAY for at in range(count)]
    sm = array("d", (round(random.uniform(low, high), 6) if busy else 0.0 for busy in works))
    used = array("d", (float(random.randrange(*behaviour.mebibytes)) for _ in works))
    whole = behaviour.model[1]
    found: dict[str, Sequence[float]] = {
        SM: sm,
        GR: array("d", (min(1.0, 1.3 * one) for one in sm)),
        BANDWIDTH: array("d", (0.5 * one for one in sm)),
        USED: used,
        FREE: array("d", (whole - 600 - one for one in used)),
        RESERVED: array("d", [600.0]) * count,
    }
    if not behaviour.profile:
        nothing = array("d", [0.0]) * count
        found |= {
            UTIL: array("d", (float(round(130 * min(one, 0.76))) for one in sm)),
            ENCODER: nothing,
            DECODER: nothing,
        }
    return found


def write(url: str, workloads: Sequence[Workload], begin: int, end: int) -> Iterator[int]:
    """Write samples of so many workloads from one time to another (seconds since 1970, full hours).

    Yields:
        How many samples are written so far, after each day.
    """
    count = (end - begin) // STEP
    patterns = [[metrics(one, seed, count) for seed in range(_PATTERNS)] for one in BEHAVIOURS]
    exporters = [_series(workloads, patterns, exporter) for exporter in ("fz7qk", "x2b9d")]
    written, per_hour = 0, HOUR // STEP
    for first in range(0, count, per_hour):
        series = exporters[first * STEP >= _RESTART]
        ends = [b"\x10" + _varint((begin + at * STEP) * 1000) for at in range(first, first + per_hour)]
        encoded = [
            [
                {name: b"".join(map(_sample, values[first : first + per_hour], ends)) for name, values in one.items()}
                for one in of_kind
            ]
            for of_kind in patterns
        ]
        for at in range(0, len(series), _SERIES_OF_A_REQUEST):
            part = series[at : at + _SERIES_OF_A_REQUEST]
            _post(url, b"".join(_message(1, labels + encoded[kind][which][name]) for labels, kind, which, name in part))
            written += len(part) * per_hour
        if (first + per_hour) * STEP % DAY == 0:
            yield written


def _series(
    workloads: Sequence[Workload], patterns: Sequence[Sequence[dict[str, Sequence[float]]]], exporter: str
) -> list[tuple[bytes, int, int, str]]:
    """The encoded labels of each series, and where its samples are."""
    found = []
    for one in workloads:
        kind = one.number % len(BEHAVIOURS)
        for name in patterns[kind][one.pattern]:
            labels = {"__name__": name, **one.labels(exporter)}
            pairs = (_message(1, key.encode()) + _message(2, labels[key].encode()) for key in sorted(labels))
            found.append((b"".join(_message(1, pair) for pair in pairs), kind, one.pattern, name))
    return found


def _sample(value: float, end: bytes) -> bytes:
    return _SAMPLE.pack(b"\x12\x10\x09", value, end)


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:  # noqa: PLR2004 - seven bits in a byte
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])


def _message(field: int, body: bytes) -> bytes:
    """A field with a length: a string or a message."""
    return bytes([field << 3 | 2]) + _varint(len(body)) + body


def _post(url: str, body: bytes) -> None:
    # One literal is valid snappy: its length, then a tag with a length of four bytes.
    packed = _varint(len(body)) + b"\xfc" + (len(body) - 1).to_bytes(4, "little") + body
    headers = {
        "Content-Type": "application/x-protobuf",
        "Content-Encoding": "snappy",
        "X-Prometheus-Remote-Write-Version": "0.1.0",
    }
    with urllib.request.urlopen(urllib.request.Request(f"{url}/api/v1/write", packed, headers)):  # noqa: S310 - our own
        pass


def objects(workloads: Sequence[Workload], started: str) -> dict[str, list[Json]]:
    """What the API server lists, by path."""
    pods, replicasets, deployments = [], [], []
    for one in workloads:
        name, namespace, owner = one.name, one.namespace, f"{one.name}-7d4b9c6f5d"
        pods.append(
            pod(
                namespace,
                first_pod(name),
                ("ReplicaSet", owner),
                resource=one.behaviour.resource,
                node=one.node,
                started=started,
                image=one.behaviour.image,
            )
        )
        replicasets.append(template(namespace, "ReplicaSet", owner, ("Deployment", name)))
        deployments.append(template(namespace, "Deployment", name))
    nodes = {one.node: _node(one) for one in workloads}
    return {
        "/api/v1/nodes": list(nodes.values()),
        "/api/v1/pods": pods,
        "/apis/apps/v1/replicasets": replicasets,
        "/apis/apps/v1/deployments": deployments,
    }


def _node(workload: Workload) -> Json:
    behaviour = workload.behaviour
    per_gpu = 7 if behaviour.profile else _SHARE if behaviour.model is T4 else 1
    model = T4 if behaviour.model is T4 else _A100
    labels = {
        "nvidia.com/gpu.product": model[0].replace(" ", "-"),
        "nvidia.com/gpu.memory": str(model[1]),
        "nvidia.com/gpu.count": str(_GPUS_OF_A_NODE),
    }
    if behaviour.model is T4:
        labels |= {"nvidia.com/gpu.replicas": str(_SHARE), "nvidia.com/gpu.sharing-strategy": "time-slicing"}
    amount = {behaviour.resource: str(per_gpu * _GPUS_OF_A_NODE)}
    return {
        "metadata": {"name": workload.node, "labels": labels},
        "spec": {},
        "status": {"capacity": amount, "allocatable": amount, "conditions": [{"type": "Ready", "status": "True"}]},
    }
