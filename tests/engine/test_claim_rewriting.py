"""Rewriting into claims (DRA): a plain request becomes a reference to the template that the policy lists first."""

from typing import Any

import msgspec
import pytest

from tests.builders import GPU, MIG, RENAMED, SHARED, Json, a_container, a_pod, applied, gpu, messages, rules, view
from webhook.engine.claim_objects import Claim, ClaimSpec, claim
from webhook.engine.claim_rewriting import references
from webhook.engine.claims import TEMPLATE, Reference, Resolved, read
from webhook.engine.decision import UNTOUCHED, Decision, decide
from webhook.engine.fleet.fleet import Fleet
from webhook.engine.fleet.fleet_findings import with_fleet_findings
from webhook.engine.forms import Form
from webhook.engine.patch import patch
from webhook.engine.policy import ClaimForm, Policy
from webhook.engine.reapplied import restored

CLASS = "gpu.nvidia.com"
FORM = ClaimForm("one", CLASS)
POLICY = Policy("claims", claim_forms=(FORM,), plain_claim=FORM)
WITH_SLICES = Policy("claims", (Form("1g.5gb"),), (FORM,), FORM)
SLICES_FIRST = Policy("claims", (Form("1g.5gb"),), (FORM,))
ONE = Reference(TEMPLATE, "one")
TEMPLATES: Json = {"name": "gpuwarden-0", "resourceClaimTemplateName": "one"}


def a_template(*devices: Json) -> Claim:
    listed = [
        {"name": f"r{n}", "exactly": {"deviceClassName": CLASS} | device} for n, device in enumerate(devices or [{}])
    ]
    found = claim(msgspec.convert({"devices": {"requests": listed}}, ClaimSpec))
    assert found is not None
    return found


FOUND: Resolved = {ONE: a_template()}


def evaluate(pod: Json, policy: Policy = POLICY, resolved: Resolved = FOUND) -> Decision:
    return decide(view(pod), policy, RENAMED, resolved=resolved)


def claiming(name: str = "train", claim: str = "gpuwarden-0", **fields: Any) -> Json:
    return a_container(name, resources={"limits": {}, "claims": [{"name": claim}]}, **fields)


UNCHANGED = [
    a_pod(a_container(limits={"cpu": 1})),
    a_pod(claiming(), resourceClaims=[TEMPLATES]),
    a_pod(gpu(0)),
]


@pytest.mark.parametrize("pod", UNCHANGED)
def test_what_requests_no_gpu_is_left_alone(pod: Json) -> None:
    assert evaluate(pod) == UNTOUCHED


def test_a_plain_request_becomes_a_claim_of_its_own_for_each_container() -> None:
    pod = a_pod(
        a_container("train", {GPU: 1, "cpu": 2}, {GPU: "1"}),
        gpu(1, name="serve"),
        a_container("web"),
        initContainers=[gpu(1, name="proxy", restartPolicy="Always")],
        resourceClaims=[{"name": "gpuwarden-1", "resourceClaimName": "mine"}],
    )
    decision = evaluate(pod)
    assert not decision.findings
    spec = applied(pod, decision)["spec"]
    assert spec["resourceClaims"] == [
        {"name": "gpuwarden-1", "resourceClaimName": "mine"},
        TEMPLATES,
        {"name": "gpuwarden-2", "resourceClaimTemplateName": "one"},
        {"name": "gpuwarden-3", "resourceClaimTemplateName": "one"},
    ]
    used = {
        one["name"]: one["resources"] for one in [*spec["initContainers"], *spec["containers"]] if "resources" in one
    }
    assert used["proxy"] == {"limits": {}, "claims": [{"name": "gpuwarden-0"}]}
    assert used["train"] == {"limits": {"cpu": 2}, "requests": {}, "claims": [{"name": "gpuwarden-2"}]}
    assert used["serve"] == {"limits": {}, "claims": [{"name": "gpuwarden-3"}]}
    assert not spec.get("tolerations")


def test_it_says_what_it_changed_and_changes_nothing_twice() -> None:
    pod = a_pod(gpu(1))
    decision = evaluate(pod)
    final = applied(pod, decision)
    assert final["metadata"]["annotations"] == {
        "gpuwarden.io/original-request": '{"train":{"nvidia.com/gpu":"1"}}',
        "gpuwarden.io/policy": "claims",
    }
    assert str(decision.edits[0]) == (
        'spec.containers[0]: nvidia.com/gpu becomes claim gpuwarden-0 of ResourceClaimTemplate "one"'
    )
    again = view(final)
    assert again.spec
    claimed = read(again.spec, [], FOUND)
    assert decide(again, POLICY, RENAMED, claims=claimed, resolved=FOUND) == UNTOUCHED


@pytest.mark.parametrize("policy", [POLICY, SLICES_FIRST])
@pytest.mark.parametrize(
    ("template", "told"),
    [
        (a_template(), []),
        (a_template({"count": 8}), []),
        (a_template({"deviceClassName": "mig.nvidia.com"}), ["claim-not-permitted"]),
        (a_template({"adminAccess": True}), ["claim-not-permitted"]),
        (a_template({}, {"deviceClassName": "h100.example.com"}), ["claim-not-permitted"]),
    ],
)
def test_a_claim_of_the_template_is_permitted_as_long_as_it_is_of_the_class(
    policy: Policy, template: Claim, told: list[str]
) -> None:
    pod = a_pod(claiming(), resourceClaims=[TEMPLATES])
    spec = view(pod).spec
    assert spec
    claimed = read(spec, [], {ONE: template, Reference(TEMPLATE, "other"): template})
    assert rules(decide(view(pod), policy, RENAMED, claims=claimed)) == told


def test_a_claim_of_another_template_is_not_permitted() -> None:
    pod = a_pod(claiming(), resourceClaims=[{"name": "gpuwarden-0", "resourceClaimTemplateName": "other"}])
    spec = view(pod).spec
    assert spec
    claimed = read(spec, [], {Reference(TEMPLATE, "other"): a_template()})
    decision = decide(view(pod), POLICY, RENAMED, claims=claimed)
    assert messages(decision) == [
        (
            'claim "gpuwarden-0": ResourceClaimTemplate "other", request r0: DeviceClass gpu.nvidia.com is form "exclusive", '
            'which namespace policy "claims" does not permit; it permits a claim of ResourceClaimTemplate "one"; claim that, or '
            'request nvidia.com/gpu, which becomes a claim of ResourceClaimTemplate "one"'
        )
    ]


@pytest.mark.parametrize(
    ("pod", "policy", "told"),
    [
        (a_pod(gpu(1, MIG)), WITH_SLICES, []),
        (a_pod(gpu(1, MIG)), POLICY, ["form-not-permitted"]),
        (a_pod(gpu(1, SHARED)), WITH_SLICES, ["form-not-permitted"]),
        (a_pod(gpu(1), nodeSelector={"nvidia.com/gpu.sharing-strategy": "mps"}), POLICY, ["form-not-permitted"]),
        (a_pod(gpu(1), gpu(1, MIG, name="b")), WITH_SLICES, []),
        (a_pod(gpu("0.5")), POLICY, ["not-a-whole-number"]),
    ],
)
def test_a_request_that_states_a_form_is_evaluated_as_ever(pod: Json, policy: Policy, told: list[str]) -> None:
    assert rules(evaluate(pod, policy)) == told


def test_beside_a_claim_another_form_is_spelled_as_ever() -> None:
    pod = a_pod(gpu(1), gpu(1, MIG, name="b"))
    spec = applied(pod, evaluate(pod, WITH_SLICES))["spec"]
    assert [one["resources"] for one in spec["containers"]] == [
        {"limits": {}, "claims": [{"name": "gpuwarden-0"}]},
        {"limits": {MIG: 1}},
    ]


def test_where_a_form_is_listed_first_a_plain_request_becomes_that() -> None:
    pod = a_pod(gpu(1))
    assert applied(pod, evaluate(pod, SLICES_FIRST))["spec"]["containers"][0]["resources"] == {"limits": {MIG: 1}}


BECOMES = 'container "train": nvidia.com/gpu: {} becomes a claim of ResourceClaimTemplate "one", which '


@pytest.mark.parametrize(
    ("pod", "template", "rule", "message"),
    [
        (
            a_pod(gpu(1)),
            None,
            "claim-not-found",
            BECOMES.format(1)
            + 'was not found; namespace policy "claims" needs it in the namespace of the pod; create it there, '
            "with a request for DeviceClass gpu.nvidia.com (kubectl create --namespace <namespace> -f <file>; Kubernetes 1.34 or "
            "later), and then the pod",
        ),
        (
            a_pod(gpu(1)),
            a_template({"deviceClassName": "mig.nvidia.com"}),
            "claim-not-permitted",
            BECOMES.format(1)
            + 'claims DeviceClass mig.nvidia.com; namespace policy "claims" needs a template for DeviceClass '
            "gpu.nvidia.com; ask the owner of the namespace to correct it",
        ),
        (
            a_pod(gpu(1)),
            Claim(),
            "claim-not-permitted",
            BECOMES.format(1)
            + 'claims nothing; namespace policy "claims" needs a template for DeviceClass gpu.nvidia.com; ask '
            "the owner of the namespace to correct it",
        ),
        (
            a_pod(gpu(2)),
            a_template(),
            "claim-not-possible",
            BECOMES.format(2)
            + 'claims 1; under namespace policy "claims" a container gets what the template claims; request 1, '
            "or use another namespace",
        ),
        (
            a_pod(gpu(1)),
            a_template({"allocationMode": "All"}),
            "claim-not-possible",
            BECOMES.format(1)
            + 'claims every GPU of the class; under namespace policy "claims" a container gets what the '
            "template claims; use another namespace",
        ),
        (
            a_pod(a_container(resources={"limits": {GPU: 1}, "claims": [{"name": "nic"}]})),
            a_template(),
            "claim-not-possible",
            (
                'container "train": requests nvidia.com/gpu and has claims too; under namespace policy "claims" the request '
                "becomes a claim; claim the GPU as well, or use a container for each"
            ),
        ),
        (
            a_pod(gpu(1), initContainers=[gpu(1, name="load")]),
            a_template(),
            "claim-not-possible",
            (
                'container "load": requests nvidia.com/gpu: 1 and so does container "train"; under namespace policy "claims" '
                "each becomes a claim, which the pod keeps until it ends; request the GPU in one of them"
            ),
        ),
    ],
)
def test_what_can_t_become_the_claim_is_denied(pod: Json, template: Claim | None, rule: str, message: str) -> None:
    decision = evaluate(pod, resolved={ONE: template})
    assert (rules(decision), messages(decision), decision.edits) == ([rule], [message], ())


@pytest.mark.parametrize("template", [a_template({"count": 2}), a_template({}, {})])
def test_several_gpus_become_a_claim_where_the_template_claims_as_many(template: Claim) -> None:
    assert len(evaluate(a_pod(gpu(2)), resolved={ONE: template}).edits) == 3


def test_an_init_container_alone_becomes_a_claim() -> None:
    assert not evaluate(a_pod(a_container(), initContainers=[gpu(1, name="load")])).findings


def test_a_template_that_was_not_looked_up_is_taken_to_claim_what_is_requested() -> None:
    assert not evaluate(a_pod(gpu(2)), resolved={}).findings


def test_the_templates_of_several_policies_are_named_once() -> None:
    assert references([POLICY, SLICES_FIRST, WITH_SLICES, Policy("none")]) == [ONE]


def test_nodes_are_asked_for_what_stays_a_resource_and_not_for_what_becomes_a_claim() -> None:
    pod = a_pod(gpu(1), gpu(1, MIG, name="b"))
    told = with_fleet_findings(evaluate(pod, WITH_SLICES), view(pod), WITH_SLICES, Fleet({}))
    assert [finding.path for finding in told.findings] == [f"spec.containers[1].resources.limits[{MIG}]"]


def test_limits_of_the_policy_hold() -> None:
    limited = msgspec.structs.replace(POLICY, max_per_container=1)
    assert rules(evaluate(a_pod(gpu(2)), limited, {ONE: a_template({"count": 2})})) == ["per-container-limit"]
    limited = msgspec.structs.replace(POLICY, max_per_pod=1)
    assert rules(evaluate(a_pod(gpu(1), gpu(1, name="b")), limited)) == ["per-pod-limit"]


# --- a manifest that is applied again -----------------------------------------------------------------------------------

MANIFEST = a_pod(gpu(1), a_container("web"))
LIVE = applied(MANIFEST, evaluate(MANIFEST))


def again(*containers: Json) -> Json:
    return {**LIVE, "spec": {**LIVE["spec"], "containers": list(containers)}}


BOTH = a_container(resources={"limits": {GPU: 1}, "requests": {GPU: 1}, "claims": [{"name": "gpuwarden-0"}]})


def test_a_manifest_applied_again_is_made_what_the_pod_is() -> None:
    pod = again(BOTH, a_container("web"))
    operations = restored(view(pod), view(LIVE), POLICY, RENAMED)
    assert [(one["op"], one["path"]) for one in operations] == [
        ("remove", "/spec/containers/0/resources/limits/nvidia.com~1gpu"),
        ("remove", "/spec/containers/0/resources/requests/nvidia.com~1gpu"),
    ]


@pytest.mark.parametrize(
    ("pod", "policy"),
    [
        (LIVE, POLICY),
        (again(BOTH, gpu(1, name="web")), POLICY),
        (
            again(a_container(resources={"limits": {MIG: 1}, "claims": [{"name": "gpuwarden-0"}]}), a_container("web")),
            POLICY,
        ),
        (again(BOTH, a_container("web")), Policy("shared", (Form("1g.5gb"),))),
    ],
)
def test_an_update_that_asks_for_something_else_is_never_hidden(pod: Json, policy: Policy) -> None:
    assert restored(view(pod), view(LIVE), policy, RENAMED) == []


def test_a_claim_that_the_user_named_is_not_taken_for_one_that_was_made() -> None:
    own = {"name": "mine", "resourceClaimTemplateName": "one"}
    before = a_pod(claiming(claim="mine"), resourceClaims=[own])
    after = a_pod(a_container(resources={"limits": {GPU: 1}, "claims": [{"name": "mine"}]}), resourceClaims=[own])
    assert restored(view(after), view(before), POLICY, RENAMED) == []


def test_a_template_of_a_workload_is_patched_below_its_path() -> None:
    pod = a_pod(gpu(1))
    paths = {one["path"] for one in patch(view(pod), evaluate(pod).edits, "/spec/template")}
    assert "/spec/template/spec/resourceClaims" in paths


def test_a_name_that_another_container_already_uses_is_not_given_to_a_claim() -> None:
    """Such a pod is not valid. With that name it would be, and the other container would share the GPU."""
    pod = a_pod(gpu(1), claiming("peer"))
    spec = applied(pod, evaluate(pod))["spec"]
    assert [one["name"] for one in spec["resourceClaims"]] == ["gpuwarden-1"]
    assert spec["containers"][1]["resources"]["claims"] == [{"name": "gpuwarden-0"}]


def alternatives(*counts: int) -> Claim:
    listed = [{"name": f"a{n}", "deviceClassName": CLASS, "count": count} for n, count in enumerate(counts)]
    found = claim(msgspec.convert({"devices": {"requests": [{"name": "r", "firstAvailable": listed}]}}, ClaimSpec))
    assert found is not None
    return found


def test_a_prioritized_list_has_to_claim_as_many_in_every_alternative() -> None:
    assert not evaluate(a_pod(gpu(2)), resolved={ONE: alternatives(2, 2)}).findings
    for counts in ((1, 8), (8, 1)):
        found = evaluate(a_pod(gpu(1)), resolved={ONE: alternatives(*counts)})
        assert rules(found) == ["claim-not-possible"]
        assert "which claims 1 to 8; under namespace policy" in messages(found)[0]
        assert messages(found)[0].endswith("; use another namespace")
