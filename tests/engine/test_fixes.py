"""The fix that a denial names admits the pod: each is read from the message, and carried out."""

import re
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.builders import GPU, MIG, PRODUCT, SHARED, STRATEGY, Json, a_pod, evaluate, gpu
from tests.engine.strategies import listed_forms, plugins, selectors_of_forms, terms_of_forms
from webhook.engine.forms import Form, Platform
from webhook.engine.policy import Policy
from webhook.engine.spelling import LABELS_OF_FORMS, DevicePlugin

KEY = r"(?:nvidia\.com|cloud\.google\.com)/[a-z0-9.-]+[a-z0-9]"
REMOVE = re.compile(rf"remove ({KEY}(?:(?:, | and ){KEY})*) from the pod")
WITHOUT_LABELS = ", and do not select labels of shared nodes"


def without(pod: Json, *keys: str) -> Json:
    """A pod without some node labels, or without all that tell forms apart."""

    def stays(key: str) -> bool:
        return key not in keys if keys else not key.startswith(LABELS_OF_FORMS)

    spec = {**pod["spec"]}
    spec["nodeSelector"] = {key: value for key, value in spec.get("nodeSelector", {}).items() if stays(key)}
    terms = [[e for e in term["matchExpressions"] if stays(e["key"])] for term in terms_of(spec)]
    if terms and all(terms):
        required = {"nodeSelectorTerms": [{"matchExpressions": expressions} for expressions in terms]}
        spec["affinity"] = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}
    else:
        spec.pop("affinity", None)
    return {**pod, "spec": spec}


def terms_of(spec: Json) -> list[Json]:
    if "affinity" not in spec:
        return []
    terms: list[Json] = spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][
        "nodeSelectorTerms"
    ]
    return terms


def requesting(pod: Json, count: int, resource: str | None = None) -> Json:
    """A pod with another request."""
    [container] = pod["spec"]["containers"]
    [name] = container["resources"]["limits"]
    return {**pod, "spec": {**pod["spec"], "containers": [gpu(count, resource or name)]}}


def fixed(pod: Json, rule: str, message: str, count: int, policy: Policy) -> Iterator[tuple[Json, Policy]]:
    """What the message says to do, each way of it, and the policy then."""
    if found := REMOVE.search(message):
        yield without(pod, *re.findall(KEY, found[1])), policy
    if rule == "form-not-permitted":
        one = f"{GPU}: 1 without selectors" in message
        yield requesting(without(pod), 1 if one else count, GPU), policy
    if rule == "shared-request-above-one":
        yield requesting(pod, 1), policy
        rest = without(pod) if message.endswith(WITHOUT_LABELS) else pod
        whole = f"(nodeSelector {STRATEGY}: none)"
        if whole in message:
            chosen = {**rest["spec"], "nodeSelector": {**rest["spec"].get("nodeSelector", {}), STRATEGY: "none"}}
            yield requesting({**rest, "spec": chosen}, count, GPU), policy
        elif "gke-exclusive first" in message:
            yield requesting(rest, count, GPU), Policy("other", (Form(platform=Platform.GKE), *policy.forms))
        else:
            platform = policy.forms[0].platform if policy.forms else Platform.DEVICE_PLUGIN
            yield requesting(rest, count, GPU), Policy("other", (Form(platform=platform),))


PLACED = st.builds(
    lambda selector, terms: {"nodeSelector": selector, **terms},
    selectors_of_forms | st.just({}),
    st.just({})
    | st.lists(terms_of_forms, min_size=1, max_size=2).map(
        lambda terms: {
            "affinity": {
                "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
            }
        }
    ),
)


@pytest.mark.no_cover  # it takes long, and other tests reach every line
@settings(max_examples=500, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(
    placed=PLACED,
    resource=st.sampled_from([GPU, GPU, SHARED, MIG]),
    count=st.sampled_from([1, 2]),
    forms=st.lists(listed_forms(), max_size=3, unique=True),
    plugin=plugins,
)
def test_every_fix_of_a_denial_that_is_the_only_one_admits_the_pod(
    placed: Json, resource: str, count: int, forms: list[Form], plugin: DevicePlugin
) -> None:
    pod = a_pod(gpu(count, resource), **placed)
    policy = Policy("team", tuple(forms), permits_any=not forms)
    findings = evaluate(pod, policy, plugin).denials
    if len(findings) != 1:
        return
    [finding] = findings
    for after, then in fixed(pod, finding.rule.id, finding.message, count, policy):
        left = [each.message for each in evaluate(after, then, plugin).denials if each.rule is finding.rule]
        assert left == [], (finding.message, after["spec"])


def test_a_pod_that_selects_a_model_is_not_said_to_select_shared_nodes() -> None:
    pod = a_pod(gpu(2, SHARED), nodeSelector={PRODUCT: "NVIDIA-A100-SXM4-40GB"})
    [finding] = evaluate(pod, "shared").denials
    assert finding.message.endswith(
        "request 1, or use a namespace whose policy permits whole GPUs, and do not select labels of shared nodes"
    )
