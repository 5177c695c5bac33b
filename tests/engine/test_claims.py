"""Claims (DRA): what a pod claims, and what the rules of a policy say of it."""

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from tests.builders import GPU, MIG, RENAMED, Json, a_container, a_pod, a_policy, evaluate, gpu, policy_of, rules, view
from webhook.engine import requests
from webhook.engine.claim_objects import (
    Claim,
    ClaimObject,
    ClaimSpec,
    ClaimTemplateObject,
    DeviceRequest,
    RequestedDevice,
    claim,
)
from webhook.engine.claims import CLAIM, NO_CLAIMS, TEMPLATE, Claims, Reference, Resolved, read, references
from webhook.engine.decision import UNTOUCHED, Decision, decide
from webhook.engine.device_classes import DeviceClasses, mig_profile, named_form
from webhook.engine.findings import Finding
from webhook.engine.forms import Form, Sharing
from webhook.engine.namespace_labels import NamespaceLabels
from webhook.engine.other_gpus import GpuNames
from webhook.engine.pods import PodSpec
from webhook.engine.policy import Policy, PolicyBook

NVIDIA, SLICES, OTHER = "gpu.nvidia.com", "mig.nvidia.com", "h100.example.com"
NETWORK = "dranet.example.com"
IMPLICIT = "deviceclass.resource.kubernetes.io/"
PROFILE = "device.attributes['gpu.nvidia.com'].profile == '1g.5gb'"
UNREADABLE = PolicyBook().select(NamespaceLabels("sharde")).enforce


def wants(device_class: str = NVIDIA, *selectors: str, name: str = "gpu", **fields: Any) -> Json:
    """A request of a claim, as v1 has it."""
    return {"name": name, "exactly": exact(device_class, *selectors, **fields)}


def exact(device_class: str, *selectors: str, **fields: Any) -> Json:
    listed = [{"cel": {"expression": selector}} for selector in selectors]
    return {"deviceClassName": device_class, **({"selectors": listed} if selectors else {}), **fields}


def first_of(*alternatives: Json, name: str = "gpu") -> Json:
    return {"name": name, "firstAvailable": [{"name": f"a{n}", **one} for n, one in enumerate(alternatives)]}


def a_claim(*listed: Json, **devices: Any) -> Claim:
    found = claim(msgspec.convert({"devices": {"requests": list(listed), **devices}}, ClaimSpec))
    assert found is not None
    return found


def by_template(*containers: Json, **fields: Any) -> Json:
    """A pod whose claim ``gpu`` is made from the template ``one``."""
    return a_pod(*containers, resourceClaims=[{"name": "gpu", "resourceClaimTemplateName": "one"}], **fields)


def by_name(*containers: Json) -> Json:
    """A pod whose claim ``gpu`` is the ResourceClaim ``one``."""
    return a_pod(*containers, resourceClaims=[{"name": "gpu", "resourceClaimName": "one"}])


def using(name: str = "train", request: str | None = None, limits: Json | None = None, **fields: Any) -> Json:
    """A container that uses the claim ``gpu``."""
    used = {"name": "gpu", **({"request": request} if request else {})}
    return a_container(name, resources={"claims": [used], **({"limits": limits} if limits else {})}, **fields)


def claimed(pod: Json, found: Claim | None = None, classes: DeviceClasses | None = None) -> Claims:
    """What a pod claims, where both kinds of objects with the name ``one`` are this."""
    spec = view(pod).spec
    assert spec is not None
    classes = classes or DeviceClasses()
    resolved: Resolved = {Reference(TEMPLATE, "one"): found, Reference(CLAIM, "one"): found}
    return read(spec, requests.read(spec, classes.names), resolved, classes)


def decided(
    pod: Json, policy: str | Policy, *listed: Json, classes: DeviceClasses | None = None, **devices: Any
) -> Decision:
    """The decision on a pod, where what it names has these requests."""
    by = policy_of(policy) if isinstance(policy, str) else policy
    found = a_claim(*listed or [wants()], **devices)
    return decide(view(pod), by, RENAMED, claims=claimed(pod, found, classes))


def one_finding(decision: Decision) -> Finding:
    [finding] = decision.findings
    return finding


class TestDeviceClasses:
    @pytest.mark.parametrize(
        ("device_class", "profile", "form"),
        [
            (NVIDIA, None, Form()),
            (NVIDIA, "1g.5gb", Form()),
            (SLICES, "1g.5gb", Form("1g.5gb")),
            (SLICES, None, None),
            (OTHER, None, None),
            ("", None, None),
        ],
    )
    def test_nvidias_have_forms(self, device_class: str, profile: str | None, form: Form | None) -> None:
        assert DeviceClasses().form(device_class, profile) == form

    def test_the_configuration_gives_forms_and_replaces_them(self) -> None:
        classes = DeviceClasses({OTHER: "mig-1g.10gb", NVIDIA: "time-slicing"})
        assert classes.form(OTHER, None) == Form("1g.10gb")
        assert classes.form(NVIDIA, None) == Form(sharing=Sharing.TIME_SLICING)
        assert classes.form(SLICES, "1g.5gb") == Form("1g.5gb")

    @pytest.mark.parametrize(
        ("resource", "form"),
        [
            (None, None),
            ("", None),
            ("example.com/fpga", None),
            ("nvidia.com/gpux", None),
            ("nvidia.com/gpu", "exclusive"),
            ("nvidia.com/gpu.shared", "shared"),
            ("nvidia.com/mig-1g.10gb", "mig-1g.10gb"),
            ("nvidia.com/mig-1g.10gb.shared", "mig-1g.10gb-shared"),
        ],
    )
    def test_a_resource_name_says_the_form(self, resource: str | None, form: str | None) -> None:
        assert named_form(resource) == form

    def test_a_name_in_the_cluster_gives_a_form_where_nothing_else_does(self) -> None:
        named = {OTHER: "mig-1g.10gb", NVIDIA: "shared", "fpga.x": "exclusive", "mine": "exclusive"}
        names = GpuNames(not_gpus=(f"{IMPLICIT}fpga*",))
        classes = DeviceClasses({"mine": "mps"}, names, named)
        forms = [classes.form(name, None) for name in (OTHER, NVIDIA, "mine", "unknown")]
        assert forms == [Form("1g.10gb"), Form(), Form(sharing=Sharing.MPS), None]
        assert classes.provides_gpus("fpga.x")
        assert not DeviceClasses({}, names).provides_gpus("fpga.x")

    @pytest.mark.parametrize("device_class", ["dranet-ib", "dra.cpu", "compute-domain-daemon.nvidia.com", "fpga.x"])
    def test_what_is_known_to_be_something_else_hands_out_no_gpu(self, device_class: str) -> None:
        assert not DeviceClasses(names=GpuNames(not_gpus=(f"{IMPLICIT}fpga*",))).provides_gpus(device_class)

    @pytest.mark.parametrize("device_class", [NVIDIA, SLICES, "vfio.gpu.nvidia.com", OTHER, "fpga.x", ""])
    def test_any_other_does(self, device_class: str) -> None:
        assert DeviceClasses().provides_gpus(device_class)

    def test_one_with_a_form_does_whatever_its_name(self) -> None:
        assert DeviceClasses({"cpu-and-gpu": "exclusive"}).provides_gpus("cpu-and-gpu")


class TestMigProfile:
    @pytest.mark.parametrize(
        ("expression", "profile"),
        [
            (PROFILE, "1g.5gb"),
            ('  device.attributes["gpu.nvidia.com"].profile=="1g.10gb+me"\n', "1g.10gb.me"),
            (f"device.driver == 'gpu.nvidia.com' && {PROFILE}", "1g.5gb"),
            (f"{PROFILE} && device.attributes['gpu.nvidia.com'].type == 'mig'", "1g.5gb"),
            (f"{PROFILE} && device.attributes['gpu.nvidia.com'].index == 3", "1g.5gb"),
        ],
    )
    def test_is_read_where_every_device_must_have_it(self, expression: str, profile: str) -> None:
        assert mig_profile([expression]) == profile
        assert mig_profile(["true", expression]) == profile, "selectors hold together"

    @pytest.mark.parametrize(
        "expression",
        [
            "",
            "true",
            PROFILE.replace("1g.5gb", "small"),
            PROFILE.replace("==", "!="),
            PROFILE.replace("gpu.nvidia.com", "other.example.com"),
            f"{PROFILE} || true",
            f"!({PROFILE})",
            f"!(device.driver == 'x' && {PROFILE} && device.driver == 'x')",
            f"""'z' > 'a && {PROFILE.replace("'", '"')} && b'""",
            f"""device.driver == 'a && {PROFILE.replace("'", '"')} && b'""",
            f"{PROFILE} ? false : true",
            f"{PROFILE} == false",
        ],
    )
    def test_is_open_otherwise(self, expression: str) -> None:
        assert mig_profile([expression]) is None

    def test_without_selectors_it_is_open(self) -> None:
        assert mig_profile([]) is None


class TestClaimObjects:
    @pytest.mark.parametrize("spec", [{}, {"devices": None}, {"devices": {}}, {"devices": {"requests": None}}])
    def test_one_without_requests_claims_nothing(self, spec: Json) -> None:
        assert claim(msgspec.convert(spec, ClaimSpec)) == Claim()

    def test_one_of_classic_dra_cannot_be_read(self) -> None:
        assert claim(msgspec.convert({"resourceClassName": "gpu.nvidia.com"}, ClaimSpec)) is None
        assert claim(None) is None

    @pytest.mark.parametrize(
        ("request_", "devices"),
        [
            (wants(), [RequestedDevice(NVIDIA)]),
            (wants(count=2), [RequestedDevice(NVIDIA, 2)]),
            (wants(allocationMode="ExactCount", count=2), [RequestedDevice(NVIDIA, 2)]),
            (wants(allocationMode="All"), [RequestedDevice(NVIDIA, None)]),
            (wants(allocationMode="AllOrSome", count=2), [RequestedDevice(NVIDIA, None)]),
            (wants(SLICES, PROFILE), [RequestedDevice(SLICES, 1, "1g.5gb")]),
            (wants(adminAccess=True), [RequestedDevice(NVIDIA, admin_access=True)]),
            ({"name": "gpu", **exact(NVIDIA, count=2)}, [RequestedDevice(NVIDIA, 2)]),  # until v1beta1
            (
                first_of(exact(NVIDIA), exact(SLICES, PROFILE, count=2)),
                [RequestedDevice(NVIDIA), RequestedDevice(SLICES, 2, "1g.5gb")],
            ),
            ({"name": "gpu", "someOf": {}}, [RequestedDevice("")]),
            ({"name": "gpu", "exactly": {"deviceClassName": NVIDIA, "selectors": [{}]}}, [RequestedDevice(NVIDIA)]),
        ],
    )
    def test_a_request_says_how_it_can_be_met(self, request_: Json, devices: list[RequestedDevice]) -> None:
        assert a_claim(request_).requests == (DeviceRequest("gpu", tuple(devices)),)

    @pytest.mark.parametrize(
        ("config", "mps"),
        [
            (None, [False, False, False]),
            ([{}], [False, False, False]),
            ([{"opaque": {"parameters": None}}], [False, False, False]),
            ([{"opaque": {"parameters": {"sharing": None}}}], [False, False, False]),
            ([{"opaque": {"parameters": {"sharing": {"strategy": "TimeSlicing"}}}}], [False, False, False]),
            ([{"opaque": {"parameters": {"sharing": {"strategy": "MPS"}}}}], [True, True, True]),
            ([{"requests": ["b"], "opaque": {"parameters": {"sharing": {"strategy": "MPS"}}}}], [False, True, True]),
            (
                [{"requests": ["b/a1"], "opaque": {"parameters": {"sharing": {"strategy": "MPS"}}}}],
                [False, False, True],
            ),
        ],
    )
    def test_its_configuration_says_whether_mps_shares(self, config: Any, mps: list[bool]) -> None:
        found = a_claim(wants(name="a"), first_of(exact(NVIDIA), exact(SLICES), name="b"), config=config)
        assert [device.mps for request in found.requests for device in request.alternatives] == mps


def test_a_template_claims_what_the_claims_made_from_it_do() -> None:
    spec = {"devices": {"requests": [wants()]}}
    by_claim = msgspec.convert({"spec": spec}, ClaimObject).claimed
    by_template = msgspec.convert({"spec": {"spec": spec}}, ClaimTemplateObject).claimed
    assert claim(by_claim) == claim(by_template) == a_claim(wants())
    assert ClaimTemplateObject().claimed is ClaimObject().claimed is None


class TestReading:
    def test_a_pod_without_claims_has_none(self) -> None:
        assert claimed(a_pod()) is NO_CLAIMS
        assert claimed(a_pod(resourceClaims=[])) is NO_CLAIMS
        assert references(PodSpec()) == []

    def test_each_object_is_named_once(self) -> None:
        spec = view(
            a_pod(
                resourceClaims=[
                    {"name": "a", "resourceClaimTemplateName": "t"},
                    {"name": "b", "resourceClaimTemplateName": "t"},
                    {"name": "c", "resourceClaimName": "t"},
                    {"name": "d", "podGroupResourceClaim": "x"},
                ]
            )
        ).spec
        assert spec is not None
        assert references(spec) == [Reference(TEMPLATE, "t"), Reference(CLAIM, "t")]

    def test_what_is_not_there_is_missing_and_what_was_not_looked_up_is_unknown(self) -> None:
        pod = a_pod(
            resourceClaims=[
                {"name": "a", "resourceClaimTemplateName": "one"},
                {"name": "b", "resourceClaimTemplateName": "elsewhere"},
                {"name": "c", "podGroupResourceClaim": "x"},
            ]
        )
        found = claimed(pod, None)
        assert [(entry.name, entry.field) for entry in found.missing] == [
            ("a", "spec.resourceClaims[0]"),
            ("c", "spec.resourceClaims[2]"),
        ]
        assert [entry.name for entry in found.unknown] == ["b"]

    @pytest.mark.parametrize("device_class", [NETWORK.replace("dranet", "dranet-ib"), "dra.cpu"])
    def test_what_is_not_a_gpu_is_no_request(self, device_class: str) -> None:
        found = claimed(by_template(using()), a_claim(wants(device_class)))
        assert (found.gpus, found.missing, found.unknown) == ((), (), ())

    @pytest.mark.parametrize(
        ("pod", "shared"),
        [
            (by_template(a_container()), False),
            (by_template(using()), False),
            (by_template(using("a"), a_container("b")), False),
            (by_template(using("a", "gpu"), using("b", "other")), False),
            (by_template(using("a"), initContainers=[using("first")]), False),
            (by_template(a_container("a"), initContainers=[using("first"), using("second")]), False),
            (by_template(using("a"), using("b")), True),
            (by_template(using("a", "gpu"), using("b")), True),
            (by_template(using("a"), initContainers=[using("beside", restartPolicy="Always")]), True),
            (by_name(using()), True),
            (by_name(a_container()), True),
        ],
    )
    def test_it_is_shared_where_several_containers_or_pods_use_it_at_once(self, pod: Json, *, shared: bool) -> None:
        for strategy, sharing in (("MPS", Sharing.MPS), ("TimeSlicing", Sharing.TIME_SLICING)):
            config = [{"opaque": {"parameters": {"sharing": {"strategy": strategy}}}}]
            [one] = claimed(pod, a_claim(wants(), config=config)).gpus
            assert one.alternatives[0].form == Form(sharing=sharing if shared else Sharing.NONE)
            [one] = claimed(pod, a_claim(wants(SLICES, PROFILE), config=config)).gpus
            assert one.alternatives[0].form == Form("1g.5gb", sharing if shared else Sharing.NONE)

    def test_a_class_that_shares_keeps_its_form(self) -> None:
        classes = DeviceClasses({NVIDIA: "mps"})
        for pod in (by_template(using()), by_name(using())):
            [one] = claimed(pod, a_claim(wants()), classes).gpus
            assert one.alternatives[0].form == Form(sharing=Sharing.MPS)

    def test_a_class_by_its_resource_name(self) -> None:
        limits = {f"{IMPLICIT}{NVIDIA}": 2, f"{IMPLICIT}{SLICES}": 1, f"{IMPLICIT}{OTHER}": 1, "nvidia.com/vgpu": 1}
        one, *others = claimed(a_pod(a_container(limits=limits))).gpus
        assert [(other.source, other.is_other) for other in (one, *others)] == [
            (f"{IMPLICIT}{NVIDIA}: 2", False),
            (f"{IMPLICIT}{SLICES}: 1", True),
            (f"{IMPLICIT}{OTHER}: 1", True),
        ]
        beside = {**a_pod(a_container(limits=limits)), "metadata": {}}
        beside["spec"] = {**beside["spec"], "resourceClaims": [{"name": "gpu", "resourceClaimTemplateName": "one"}]}
        assert claimed(beside, a_claim(wants())).of_resources == Claims((one, *others))
        assert claimed(by_template(using()), a_claim(wants())).of_resources is NO_CLAIMS
        assert (one.subject, one.source, one.count) == ('container "train"', f"{IMPLICIT}{NVIDIA}: 2", 2)
        assert claimed(a_pod(a_container(limits={f"{IMPLICIT}{NVIDIA}": "0.5"}))) is NO_CLAIMS


class TestWhatPasses:
    @pytest.mark.parametrize("policy", ["none", "exclusive", "shared", "any", UNREADABLE])
    @pytest.mark.parametrize("pod", [by_template(using()), by_name(using())])
    def test_devices_that_are_not_gpus(self, pod: Json, policy: str | Policy) -> None:
        assert decided(pod, policy, wants("dra.cpu")) == UNTOUCHED

    @pytest.mark.parametrize(
        ("policy", "pod", "request_"),
        [
            ("exclusive", by_template(using()), wants()),
            ("exclusive", by_template(using()), wants(count=8)),
            ("gke-exclusive", by_template(using()), wants()),
            ("any", by_template(using()), wants(adminAccess=True)),
            ("any", by_name(using()), wants(OTHER)),
            ("mig-1g.5gb", by_template(using()), wants(SLICES, PROFILE)),
            ("gke-mig-1g.5gb", by_template(using()), wants(SLICES, PROFILE)),
            ("shared", by_name(using()), wants()),
            ("time-slicing", by_name(using()), wants()),
            ("gke-time-sharing-4", by_name(using()), wants()),
            ("mig-1g.5gb-shared", by_template(using("a"), using("b")), wants(SLICES, PROFILE)),
            (
                a_policy("mig-1g.5gb", "exclusive"),
                by_template(using()),
                first_of(exact(NVIDIA), exact(SLICES, PROFILE)),
            ),
            (a_policy("exclusive"), by_template(using()), first_of(exact(NVIDIA), exact("dra.cpu"))),
            (a_policy(admin_access=True), by_template(using()), wants(adminAccess=True)),
            (a_policy("shared", admin_access=True), by_template(using()), wants(OTHER, adminAccess=True)),
        ],
    )
    def test_a_form_of_the_policy(self, policy: str | Policy, pod: Json, request_: Json) -> None:
        decision = decided(pod, policy, request_)
        assert (decision.findings, decision.edits) == ((), ())

    def test_mps_where_the_claim_is_configured_for_it(self) -> None:
        config = [{"opaque": {"parameters": {"sharing": {"strategy": "MPS"}}}}]
        assert rules(decided(by_name(using()), "mps", wants(), config=config)) == []
        assert rules(decided(by_name(using()), "mps", wants())) == ["form-not-permitted"]

    def test_a_class_by_its_resource_name(self) -> None:
        pod = a_pod(a_container(limits={f"{IMPLICIT}{NVIDIA}": 1}))
        assert rules(decided(pod, "exclusive")) == []
        assert rules(decided(pod, "any")) == []

    @pytest.mark.parametrize("policy", ["none", "exclusive", "any", UNREADABLE])
    def test_a_claim_that_was_not_looked_up(self, policy: str | Policy) -> None:
        pod = a_pod(using(), resourceClaims=[{"name": "gpu", "resourceClaimTemplateName": "elsewhere"}])
        assert rules(decided(pod, policy)) == []

    def test_any_other_claim_under_any(self) -> None:
        pod = by_template(using())
        assert decide(view(pod), policy_of("any"), RENAMED, claims=claimed(pod, None)) == UNTOUCHED


class TestGpuNotPermitted:
    @pytest.mark.parametrize("policy", ["none", UNREADABLE])
    @pytest.mark.parametrize("pod", [by_template(using()), by_template(a_container()), by_name(using())])
    @pytest.mark.parametrize(
        "request_", [wants(), wants(SLICES), wants(OTHER), wants(allocationMode="All"), {"name": "gpu", "someOf": {}}]
    )
    def test_every_claim_for_a_gpu_is_denied(self, policy: str | Policy, pod: Json, request_: Json) -> None:
        assert rules(decided(pod, policy, request_)) == ["gpu-not-permitted"]

    def test_one_alternative_is_enough(self) -> None:
        request = first_of(exact("dra.cpu"), exact(NVIDIA))
        assert rules(decided(by_template(using()), "none", request)) == ["gpu-not-permitted"]

    def test_a_class_that_may_be_no_gpu_is_denied_with_what_to_do(self) -> None:
        message = one_finding(decided(by_template(using()), "none", wants(OTHER))).message
        assert message.endswith(
            "; if it is not for GPUs, deviceclass.resource.kubernetes.io/h100.example.com belongs in resources.notGPUs of "
            "gpuwarden's configuration"
        )
        excepted = DeviceClasses(names=GpuNames(not_gpus=(f"{IMPLICIT}{OTHER}",)))
        assert decided(by_template(using()), "none", wants(OTHER), classes=excepted) == UNTOUCHED

    def test_each_request_is_named(self) -> None:
        found = decided(by_template(using()), "none", wants(name="a"), wants("dra.cpu", name="b"), wants(name="c"))
        assert rules(found) == ["gpu-not-permitted"] * 2

    def test_a_class_by_its_resource_name(self) -> None:
        pod = a_pod(a_container(limits={f"{IMPLICIT}{NVIDIA}": 1}))
        assert one_finding(decided(pod, "none")).message == (
            f'container "train": {IMPLICIT}{NVIDIA}: 1: DeviceClass {NVIDIA} is not permitted under namespace policy "none"; '
            "remove the request, or use a namespace whose policy permits GPUs"
        )
        pod = a_pod(a_container(limits={f"{IMPLICIT}{OTHER}": 1}))
        assert rules(decided(pod, "none")) == ["other-gpu-resource"]

    def test_the_messages(self) -> None:
        finding = one_finding(decided(by_template(using()), "none"))
        assert finding.path == "spec.resourceClaims[0]"
        assert finding.message == (
            'claim "gpu": ResourceClaimTemplate "one", request gpu: DeviceClass gpu.nvidia.com is not permitted under '
            'namespace policy "none"; remove the claim, or use a namespace whose policy permits GPUs'
        )
        assert (
            "is not permitted in this namespace; no GPU is permitted while its label gpuwarden.io/enforce can't be read"
            in (one_finding(decided(by_name(using()), UNREADABLE)).message)
        )


class TestFormNotPermitted:
    @pytest.mark.parametrize(
        ("policy", "pod", "request_"),
        [
            ("shared", by_template(using()), wants()),
            ("exclusive", by_name(using()), wants()),
            ("exclusive", by_template(using("a"), using("b")), wants()),
            ("mig-1g.5gb", by_template(using()), wants()),
            ("mig-2g.10gb", by_template(using()), wants(SLICES, PROFILE)),
            ("mps", by_name(using()), wants()),
            ("exclusive", by_template(using()), first_of(exact(NVIDIA), exact(SLICES, PROFILE))),
            (a_policy("shared", mismatch="rewrite"), by_template(using()), wants()),
        ],
    )
    def test_another_form_is_denied(self, policy: str | Policy, pod: Json, request_: Json) -> None:
        assert rules(decided(pod, policy, request_)) == ["form-not-permitted"]

    def test_a_shared_form_that_is_open_is_not_narrowed(self) -> None:
        classes = DeviceClasses({NVIDIA: "shared"})
        assert rules(decided(by_template(using()), "mps", classes=classes)) == ["form-not-permitted"]
        assert rules(decided(by_template(using()), "shared", classes=classes)) == []

    def test_a_class_by_its_resource_name(self) -> None:
        pod = a_pod(a_container(limits={f"{IMPLICIT}{NVIDIA}": 1}))
        finding = one_finding(decided(pod, "shared"))
        assert (finding.rule.id, finding.path) == (
            "form-not-permitted",
            f"spec.containers[0].resources.limits[{IMPLICIT}{NVIDIA}]",
        )

    def test_the_messages(self) -> None:
        assert one_finding(decided(by_template(using()), a_policy("mig-1g.5gb", "shared"))).message == (
            'claim "gpu": ResourceClaimTemplate "one", request gpu: DeviceClass gpu.nvidia.com is form "exclusive", which '
            'namespace policy "team" does not permit; it permits mig-1g.5gb, shared; claim that, or request nvidia.com/gpu, '
            "which becomes mig-1g.5gb"
        )
        assert one_finding(decided(by_name(using()), "exclusive")).message == (
            'claim "gpu": ResourceClaim "one", request gpu: DeviceClass gpu.nvidia.com is form "time-slicing", which '
            'namespace policy "exclusive" does not permit; it permits exclusive; claim that; pods can share a ResourceClaim, '
            "and a ResourceClaimTemplate gives each its own, or request nvidia.com/gpu, which becomes exclusive"
        )


class TestClaimNotPermitted:
    @pytest.mark.parametrize(
        ("policy", "request_"),
        [
            ("exclusive", wants(OTHER)),
            ("exclusive", wants("vfio.gpu.nvidia.com")),
            ("mig-1g.5gb", wants(SLICES)),
            ("mig-1g.5gb", wants(SLICES, f"{PROFILE} || true")),
            ("exclusive", first_of(exact(NVIDIA), exact(OTHER))),
            ("exclusive", wants(adminAccess=True)),
            ("none", wants(adminAccess=True)),
            (UNREADABLE, wants(adminAccess=True)),
        ],
    )
    def test_what_has_no_known_form_or_admin_access_is_denied(self, policy: str | Policy, request_: Json) -> None:
        assert rules(decided(by_template(using()), policy, request_)) == ["claim-not-permitted"]

    def test_the_messages(self) -> None:
        assert one_finding(decided(by_template(using()), "exclusive", wants(OTHER))).message == (
            'claim "gpu": ResourceClaimTemplate "one", request gpu: DeviceClass h100.example.com provides GPUs in an unknown '
            'form; namespace policy "exclusive" permits only exclusive; select a MIG slice by its profile alone, or '
            "ask an administrator to set the form of the class in claims.deviceClasses; if it is not for GPUs, "
            "deviceclass.resource.kubernetes.io/h100.example.com belongs in resources.notGPUs of gpuwarden's configuration"
        )
        assert one_finding(decided(by_template(using()), "exclusive", wants(adminAccess=True))).message == (
            'claim "gpu": ResourceClaimTemplate "one", request gpu: DeviceClass gpu.nvidia.com with adminAccess is not '
            'permitted under namespace policy "exclusive"; it gives access to GPUs that others use; remove it, or use a policy '
            "with adminAccess: true"
        )


class TestClaimNotFound:
    @pytest.mark.parametrize("policy", ["none", "exclusive", UNREADABLE])
    @pytest.mark.parametrize("pod", [by_template(using()), by_name(using()), by_template(a_container())])
    def test_is_denied_because_it_may_appear_later(self, policy: str | Policy, pod: Json) -> None:
        by = policy_of(policy) if isinstance(policy, str) else policy
        assert rules(decide(view(pod), by, RENAMED, claims=claimed(pod, None))) == ["claim-not-found"]

    def test_the_messages(self) -> None:
        pod = a_pod(
            using(),
            resourceClaims=[
                {"name": "gpu", "resourceClaimTemplateName": "one"},
                {"name": "new", "podGroupResourceClaim": "x"},
            ],
        )
        first, second = decide(view(pod), policy_of("none"), RENAMED, claims=claimed(pod, None)).findings
        assert (first.path, first.message) == (
            "spec.resourceClaims[0]",
            (
                'claim "gpu": ResourceClaimTemplate "one" was not found; what the pod claims can\'t be evaluated under namespace '
                'policy "none"; create it, and then the pod'
            ),
        )
        assert (second.path, second.message) == (
            "spec.resourceClaims[1]",
            (
                'claim "new": names neither a ResourceClaim nor a ResourceClaimTemplate; what the pod claims can\'t be evaluated '
                'under namespace policy "none"; name one of them'
            ),
        )


class TestMixed:
    @pytest.mark.parametrize("policy", ["any", "exclusive"])
    def test_a_resource_and_a_claim_in_one_container(self, policy: str) -> None:
        finding = one_finding(decided(by_template(using(limits={GPU: 1})), policy))
        assert (finding.rule.id, finding.path) == ("mixed-gpu-resources", "spec.containers[0].resources.claims[0]")
        assert finding.message == (
            'container "train": requests nvidia.com/gpu and claims GPUs too; the container would be charged for both; keep one '
            "of them, or use a container for each"
        )

    def test_a_resource_and_a_class_by_name(self) -> None:
        pod = a_pod(a_container(limits={GPU: 1, f"{IMPLICIT}{NVIDIA}": 1}))
        assert rules(decided(pod, "exclusive")) == ["mixed-gpu-resources"]

    @pytest.mark.parametrize(
        "pod",
        [
            by_template(using("a"), gpu(name="b")),
            by_template(using("a", "other", limits={GPU: 1})),
            a_pod(using(limits={GPU: 0}), resourceClaims=[{"name": "gpu", "resourceClaimTemplateName": "one"}]),
        ],
    )
    def test_apart_they_are_fine(self, pod: Json) -> None:
        assert rules(decided(pod, "exclusive")) == []

    def test_a_claim_for_something_else_is_fine(self) -> None:
        assert rules(decided(by_template(using(limits={GPU: 1})), "exclusive", wants("dra.cpu"))) == []

    def test_a_resource_beside_a_claim_is_still_rewritten(self) -> None:
        decision = decided(by_template(using("a"), gpu(name="b")), a_policy("mig-1g.5gb"), wants(SLICES, PROFILE))
        assert (rules(decision), bool(decision.edits)) == ([], True)


class TestLimits:
    PER_CONTAINER = a_policy("exclusive", max_per_container=2)
    PER_POD = a_policy("exclusive", max_per_pod=2)

    @pytest.mark.parametrize(
        ("pod", "listed"),
        [
            (by_template(using()), [wants(count=2)]),
            (by_template(using()), [wants(name="a"), wants(name="b")]),
            (by_template(using("a", "a"), using("b", "b")), [wants(name="a", count=2), wants(name="b", count=2)]),
            (by_template(a_container()), [wants(count=8)]),
            (by_template(using()), [first_of(exact(NVIDIA, count=2), exact(NVIDIA))]),
            (by_template(using()), [wants(), wants("dra.cpu", name="b", count=8)]),
        ],
    )
    def test_a_container_within_its_limit(self, pod: Json, listed: list[Json]) -> None:
        assert rules(decided(pod, self.PER_CONTAINER, *listed)) == []

    @pytest.mark.parametrize(
        "listed",
        [
            [wants(count=3)],
            [wants(name="a", count=2), wants(name="b")],
            [first_of(exact(NVIDIA), exact(NVIDIA, count=3))],
            [wants(allocationMode="All")],
        ],
    )
    def test_a_container_above_its_limit(self, listed: list[Json]) -> None:
        assert rules(decided(by_template(using()), self.PER_CONTAINER, *listed)) == ["per-container-limit"]

    def test_a_class_in_no_form_counts_by_its_resource_name(self) -> None:
        policy = a_policy(permits_any=True, max_per_container=2, max_per_pod=3)
        one, two = (a_container(name, limits={f"{IMPLICIT}{OTHER}": 2}) for name in "ab")
        assert rules(decided(a_pod(one), policy)) == []
        assert rules(decided(a_pod(one, two), policy)) == ["per-pod-limit"]
        assert rules(decided(a_pod(a_container(limits={f"{IMPLICIT}{OTHER}": 3})), policy)) == ["per-container-limit"]

    def test_limits_hold_where_any_form_is_permitted(self) -> None:
        policy = a_policy(permits_any=True, max_per_container=2, max_per_pod=3)
        assert rules(decided(by_name(using()), policy, wants(OTHER, count=2))) == []
        assert rules(decided(by_name(using()), policy, wants(OTHER, count=3))) == ["per-container-limit"]
        assert rules(
            decided(
                by_name(using("a", "a"), using("b", "b")), policy, wants(name="a", count=2), wants(name="b", count=2)
            )
        ) == ["per-pod-limit"]
        pod = by_template(using())
        assert rules(decide(view(pod), policy, RENAMED, claims=claimed(pod, None))) == ["claim-not-found"]

    def test_admin_access_takes_none(self) -> None:
        policy = a_policy("exclusive", max_per_container=1, max_per_pod=1, admin_access=True)
        assert rules(decided(by_template(using()), policy, wants(adminAccess=True, allocationMode="All"))) == []

    @pytest.mark.parametrize(
        ("pod", "listed"),
        [
            (by_template(using()), [wants(count=2)]),
            (by_template(using("a"), gpu(name="b")), [wants()]),
            (by_template(using("a"), initContainers=[gpu(1)]), [wants()]),
        ],
    )
    def test_a_pod_within_its_limit(self, pod: Json, listed: list[Json]) -> None:
        assert rules(decided(pod, self.PER_POD, *listed)) == []

    @pytest.mark.parametrize(
        ("pod", "listed"),
        [
            (by_template(using()), [wants(count=3)]),
            (by_template(a_container()), [wants(allocationMode="All")]),
            (by_template(using("a"), gpu(2, name="b")), [wants()]),
            (by_template(using("a"), gpu(name="b")), [wants(count=2)]),
            (by_template(using("a"), initContainers=[gpu(2)]), [wants()]),
            (by_template(using("a"), gpu(3, name="b")), [wants()]),
            (by_template(using("a"), gpu(3, name="b")), [wants("dra.cpu")]),
        ],
    )
    def test_a_pod_above_its_limit_is_told_once(self, pod: Json, listed: list[Json]) -> None:
        assert rules(decided(pod, self.PER_POD, *listed)) == ["per-pod-limit"]

    def test_without_a_limit_any_number_passes(self) -> None:
        assert rules(decided(by_template(using()), "exclusive", wants(allocationMode="All"))) == []

    def test_a_class_by_name_counts(self) -> None:
        pod = a_pod(a_container(limits={f"{IMPLICIT}{NVIDIA}": 3}))
        assert rules(decided(pod, self.PER_CONTAINER)) == ["per-container-limit"]
        assert rules(decided(pod, self.PER_POD)) == ["per-pod-limit"]

    def test_what_is_denied_already_is_not_counted(self) -> None:
        policy = a_policy("shared", max_per_container=1, max_per_pod=1)
        assert rules(decided(by_template(using()), policy, wants(count=3))) == ["form-not-permitted"]

    def test_the_messages(self) -> None:
        policy = a_policy("exclusive", max_per_container=1, max_per_pod=2)
        container, pod = decided(by_template(using()), policy, wants(count=3)).findings
        assert (container.path, container.message) == (
            "spec.resourceClaims[0]",
            'container "train": its claims are for 3 GPUs; namespace policy "team" permits 1 per container; claim 1',
        )
        assert (pod.path, pod.message) == (
            "spec",
            'pod: its claims and containers are for 3 GPUs at once; namespace policy "team" permits 2 per pod; claim at most 2',
        )
        container, pod = decided(by_template(using()), policy, wants(allocationMode="All")).findings
        assert "its claims are for every GPU of a class (allocationMode: All)" in container.message
        assert "its claims and containers are for every GPU of a class (allocationMode: All) at once" in pod.message


def test_a_mirror_pod_is_left_alone() -> None:
    pod = by_template(using(), annotations={"kubernetes.io/config.mirror": "x"})
    assert decided(pod, "none") == UNTOUCHED


def test_without_what_it_claims_a_pod_is_evaluated_by_its_resources_alone() -> None:
    assert evaluate(by_template(using()), "none") == UNTOUCHED
    assert rules(evaluate(by_template(gpu(1, MIG)), "none")) == ["gpu-not-permitted"]


def test_a_large_pod_takes_no_longer_than_it_is_large() -> None:
    """A container may use every claim, and a claim has up to 32 requests."""
    names = [f"c{number}" for number in range(128)]
    many: Mapping[str, Any] = a_pod(
        *(a_container(f"t{n}", resources={"claims": [{"name": name} for name in names]}) for n in range(50)),
        resourceClaims=[{"name": name, "resourceClaimTemplateName": "one"} for name in names],
        initContainers=[using(f"i{n}") for n in range(2000)],
    )
    pod = dict(many)
    decision = decided(
        pod, a_policy("exclusive", max_per_container=1, max_per_pod=1), *(wants(name=f"r{n}") for n in range(32))
    )
    assert len(decision.findings) == 128 * 32
