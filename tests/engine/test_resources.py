"""Resource names: which are GPUs, which only look like one, and which are other people's."""

import re
import time
from difflib import get_close_matches

import pytest

from webhook.engine.mig_profiles import DOCUMENTED
from webhook.engine.resources import KNOWN, GpuResource, Unknown, classify, resource_name

OURS = [
    ("nvidia.com/gpu", None, False),
    ("nvidia.com/gpu.shared", None, True),
    ("nvidia.com/mig-1g.5gb", "1g.5gb", False),
    ("nvidia.com/mig-1g.5gb.shared", "1g.5gb", True),
    ("nvidia.com/mig-1g.5gb.me", "1g.5gb.me", False),
    ("nvidia.com/mig-1g.24gb.me.all.shared", "1g.24gb.me.all", True),
    ("nvidia.com/mig-1g.24gb-me", "1g.24gb-me", False),
    ("nvidia.com/mig-1g.24gb.gfx", "1g.24gb.gfx", False),
    ("nvidia.com/mig-7g.999gb", "7g.999gb", False),
]


@pytest.mark.parametrize(("name", "partition", "shared"), OURS, ids=[name for name, *_ in OURS])
def test_a_gpu_resource_says_its_partition_and_whether_it_is_shared(
    name: str,
    partition: str | None,
    *,
    shared: bool,
) -> None:
    assert classify(name) == GpuResource(name, partition, shared)
    assert resource_name(partition, shared=shared) == name


@pytest.mark.parametrize("profile", DOCUMENTED)
def test_slices_of_every_documented_profile_are_gpu_resources(profile: str) -> None:
    found = GpuResource(f"nvidia.com/mig-{profile}", profile, shared=False)

    assert classify(found.name) == KNOWN[found.name] == found


NONE_OF_OURS = [
    pytest.param("cpu", id="cpu"),
    pytest.param("memory", id="memory"),
    pytest.param("ephemeral-storage", id="storage"),
    pytest.param("hugepages-2Mi", id="huge pages"),
    pytest.param("amd.com/gpu", id="another vendor's GPU"),
    pytest.param("gpu.intel.com/i915", id="yet another vendor's GPU"),
    pytest.param("deviceclass.resource.kubernetes.io/gpu", id="a DeviceClass that is called gpu"),
    pytest.param("example.com/nvidia-gpu", id="a name of somebody's own"),
    pytest.param("nvidia.com.example.org/gpu", id="NVIDIA's domain at the start of another"),
    pytest.param("habana.ai/gaudi", id="an accelerator"),
    pytest.param("limits.nvidia.com/gpu", id="a key that quotas do not have"),
    pytest.param("example.com/nvidia.com/gpu", id="our name further in"),
    pytest.param("requests.nvidia.com/gpu", id="a quota's key"),
    pytest.param("nvidia.com/gpumem", id="HAMi's GPU memory"),
    pytest.param("nvidia.com/gpumem-percentage", id="HAMi's GPU memory in percent"),
    pytest.param("nvidia.com/gpucores", id="HAMi's GPU cores"),
    pytest.param("nvidia.com/priority", id="HAMi's priority"),
    pytest.param("nvidia.com/gpu-10gb", id="nos' slice of 10 GB"),
    pytest.param("nvidia.com/gpu-2gb", id="nos' slice of 2 GB"),
    pytest.param("nvidia.com/pgpu", id="Kata's passed-through GPU"),
    pytest.param("nvidia.com/GA102GL_A10", id="KubeVirt's whole card"),
    pytest.param("nvidia.com/TU104GL_Tesla_T4", id="KubeVirt's Tesla"),
    pytest.param("nvidia.com/GRID_T4-1Q", id="KubeVirt's virtual GPU"),
    pytest.param("nvidia.com/NVIDIA_A100-1-5C", id="KubeVirt's virtual slice"),
    pytest.param("nvidia.com/AD102GL_L40S", id="KubeVirt's L40S"),
    pytest.param("nvidia.com/hostdev", id="a network device of NVIDIA's"),
    pytest.param("nvidia.com/rdma_shared_device_a", id="an RDMA device of NVIDIA's"),
    pytest.param("nvidia.com/sriov-rdma-vf", id="a virtual function"),
    pytest.param("nvidia.com/mig.config", id="the label of the MIG layout"),
    pytest.param("nvidia.com/", id="a domain alone"),
    pytest.param("nvidia.com", id="a domain without a slash"),
    pytest.param("", id="nothing"),
    pytest.param("nvidia.com/gp", id="a letter short of gpu"),
    pytest.param("nvidia.com/gpuAB", id="two letters more than gpu"),
    pytest.param("nvidia.com/gpu.sha", id="two letters and more short of shared"),
    pytest.param("nvidia.com/mig-1" + "g" * 70, id="longer than any resource's name"),
]


@pytest.mark.parametrize("name", NONE_OF_OURS)
def test_names_of_others_raise_no_alarm(name: str) -> None:
    assert classify(name) is None


MISSPELT = [
    ("nvidia.com/mig1g.5gb", "nvidia.com/mig-1g.5gb"),
    ("nvidia.com/mig-1g5gb", "nvidia.com/mig-1g.5gb"),
    ("nvidia.com/mig-1g.5gb+me", "nvidia.com/mig-1g.5gb.me"),
    ("nvidia.com/mig-1g.5gb-shared", "nvidia.com/mig-1g.5gb.shared"),
    ("nvidia.com/MIG-1g.5gb", "nvidia.com/mig-1g.5gb"),
    ("nvidia.com/mig-2g.20g", "nvidia.com/mig-2g.20gb"),
    ("nvidia.com/mig-3g.20", "nvidia.com/mig-3g.20gb"),
    ("nvidia.com/mig-1c.3g.20gb", "nvidia.com/mig-3g.20gb"),
    ("nvidia.com/gpu-shared", "nvidia.com/gpu.shared"),
    ("nvidia.com/gpu_shared", "nvidia.com/gpu.shared"),
    ("nvidia.com/gpushared", "nvidia.com/gpu.shared"),
    ("nvidia.com/gpu.shares", "nvidia.com/gpu.shared"),
    ("nvidia.com/gpu.share", "nvidia.com/gpu.shared"),
    ("nvidia.com/gpus.shared", "nvidia.com/gpu.shared"),
    ("nvidia.com/gpus", "nvidia.com/gpu"),
    ("nvidia.com/GPU", "nvidia.com/gpu"),
    ("NVIDIA.com/gpu", "nvidia.com/gpu"),
    ("nvidia.com/gpu.", "nvidia.com/gpu"),
    ("nvidia.com/gup", "nvidia.com/gpu"),
    ("nvidia.com/1g.5gb", "nvidia.com/mig-1g.5gb"),
    ("nvidia.com/mgi-1g.5gb", "nvidia.com/mig-1g.5gb"),
    ("nvidia.com/migg-2g.10gb", "nvidia.com/mig-2g.10gb"),
    ("nvidia.com/mig-g.5gb", "nvidia.com/mig-1g.5gb"),
    ("nvidia.com/gpu-1g.5gb", "nvidia.com/mig-1g.5gb"),
    # The vendor's name, or none.
    ("nvida.com/gpu", "nvidia.com/gpu"),
    ("nvidai.com/gpu", "nvidia.com/gpu"),
    ("nividia.com/gpus", "nvidia.com/gpu"),
    ("nvidia.co/gpu", "nvidia.com/gpu"),
    ("nvidia.org/gpu", "nvidia.com/gpu"),
    ("nvidia/gpu.shared", "nvidia.com/gpu.shared"),
    ("nvdia.com/mig-1g.5gb", "nvidia.com/mig-1g.5gb"),
    ("gpu.nvidia.com/gpu", "nvidia.com/gpu"),
    ("gpu", "nvidia.com/gpu"),
    ("gpus", "nvidia.com/gpu"),
    ("nvidia.com.gpu", "nvidia.com/gpu"),
    ("nvidia-gpu", "nvidia.com/gpu"),
    ("alpha.kubernetes.io/nvidia-gpu", "nvidia.com/gpu"),
]


@pytest.mark.parametrize(("name", "meant"), MISSPELT, ids=[name for name, _ in MISSPELT])
def test_a_misspelt_name_is_unknown_and_the_nearest_real_one_is_known(name: str, meant: str) -> None:
    found = classify(name)

    assert isinstance(found, Unknown)
    assert found.name == name
    assert found.nearest == meant


def test_slices_without_a_profile_are_misspelt() -> None:
    assert isinstance(classify("nvidia.com/mig"), Unknown)
    assert isinstance(classify("nvidia.com/mig-"), Unknown)


def test_the_longest_name_that_kubernetes_takes_is_looked_at_and_no_longer_one() -> None:
    longest = "nvidia.com/" + "mig1".ljust(63, "g")

    assert isinstance(classify(longest), Unknown)
    assert classify(longest + "g") is None


def test_a_million_letters_cost_nothing() -> None:
    started = time.monotonic()
    for number in range(50):
        assert classify("nvidia.com/mig1" + "g" * 1_000_000 + str(number)) is None

    assert time.monotonic() - started < 2


@pytest.mark.parametrize(
    "name", ["mig", "mig-g.5gb", "mgi-1g.5gb", "1g.5gb", "mig-1g.20000gb", "mig-9g.9gb.shard", "mig-0"]
)
def test_the_nearest_name_is_that_of_difflib(name: str) -> None:
    """It is found in less time, for a pod may have ten misspelt names, and all others wait meanwhile."""
    real = {f"mig-{profile}{end}": 0 for profile in DOCUMENTED for end in ("", ".shared")} | {"gpu": 0, "gpu.shared": 0}
    squashed = {re.sub("[^a-z0-9]", "", one): one for one in real}
    wanted = get_close_matches(re.sub("[^a-z0-9]", "", name), squashed, n=1, cutoff=0.0)[0]

    assert Unknown(f"nvidia.com/{name}").nearest == f"nvidia.com/{squashed[wanted]}"
