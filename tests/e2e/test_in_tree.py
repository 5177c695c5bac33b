"""The admission policies of ``gpuwarden compile`` on a real API server, alone: they decide what the webhooks decide.

Set ``GPUWARDEN_IN_TREE_PODS`` to compare more pods than the default, and every policy under every setting.
"""

import json
import os
from collections.abc import Iterator
from itertools import count
from random import Random

import pytest

from testing.control_plane.cluster import ControlPlane
from testing.control_plane.namespaces import Namespaces
from tests.builders import Json, a_pod, affinity, expression, gpu, view
from tests.e2e.admission_policies import AdmissionPolicies, Situation, warnings_of
from tests.e2e.test_backstop import sendable
from tests.engine.common_pods import A_LARGE_POLICY, BUILT_IN, CONFIGURED, a_large_pod, a_random_pod, a_random_policy
from tests.engine.spelled import SINGLE_TABLE, TABLE, spelled
from tests.golden.files import every_case
from webhook.adapters.configuration.file import ConfigurationError, parse
from webhook.application.configuration import Configuration
from webhook.engine.common_case import FEW
from webhook.engine.common_case_pods import is_common

pytestmark = pytest.mark.e2e

PODS = int(os.environ.get("GPUWARDEN_IN_TREE_PODS", "300"))
THOROUGH = "GPUWARDEN_IN_TREE_PODS" in os.environ
BATCH = 30
SETTINGS: dict[str, Json] = {
    "renamed": {},
    "not renamed": {"devicePlugin": {"renameByDefault": False}},
    "single": {"devicePlugin": {"migStrategy": "single"}},
    "single by product": {"devicePlugin": {"migStrategy": "single", "products": ["NVIDIA-A100-SXM4-40GB"]}},
    "autopilot": {"gke": {"autopilot": True}},
}
# The longest name of a MIG slice.
SLICE = "nvidia.com/mig-99g.9999gb.me.all"
RUNTIME_CLASS = {"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": "nvidia"}, "handler": "x"}


def configuration(**fields: Json) -> Configuration:
    return parse(json.dumps({"apiVersion": "gpuwarden.io/v1", "kind": "Configuration", **fields}))


@pytest.fixture(scope="module")
def policies(control_plane: ControlPlane, module_namespaces: Namespaces) -> Iterator[AdmissionPolicies]:
    """The API server, with the RuntimeClass that a policy sets."""
    control_plane.kubectl("apply", "-f", "-", stdin=json.dumps(RUNTIME_CLASS))
    with AdmissionPolicies(control_plane, module_namespaces.make()) as asked:
        yield asked


def test_golden_reviews(policies: AdmissionPolicies) -> None:
    """Every review of a pod's creation, by its user, under its configuration and label."""
    situations: dict[str, Situation] = {}
    asked = []
    for case in every_case():
        request = case.review["request"]
        if request["operation"] != "CREATE" or request["kind"]["kind"] != "Pod" or request.get("subResource"):
            continue
        enforce = case.labels.get("gpuwarden.io/enforce")
        key = json.dumps([case.configuration, enforce])
        if key not in situations:
            situations[key] = Situation.of(
                f"golden-{len(situations)}", configuration(**case.configuration or {}), enforce
            )
        asked.append((sendable(case.pod), situations[key], request["userInfo"]["username"]))
    with policies.applied(situations.values()):
        assert policies.accepted(asked) > 0.8 * len(asked)


def test_every_row_of_the_table_of_forms(policies: AdmissionPolicies) -> None:
    """A plain request, and the same pod as it is written for each form, under each form."""
    situations: list[Situation] = []
    asked = []
    for fields in SETTINGS.values():
        read = configuration(**fields)
        forms = SINGLE_TABLE if read.plugin.single else TABLE
        rows = [sendable({"metadata": {}, "spec": spelled(form, read.plugin).spec(gpu("1"))}) for form in forms]
        for form in forms:
            situations.append(Situation.of(f"row-{len(situations)}", read, form))
            asked += [(pod, situations[-1], None) for pod in (sendable(a_pod(gpu("1"))), *rows)]
    step = 1 if THOROUGH else 11
    chosen = situations[::step]
    with policies.applied(chosen):
        compared = [one for one in asked if one[1] in chosen]
        assert policies.accepted(compared) == len(compared)


@pytest.mark.parametrize(
    "reaching",
    [
        {"securityContext": {"privileged": True}},
        {"env": [{"name": "NVIDIA_VISIBLE_DEVICES", "value": "all"}]},
        {"env": [{"name": f"A{number}"} for number in range(1000)]},
    ],
    ids=["privileged", "by variable", "many variables"],
)
def test_requests_are_rewritten_whatever_else_a_container_has(policies: AdmissionPolicies, reaching: Json) -> None:
    """Nothing more is decided about such a pod."""
    situation = Situation.of("reaching", configuration(), "shared")
    with policies.applied([situation]):
        for count, limit in (("1", "nvidia.com/gpu.shared"), ("2", "nvidia.com/gpu")):
            pod = sendable(a_pod(gpu(count, **reaching)))
            assert policies.agrees(pod, situation)
            [container] = policies.create(pod, situation.name).json()["spec"]["containers"]
            assert container["resources"]["limits"] == {limit: count}


def mounting(count: str, *paths: str, name: str = "train") -> Json:
    mounts = [{"name": f"v{number}", "mountPath": path} for number, path in enumerate(paths)]
    return gpu(count, name=name, volumeMounts=mounts)


MOUNTED: Json = {"volumes": [{"name": f"v{number}", "emptyDir": {}} for number in range(2)]}
SHM = "/dev/shm"  # noqa: S108 - a name to compare with


@pytest.mark.parametrize(
    ("policy", "pod", "warned"),
    [
        ("mps", a_pod(mounting("1", SHM, f"{SHM}/"), gpu("1", name="b"), mounting("1", SHM, name="c"), **MOUNTED), 2),
        ("mps", a_pod(gpu("1"), {"name": "b", "volumeMounts": [{"name": "v0", "mountPath": SHM}]}, **MOUNTED), 0),
        ("mps", a_pod(mounting("1", "/dev//shm", f"{SHM}/cache"), **MOUNTED), 1),
        ("mps", a_pod(mounting("2", SHM), **MOUNTED), 0),
        ("mps", a_pod(mounting("1", f"{SHM}/"), nodeSelector={"zone": "a"}, hostIPC=True, **MOUNTED), 1),
        ("mig-1g.5gb", a_pod(gpu("2"), gpu("1", name="b"), gpu("3", name="c")), 2),
        ("mig-1g.5gb", a_pod(gpu("2", "nvidia.com/mig-1g.5gb")), 1),
        ("mig-1g.5gb", a_pod(gpu("2"), gpu("1", "nvidia.com/mig-3g.20gb", name="b")), 0),
        ("gke-mps-4", a_pod(gpu("1"), gpu("1", name="b")), 1),
        ("gke-mps-4", a_pod(gpu("1"), hostIPC=True), 0),
    ],
)
def test_warnings(policies: AdmissionPolicies, policy: str, pod: Json, warned: int) -> None:
    """Of each container that the webhooks warn of, once; of none of a pod that is denied."""
    situation = Situation.of("warning", configuration(), policy)
    with policies.applied([situation]):
        assert policies.agrees(sendable(pod), situation)
        answer = policies.create(sendable(pod), situation.name)
        assert warnings_of(answer, f"{situation.name}.warns").count('container "') == warned


@pytest.mark.parametrize(
    ("policy", "setting"),
    [
        ("gke-exclusive", "renamed"),
        ("gke-mps-4", "renamed"),
        ("mig-1g.5gb", "single"),
        ("mig-1g.5gb", "single by product"),
        ("mps", "single"),
    ],
)
def test_each_term_of_node_affinity_gets_what_the_form_needs(
    policies: AdmissionPolicies, policy: str, setting: str
) -> None:
    """What has it in each already stays as it is; what has it in some is left to the webhooks."""
    situation = Situation.of("terms", configuration(**SETTINGS[setting]), policy)
    assert situation.case
    plain = situation.case.patterns[0]
    needed = [(need.key, need.operator, *need.values) for need in plain.requirements]
    zone, disk = ("zone", "In", "a", "b"), ("disk", "Exists")
    node_selector = {"nodeSelector": plain.selectors} if plain.selectors else {}
    few, written, half = (
        sendable(a_pod(gpu("1"), affinity=affinity(*terms), **selector))
        for terms, selector in (
            ([[zone, disk], [disk]], {}),
            ([[zone, *needed], [*needed, disk]], node_selector),
            ([[zone, *needed], [disk]], node_selector),
        )
    )
    with policies.applied([situation]):
        for pod in (few, written, half):
            assert policies.agrees(pod, situation)
        rewritten = policies.create(few, situation.name).json()["spec"]["affinity"]["nodeAffinity"]
    terms = rewritten["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    expressions = [expression(*each) for each in needed]
    assert [term["matchExpressions"][-len(needed) :] for term in terms] == [expressions, expressions]


def test_generated_pods_and_policies(policies: AdmissionPolicies) -> None:
    random = Random(18)  # noqa: S311 - test data
    situations = (
        [*written(), *generated(random, PODS // 100)] if THOROUGH else [*[*written()][::19], *generated(random, 3)]
    )
    asked = [(a_random_pod(random), random.choice(situations), None) for _ in range(PODS)]
    accepted = 0
    for batch in batched(situations):
        with policies.applied(batch):
            accepted += policies.accepted([one for one in asked if one[1] in batch])
    assert accepted > PODS // 2


def batched(situations: list[Situation]) -> Iterator[list[Situation]]:
    """So many at a time that the API server keeps up."""
    for start in range(0, len(situations), BATCH):
        yield situations[start : start + BATCH]


def written() -> Iterator[Situation]:
    """Each policy under each setting."""
    for index, fields in enumerate(SETTINGS.values()):
        read = configuration(policies=CONFIGURED, **fields)
        for policy in (*CONFIGURED, *BUILT_IN):
            yield Situation.of(f"written-{index}-{policy}", read, policy)


def generated(random: Random, wanted: int) -> Iterator[Situation]:
    """Policies of random fields, under a random setting, with random exemptions, for labelled and unlabelled namespaces."""
    numbers = count()
    while wanted:
        exemptions = random.choice(({}, {"exemptions": {"schedulers": ["other"], "runtimeClasses": ["nvidia"]}}))
        default = random.choice(({}, {"defaults": {"enforce": "it"}}))
        try:
            read = configuration(
                policies={"it": a_random_policy(random)}, **random.choice([*SETTINGS.values()]), **exemptions, **default
            )
        except ConfigurationError:
            continue
        wanted -= 1
        yield Situation.of(f"generated-{next(numbers)}", read, None if default else "it")


def test_the_largest_pod_under_the_largest_policy(policies: AdmissionPolicies) -> None:
    """Rewritten and denied within what the API server lets CEL cost."""
    # A name as long as a label's value can be makes the longest message.
    name = "x" * 63
    situations = [
        Situation.of(policy, configuration(), policy) for policy in ("shared", "mps", "mig-1g.5gb", "gke-exclusive")
    ]
    if THOROUGH:
        situations.append(Situation.of("large", configuration(policies={name: A_LARGE_POLICY}), name))
    with policies.applied(situations):
        for situation in situations:
            assert situation.case
            largest, of_slices = situation.case.most_containers, situation.case.most_containers_of_slices
            most = "999999999"
            requirements = FEW - len(situation.case.patterns[0].requirements)
            pods = [
                a_large_pod(1, requirements=requirements),
                a_large_pod(largest, requirements=requirements),
                a_large_pod(largest, most, requirements=requirements),
                a_large_pod(of_slices, most, SLICE),
                mounting_shm(a_large_pod(largest, requirements=requirements)),
            ]
            for pod in pods:
                assert is_common(view(pod), situation.case)
                assert policies.agrees(pod, situation)


def mounting_shm(pod: Json) -> Json:
    """A pod whose containers all mount a volume at ``/dev/shm``, as the last of their mounts."""
    for container in pod["spec"]["containers"]:
        container["volumeMounts"][-1]["mountPath"] = SHM
    return pod
