"""Pods as large as the API server takes, made to be slow: the time that they take grows with their size and no faster.

Each of these took minutes where every value was held against every other. The bound is generous, for busy machines.
"""

import time
from collections.abc import Callable

import pytest

from tests.builders import (
    GKE_PARTITION,
    GPU,
    GPU_SLICES,
    MEMORY,
    PRODUCT,
    RENAMED,
    SHARED,
    SINGLE,
    STRATEGY,
    Json,
    a_pod,
    a_policy,
    affinity,
    gpu,
    view,
)
from webhook.engine.decision import decide
from webhook.engine.patch import patch
from webhook.engine.policy import Policy
from webhook.engine.spelling import DevicePlugin

# Their time is bounded, and coverage would double it.
pytestmark = pytest.mark.no_cover

MANY = 10_000
SECONDS = 10.0
POLICY = a_policy("shared", "mig-1g.5gb", env={"A": "1"}, node_selector={"pool": "gpu"})


def profile(number: int) -> str:
    return f"{1 + number % 9}g.{1 + number // 9}gb"


def containers(resource: Callable[[int], str]) -> list[Json]:
    return [gpu(1, resource(number), name=f"c{number}") for number in range(MANY)]


PRODUCTS = [f"A{number}-SHARED" for number in range(MANY)]
SLICES = [f"A-MIG-{profile(number)}" for number in range(MANY)]

HOSTILE: dict[str, Callable[[], Json]] = {
    "a term for each product": lambda: a_pod(
        affinity=affinity(
            *([(PRODUCT, "In", name), (PRODUCT, "NotIn", name)] for name in PRODUCTS), [(PRODUCT, "In", "B-SHARED")]
        )
    ),
    "a term for each product and strategy": lambda: a_pod(
        affinity=affinity(*([(PRODUCT, "In", name), (STRATEGY, "In", "mps")] for name in PRODUCTS))
    ),
    "a list of all products": lambda: a_pod(
        affinity=affinity([(PRODUCT, "In", *PRODUCTS), (PRODUCT, "NotIn", *PRODUCTS[1:])])
    ),
    "products times partitions": lambda: a_pod(
        gpu(1, SHARED),
        affinity=affinity(
            [(PRODUCT, "In", *SLICES), (GKE_PARTITION, "In", *(profile(number) for number in range(MANY)))]
        ),
    ),
    "plain containers": lambda: a_pod(*containers(lambda _: GPU)),
    "plain and explicit containers": lambda: a_pod(*containers(lambda number: SHARED if number % 2 else GPU)),
    "a container for each profile": lambda: a_pod(*containers(lambda number: f"nvidia.com/mig-{profile(number)}")),
    "containers times products": lambda: a_pod(
        *containers(lambda _: GPU), affinity=affinity([(PRODUCT, "In", *PRODUCTS)])
    ),
    "profiles times labels": lambda: a_pod(
        *containers(lambda number: f"nvidia.com/mig-{profile(number)}"),
        affinity=affinity(
            *([(f"nvidia.com/mig-{profile(number)}.sharing-strategy", "Exists")] for number in range(MANY))
        ),
    ),
    "misspelt names": lambda: a_pod(
        gpu(), gpu(1, name="x", resources={"limits": {f"nvidia.com/mig1{n}": 1 for n in range(MANY)}})
    ),
    "init containers": lambda: a_pod(gpu(), initContainers=containers(lambda _: GPU)),
    "tolerations": lambda: a_pod(tolerations=[{"key": f"k{number}"} for number in range(MANY)]),
}


@pytest.mark.parametrize(
    "policy", [POLICY, a_policy(permits_any=True, env={"A": "1"})], ids=["of forms", "of any form"]
)
@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.usefixtures("own_garbage")
def test_a_hostile_pod_is_decided_in_time(name: str, policy: Policy) -> None:
    pod = view(HOSTILE[name]())
    started = time.process_time()

    decision = decide(pod, policy, DevicePlugin())
    patch(pod, decision.edits)

    assert decision.gpu_containers
    assert time.process_time() - started < SECONDS


@pytest.mark.usefixtures("own_garbage")
def test_terms_that_select_slices_are_not_held_against_each_documented_profile() -> None:
    """Under MIG strategy single, where each of the terms leaves out all slices of its size by their memory.

    Under mixed nobody asks which slices they are. It takes 4 times as long to ask, and took 29 times.
    """
    terms = ([(GPU_SLICES, "In", "1"), (MEMORY, "Lt", "1"), ("pool", "In", f"p{number}")] for number in range(MANY))
    pod = view(a_pod(affinity=affinity(*terms)))
    policy = a_policy("mig-1g.5gb", "exclusive")
    started = time.process_time()
    decide(pod, policy, RENAMED)
    decided = time.process_time()

    decide(pod, policy, SINGLE)

    assert time.process_time() - decided < 12 * (decided - started)
