"""Admission on anything at all: an answer or a ``ReviewError``, and a mutated pod that validates or is denied with reason."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from testing.reviews import (
    GPU,
    TEAM,
    UID,
    Answered,
    Json,
    KnownNamespaces,
    Notes,
    Webhook,
    a_container,
    a_pod,
    a_review,
    finish,
    read_answer,
)
from tests.builders import additions
from webhook.application.admission import Admission
from webhook.application.configuration import Configuration, Mode
from webhook.application.namespaces import NamespaceNotFound
from webhook.application.review import ReviewError
from webhook.engine.forms import parse
from webhook.engine.namespace_labels import NamespaceLabels
from webhook.engine.pods import Toleration
from webhook.engine.policy import Mismatch, Policy, PolicyBook
from webhook.engine.rules.not_rewritten import NOT_REWRITTEN
from webhook.engine.spelling import DevicePlugin

SHARED = f"{GPU}.shared"
MIG = "nvidia.com/mig-1g.5gb"
STRATEGY = f"{GPU}.sharing-strategy"
PRODUCT = f"{GPU}.product"
GKE_SHARING = "cloud.google.com/gke-gpu-sharing-strategy"
GKE_CLIENTS = "cloud.google.com/gke-max-shared-clients-per-gpu"
GKE_PARTITION = "cloud.google.com/gke-gpu-partition-size"

# The words of pods and reviews, so that generated JSON has a chance to mean something.
WORDS = (
    *("apiVersion", "kind", "request", "uid", "operation", "object", "namespace", "metadata", "annotations", "spec"),
    *("containers", "initContainers", "resources", "limits", "requests", "name", "env", "nodeSelector", "affinity"),
    *("nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms", "matchExpressions"),
    *("matchFields", "key", "operator", "values", "tolerations", "tolerationSeconds", "effect", "hostIPC", "CREATE"),
    *("restartPolicy", "runtimeClassName", "schedulerName", "In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"),
    *(GPU, SHARED, MIG, STRATEGY, PRODUCT, GKE_SHARING, GKE_CLIENTS, GKE_PARTITION, "mps", "time-slicing", "1", "2"),
)
TEXTS = st.sampled_from(WORDS) | st.text(max_size=8)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | TEXTS
ANYTHING = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=5), max_leaves=25
)


def answer_or_error(body: bytes, uid: str | None) -> None:
    """What both endpoints say to a body: a review that answers it, or that it is none; never anything else."""
    labels = KnownNamespaces({TEAM: NamespaceLabels("mps", "mig-1g.5gb", "gke-mps-4")})
    admission = Admission(Configuration(), labels, Notes())
    for ask in (admission.mutate, admission.validate):
        try:
            answer = finish(ask(body))
        except (ReviewError, NamespaceNotFound):
            continue
        read_answer(answer, json.loads(answer)["response"]["uid"] if uid is None else uid)


@given(ANYTHING)
def test_any_json_as_a_body_gets_an_answer(anything: Any) -> None:
    answer_or_error(json.dumps(anything).encode(), None)


@given(st.binary(max_size=200))
def test_any_bytes_as_a_body_get_an_answer(anything: bytes) -> None:
    answer_or_error(anything, None)


@given(st.sampled_from(sorted(a_review({})["request"])), ANYTHING)
def test_any_json_in_any_field_of_a_request_gets_an_answer(field: str, anything: Any) -> None:
    review = a_review(a_pod())
    review["request"][field] = anything

    answer_or_error(json.dumps(review).encode(), UID if field != "uid" else None)


@settings(max_examples=300)
@given(ANYTHING)
def test_any_json_as_the_object_gets_an_answer(anything: Any) -> None:
    answer_or_error(json.dumps(a_review(anything)).encode(), UID)


@settings(max_examples=300)
@given(
    st.sampled_from(["containers", "initContainers", "nodeSelector", "affinity", "tolerations", "hostIPC"]), ANYTHING
)
def test_any_json_in_any_field_that_is_read_of_a_pod_gets_an_answer(field: str, anything: Any) -> None:
    answer_or_error(json.dumps(a_review(a_pod(**{field: anything}))).encode(), UID)


@given(ANYTHING)
def test_any_json_as_a_quantity_gets_an_answer(anything: Any) -> None:
    pod = a_pod(a_container("train", {GPU: anything}))

    answer_or_error(json.dumps(a_review(pod)).encode(), UID)


@given(st.text(max_size=70))
def test_any_text_as_a_label_gets_an_answer(label: str) -> None:
    webhook = Webhook(label, warn=label, audit=label)

    webhook.mutate(a_pod())
    webhook.validate(a_pod())


# Pods that ask for GPUs in every way that is written down, and policies of every kind. Of the terms of an affinity at
# least one matches something: a pod that runs nowhere is spelled no way.
QUANTITIES = st.sampled_from(["0", "1", "1", "1", "2", "1000m", "0.5", 1, "4"])
RESOURCES = st.dictionaries(st.sampled_from([GPU, SHARED, MIG, "nvidia.com/gpu-shared", "cpu"]), QUANTITIES, max_size=2)
CONTAINERS = st.builds(
    lambda name, limits, requests, env, more: {
        "name": name,
        "resources": {"limits": limits} if requests else {"limits": limits, "requests": dict(limits)},
        **({"env": env} if env is not None else {}),
        **more,
    },
    st.sampled_from(["train", "serve", "proxy"]),
    RESOURCES,
    st.booleans(),
    st.none() | st.lists(st.sampled_from([{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]), max_size=2),
    st.sampled_from([{}, {"restartPolicy": "Always"}]),
)
SELECTORS = st.dictionaries(
    st.sampled_from([STRATEGY, PRODUCT, GKE_SHARING, GKE_CLIENTS, GKE_PARTITION, "zone"]),
    st.sampled_from(
        ["mps", "time-slicing", "time-sharing", "none", "1g.5gb", "4", "A100", "A100-SHARED", "A100-MIG-1g.5gb"]
    ),
    max_size=3,
)
EXPRESSIONS = st.builds(
    lambda key, operator, values: (
        {"key": key, "operator": operator} | ({"values": values} if operator in ("In", "NotIn") else {})
    ),
    st.sampled_from([STRATEGY, PRODUCT, GKE_SHARING, GKE_CLIENTS, GKE_PARTITION, "zone"]),
    st.sampled_from(["In", "NotIn", "Exists", "DoesNotExist"]),
    st.lists(
        st.sampled_from(["mps", "time-slicing", "time-sharing", "1g.5gb", "4", "A100-SHARED"]), min_size=1, max_size=2
    ),
)
TERMS = st.fixed_dictionaries({"matchExpressions": st.lists(EXPRESSIONS, min_size=1, max_size=2)})
AFFINITIES = (
    st.lists(TERMS | st.just({}), min_size=1, max_size=2)
    .filter(any)
    .map(
        lambda terms: {
            "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}},
        }
    )
)
TOLERATIONS = st.lists(
    st.sampled_from([{"operator": "Exists"}, {"key": GPU, "operator": "Exists", "effect": "NoSchedule"}, {"key": "a"}]),
    max_size=2,
)
PODS = st.builds(
    lambda containers, spec, annotations: a_pod(*containers, annotations=annotations, **spec),
    st.lists(CONTAINERS, min_size=1, max_size=3),
    st.fixed_dictionaries(
        {},
        optional={
            "initContainers": st.lists(CONTAINERS, max_size=2),
            "nodeSelector": SELECTORS,
            "affinity": AFFINITIES,
            "tolerations": TOLERATIONS,
            "hostIPC": st.booleans(),
        },
    ),
    st.none() | st.just({"team/owner": "ml"}),
)
FORMS = (
    *("exclusive", "shared", "time-slicing", "mps", "mig-1g.5gb", "mig-1g.5gb-shared", "gke-exclusive"),
    *("gke-time-sharing-4", "gke-mps-4", "gke-mig-1g.5gb", "gke-mig-1g.5gb-mps-4"),
)
POLICIES = st.builds(
    lambda forms, mismatch, most, selector, adds: Policy(
        "house",
        tuple(form for form in map(parse, forms) if form),
        mismatch=mismatch,
        max_per_container=most,
        additions=additions(
            node_selector=selector,
            tolerations=(Toleration("pool", "Exists"),) if adds else (),
            runtime_class_name="nvidia" if adds else None,
            env={"A": "9"} if adds else {},
        ),
    ),
    st.lists(st.sampled_from(FORMS), min_size=1, max_size=3, unique=True),
    st.sampled_from(Mismatch),
    st.none() | st.integers(1, 3),
    st.sampled_from([{}, {"pool": "gpu"}]),
    st.booleans(),
)


def house(policy: Policy, *, renames: bool) -> Webhook:
    book = PolicyBook({"house": policy})
    return Webhook("house", configuration=Configuration(book, plugin=DevicePlugin(rename_by_default=renames)))


@settings(max_examples=400)
@given(PODS, POLICIES, st.booleans())
def test_a_mutated_pod_passes_validation_or_is_refused_for_what_was_found_on_arrival(
    pod: Json,
    policy: Policy,
    renames: bool,  # noqa: FBT001 - hypothesis gives it by name
) -> None:
    webhook = house(policy, renames=renames)

    arriving = webhook.mutate(pod)
    final = arriving.applied_to(pod)
    validated = webhook.validate(final)

    assert NOT_REWRITTEN.id not in validated.rules
    assert webhook.mutate(final).patch is None
    if arriving.annotations.get("enforce-outcome") == "denied":
        assert arriving.patch is None
        assert set(validated.rules) <= set(arriving.annotations["enforce-rules"].split(","))
        assert validated.rules
    else:
        assert validated.allowed
    assert _same_but_for_what_we_name(pod, final)


@settings(max_examples=200)
@given(PODS, POLICIES)
def test_the_dry_run_tells_what_would_have_happened(pod: Json, policy: Policy) -> None:
    acting = house(policy, renames=True)
    dry = Webhook("house", configuration=Configuration(PolicyBook({"house": policy}), mode=Mode.AUDIT))

    acted, told = acting.mutate(pod), dry.mutate(pod)

    assert told.patch is None
    assert dry.validate(pod).allowed
    outcome = acted.annotations.get("enforce-outcome", "unchanged")
    if outcome == "rewritten" and "enforce-patch-omitted" not in told.annotations:
        assert json.loads(told.annotations["enforce-patch"]) == acted.patch
        assert told.warnings
    if outcome == "denied":
        assert told.annotations["enforce-rules"] == acted.annotations["enforce-rules"]
        assert all(warning.startswith("would be denied: ") for warning in told.warnings)
    assert told.annotations.get("enforce-outcome", "unchanged") == outcome
    _fits(told)


def _fits(answered: Answered) -> None:
    assert sum(map(len, answered.warnings)) < 4096


def _same_but_for_what_we_name(before: Json, after: Json) -> bool:
    """Nothing differs but the fields that a decision may change."""
    return _without_ours(before) == _without_ours(after)


def _without_ours(pod: Json) -> Json:
    spec = {key: value for key, value in pod["spec"].items() if key not in _OURS}
    for section in ("containers", "initContainers"):
        if section in spec:
            spec[section] = [
                {key: value for key, value in container.items() if key not in ("resources", "env")}
                for container in spec[section]
            ]
    metadata = {key: value for key, value in pod["metadata"].items() if key != "annotations"}
    return {**pod, "spec": spec, "metadata": metadata}


_OURS = {"nodeSelector", "affinity", "tolerations", "runtimeClassName"}
