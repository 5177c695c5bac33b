"""Strategies: awkward pods, forms and policies, as people and other webhooks make them."""

from typing import Any

from hypothesis import strategies as st

from tests.builders import (
    AUTOPILOT,
    COMPUTE_SLICES,
    EVERY_SETTING,
    GKE_CLIENTS,
    GKE_PARTITION,
    GKE_SHARING,
    GPU,
    GPU_SLICES,
    MEMORY,
    MIG,
    MIG_SHARED,
    MIG_STRATEGY,
    NOT_RENAMED,
    PRODUCT,
    RENAMED,
    SHARED,
    STRATEGY,
    Json,
    additions,
)
from tests.engine.cluster import CLIENTS, PRODUCTS, PROFILES, ZONES
from webhook.engine.forms import Form, Platform, Sharing
from webhook.engine.pods import Toleration
from webhook.engine.policy import NO_ADDITIONS, Mismatch, Policy, PolicyAdditions
from webhook.engine.spelling import MIG_CAPABLE, MIG_CONFIG, MPS_CAPABLE, replicas_label
from webhook.engine.spelling import MIG_STRATEGY as NODES_MIG_STRATEGY

GPU_NAMES = (GPU, SHARED, MIG, MIG_SHARED, "nvidia.com/mig-2g.10gb", "nvidia.com/mig-2g.10gb.shared")
ODD_NAMES = ("nvidia.com/gpu-shared", "nvidia.com/mig1g.5gb", "nvidia.com/gpumem", "cpu")
WHOLE_COUNTS = (1, "1", "1000m", "1e0", 2, "8")
ODD_COUNTS = (0, "0", None, "0.5", "1500m", -1, "x", 10**30)

_STRATEGIES = ("none", "time-slicing", "mps", "other")
VALUES = {
    STRATEGY: _STRATEGIES,
    MIG_STRATEGY: ("none", "time-slicing", "other"),
    PRODUCT: (
        *(f"{name}{suffix}" for name in PRODUCTS for suffix in ("", "-SHARED", "-MIG-1g.5gb", "-MIG-2g.10gb-SHARED")),
        f"{PRODUCTS[0]}-MIG-INVALID",
    ),
    GKE_SHARING: ("time-sharing", "mps", "other"),
    GKE_CLIENTS: ("2", "4", "8", "4", "x"),
    GKE_PARTITION: (*PROFILES, "other"),
    "zone": ZONES,
}
SLICE_VALUES = {
    GPU_SLICES: ("1", "2", "3", "x"),
    COMPUTE_SLICES: ("1", "2"),
    MEMORY: ("4864", "9856", "19968", "40536"),
}
# What else tells forms apart, beside what spells them.
CAPABILITY_VALUES = {
    MPS_CAPABLE: ("true", "false"),
    MIG_CAPABLE: ("true", "false"),
    NODES_MIG_STRATEGY: ("single", "mixed", "none"),
    MIG_CONFIG: ("all-1g.5gb", "all-2g.10gb", "all-disabled", "all-balanced", "custom"),
    replicas_label(None): ("1", "4", "0"),
    replicas_label("1g.5gb"): ("1", "4"),
}
LABELS = VALUES | SLICE_VALUES | CAPABILITY_VALUES
# Under MIG strategy single no node has a label by the name of a profile.
SINGLE_VALUES = {key: values for key, values in (VALUES | SLICE_VALUES).items() if key != MIG_STRATEGY}
BOUNDS = {GKE_CLIENTS: "1349", GPU_SLICES: "0123", MEMORY: ("4000", "4864", "5350", "9856", "20000")}
OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt")

mixed_plugins = st.sampled_from([RENAMED, NOT_RENAMED])
single_plugins = st.sampled_from([plugin for plugin in EVERY_SETTING.values() if plugin.single])
plugins = mixed_plugins | single_plugins | st.just(AUTOPILOT)


@st.composite
def listed_forms(draw: st.DrawFn, platforms: tuple[Platform, ...] = tuple(Platform)) -> Form:
    """A form as a policy can list it: nothing left open."""
    partition = draw(st.none() | st.sampled_from(PROFILES))
    if draw(st.sampled_from(platforms)) is Platform.GKE:
        sharing = draw(st.sampled_from([Sharing.NONE, Sharing.TIME_SLICING, Sharing.MPS]))
        clients = None if sharing is Sharing.NONE else draw(st.sampled_from(CLIENTS))
        return Form(partition, sharing, Platform.GKE, clients)
    means = [Sharing.NONE, Sharing.ANY] if partition else list(Sharing)
    return Form(partition, draw(st.sampled_from(means)))


def _requirement_of(key: str) -> st.SearchStrategy[Json]:
    """A requirement on a label, of any operator, with values that suit the label or are anything but."""
    listed = st.lists(st.sampled_from(LABELS[key]), min_size=1, max_size=3)
    choices = [
        st.builds(lambda operator, values: {"key": key, "operator": operator, "values": values}, _LISTING, listed),
        st.sampled_from([{"key": key, "operator": operator} for operator in ("Exists", "DoesNotExist")]),
    ]
    if key in BOUNDS:
        bounds = [
            {"key": key, "operator": operator, "values": [value]} for operator in ("Gt", "Lt") for value in BOUNDS[key]
        ]
        choices.append(st.sampled_from(bounds))
    return st.one_of(choices)


_LISTING = st.sampled_from(["In", "NotIn"])


def _terms(*keys: str) -> st.SearchStrategy[Json]:
    requirements = st.one_of([_requirement_of(key) for key in keys])
    return st.fixed_dictionaries({"matchExpressions": st.lists(requirements, min_size=1, max_size=3)})


_TERMS = _terms(*VALUES)
_SINGLE_TERMS = _terms(*SINGLE_VALUES, *SLICE_VALUES)
# A term of labels that tell forms apart, whatever the platform and the strategy of MIG.
terms_of_forms = _terms(*LABELS)
_FIELDS = [{"key": "metadata.name", "operator": "In", "values": ["node-1"]}]
_ODD_TERMS: st.SearchStrategy[Json] = terms_of_forms | st.sampled_from(
    [{}, {"matchExpressions": None}, {"matchFields": _FIELDS}, {"matchExpressions": [], "matchFields": _FIELDS}]
)


def _selectors(labels: dict[str, tuple[str, ...]]) -> st.SearchStrategy[Json]:
    return st.one_of([st.sampled_from([{key: value} for value in values]) for key, values in labels.items()])


_SELECTORS = _selectors(VALUES)
_SINGLE_SELECTORS = _selectors(SINGLE_VALUES)


def _required(terms: Any) -> Json:
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}


_NO_PLACEMENTS: st.SearchStrategy[Json] = st.sampled_from(
    [
        {"nodeSelector": None, "affinity": None},
        {"nodeSelector": {}, "affinity": {}},
        {"affinity": {"nodeAffinity": None, "podAffinity": {}}},
        {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": None}}},
        {"affinity": _required(None)},
        {"affinity": _required([])},
    ]
)


def _placements(
    selectors: st.SearchStrategy[Json], terms: st.SearchStrategy[Json], *others: st.SearchStrategy[Json]
) -> st.SearchStrategy[Json]:
    """The part of a spec that says where a pod may run."""
    selector = st.builds(lambda one, other: {"nodeSelector": one | other}, selectors, selectors | st.just({}))
    affinity = st.builds(
        lambda alternatives: {"affinity": _required(alternatives)}, st.lists(terms, min_size=1, max_size=3)
    )
    both = st.builds(lambda one, other: one | other, selector, affinity)
    return st.one_of(st.just({}), selector, affinity, both, *others)


_PLACEMENTS = _placements(_SELECTORS, _TERMS)
_SINGLE_PLACEMENTS = _placements(_SINGLE_SELECTORS, _SINGLE_TERMS)
selectors_of_forms = _selectors(LABELS)
_ODD_PLACEMENTS = _placements(selectors_of_forms, _ODD_TERMS, _NO_PLACEMENTS)


def _shapes(amounts: Json) -> st.SearchStrategy[Json]:
    """Amounts as people and as the API server write them, beside others."""
    both: Json = {"cpu": "1", **amounts}
    return st.sampled_from(
        [{"limits": amounts}, {"limits": both, "requests": both}, {"limits": both, "requests": dict(amounts)}]
    )


_REQUESTS = st.builds(
    lambda name, count: {name: count}, st.sampled_from(GPU_NAMES), st.sampled_from([1, 1, 1, *WHOLE_COUNTS])
)
_RESOURCES = _REQUESTS.flatmap(_shapes)
_ODD_AMOUNTS = st.dictionaries(
    st.sampled_from([*GPU_NAMES, *ODD_NAMES]), st.sampled_from([*WHOLE_COUNTS, *ODD_COUNTS]), max_size=3
)
_ZEROS = st.dictionaries(st.sampled_from(GPU_NAMES), st.just(0), max_size=2)
_ODD = st.one_of(
    _ODD_AMOUNTS.flatmap(_shapes),
    st.builds(lambda amounts, zeros: {"limits": {**zeros, **amounts}, "requests": zeros}, _REQUESTS, _ZEROS),
    st.builds(lambda amounts: {"requests": amounts}, _REQUESTS),
    st.sampled_from([{}, {"limits": None, "requests": None}, {"limits": {}}]),
)
_ODD_RESOURCES = st.integers(0, 4).flatmap(lambda number: _RESOURCES if number else _ODD)


ENV = st.sampled_from(
    [{}, {}, {"env": None}, {"env": []}, {"env": [{"name": "C", "valueFrom": {}}, {"name": "A", "value": "x"}]}]
)
TOLERATIONS = st.none() | st.lists(
    st.sampled_from(
        [
            {"operator": "Exists"},
            {"key": GPU, "operator": "Exists", "effect": "NoSchedule"},
            {"key": GPU, "operator": "Equal", "value": "present"},
            {"key": "team", "value": "ml"},
            {"key": "team", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 60},
        ]
    ),
    max_size=2,
)


def _containers(resources: st.SearchStrategy[Json], name: str, *more: Json) -> st.SearchStrategy[list[Json]]:
    """Up to two containers, each with a name of its own."""
    fields = st.builds(
        lambda amounts, env, other: {"resources": amounts, **env, **other}, resources, ENV, st.sampled_from([{}, *more])
    )
    return st.lists(fields, max_size=2).map(
        lambda listed: [{"name": f"{name}{i}", "image": "i", **c} for i, c in enumerate(listed)]
    )


def _specs(resources: st.SearchStrategy[Json], placements: st.SearchStrategy[Json]) -> st.SearchStrategy[Json]:
    return st.builds(
        lambda containers, init, placed, tolerations, other: {
            "containers": containers,
            "initContainers": init or None,
            **placed,
            "tolerations": tolerations,
            **other,
            "unheardOf": {GPU: [1, None]},
        },
        _containers(resources, "c"),
        _containers(resources, "i", {"restartPolicy": "Always"}),
        placements,
        TOLERATIONS,
        st.sampled_from([{}, {"runtimeClassName": "kata"}, {"runtimeClassName": None, "hostIPC": True}]),
    )


_ADDED = "; ".join(
    f"{GPU}, {SHARED}, {MIG} {section} for {container}"
    for container in ("container c0", "init container i0", "init container i1")
    for section in ("request", "limit")
)
_METADATA = st.sampled_from(
    [
        {"metadata": {"annotations": {"kubernetes.io/limit-ranger": f"LimitRanger plugin set: {_ADDED}"}}},
        {},
        {"metadata": None},
        {"metadata": {}},
        {"metadata": {"annotations": None}},
        {"metadata": {"name": "x", "annotations": {"gpuwarden.io/policy": "old", "note": "x"}}},
    ]
)
# Pods in which plain and explicit requests, selectors of every kind and nulls come together.
pods = st.builds(
    lambda spec, metadata: {"apiVersion": "v1", "kind": "Pod", "spec": spec, "status": {}, **metadata},
    _specs(_ODD_RESOURCES, _ODD_PLACEMENTS),
    _METADATA,
)


# Pods whose requests are well-formed, and whose every alternative says something.
def _sound(placements: st.SearchStrategy[Json]) -> st.SearchStrategy[Json]:
    return st.builds(lambda spec: {"metadata": {}, "spec": spec}, _specs(_RESOURCES, placements)).filter(
        lambda pod: bool(pod["spec"]["containers"] or pod["spec"]["initContainers"])
    )


sound_pods = _sound(_PLACEMENTS)
# The same on clusters under MIG strategy single, whose labels of slices they may select.
sound_single_pods = _sound(_SINGLE_PLACEMENTS)


POLICY_TOLERATIONS = (
    Toleration(GPU, "Exists", None, "NoSchedule"),
    Toleration("team", "Equal", "ml", "NoSchedule"),
    Toleration("team", "Exists", None, "NoExecute", 60),
    Toleration(operator="Exists"),
)

_FORMS = {
    platforms: st.lists(listed_forms(platforms), min_size=1, max_size=3, unique=True).map(tuple)
    for platforms in ((Platform.DEVICE_PLUGIN,), (Platform.GKE,), tuple(Platform))
}
_LIMITS = st.sampled_from([None, None, 1, 2, 8])


def _additions(selectors: st.SearchStrategy[Json]) -> st.SearchStrategy[PolicyAdditions]:
    made = st.fixed_dictionaries(
        {},
        optional={
            "node_selector": st.builds(
                lambda one, other: one | other, selectors, st.sampled_from([{}, {"pool": "gpu"}])
            ),
            "tolerations": st.lists(st.sampled_from(POLICY_TOLERATIONS), max_size=2, unique_by=str).map(tuple),
            "runtime_class_name": st.just("nvidia"),
            "env": st.just({"A": "1", "B": "2"}),
        },
    )
    return st.just(NO_ADDITIONS) | made.map(lambda own: additions(**own))


_ADDITIONS = _additions(_SELECTORS)
_ODD_ADDITIONS = _additions(selectors_of_forms)


def policies_of(
    *platforms: Platform, own: st.SearchStrategy[PolicyAdditions] = _ADDITIONS
) -> st.SearchStrategy[Policy]:
    """Policies of forms of some platforms, with additions of their own."""
    return st.builds(
        lambda forms, mismatch, each, all_, added: Policy(
            "team", forms, mismatch=mismatch, max_per_container=each, max_per_pod=all_, additions=added
        ),
        _FORMS[platforms],
        st.sampled_from(Mismatch),
        _LIMITS,
        _LIMITS,
        own,
    )


_OF_FORMS = policies_of(*Platform, own=_ODD_ADDITIONS)
_OF_ALL_OR_NONE = st.builds(
    lambda permits_any, own: Policy("team", permits_any=permits_any, additions=own), st.booleans(), _ADDITIONS
)
# Policies of every kind: mostly of forms, sometimes one that permits any or none.
policies = st.integers(0, 7).flatmap(lambda number: _OF_FORMS if number else _OF_ALL_OR_NONE)

_TEXT = st.text(max_size=6)
_ANY_QUANTITY = st.none() | st.integers() | st.floats() | _TEXT | st.sampled_from([10**5000, "1" * 100, "1e99999999"])
_ANY_NAME = st.sampled_from([*GPU_NAMES, *ODD_NAMES, "", "nvidia.com/", "nvidia.com/mig9" + "g" * 60]) | _TEXT
_AMOUNTS = st.none() | st.dictionaries(_ANY_NAME, _ANY_QUANTITY, max_size=3)
_CONTAINERS = st.none() | st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "name": st.text(st.characters(), max_size=3),
            "resources": st.none() | st.fixed_dictionaries({}, optional={"limits": _AMOUNTS, "requests": _AMOUNTS}),
            "env": st.none() | st.lists(st.fixed_dictionaries({}, optional={"name": _TEXT}), max_size=2),
            "restartPolicy": st.none() | _TEXT,
        },
    ),
    max_size=3,
)
_ANY_KEY = st.sampled_from([*LABELS]) | _TEXT
_EVERY_VALUE = {value for values in LABELS.values() for value in values}
_ANY_VALUE = st.sampled_from(sorted(_EVERY_VALUE | {"\0", "", "9" * 5000})) | _TEXT
_ANY_TERM = st.fixed_dictionaries(
    {},
    optional={
        "matchExpressions": st.none()
        | st.lists(
            st.fixed_dictionaries(
                {},
                optional={
                    "key": _ANY_KEY,
                    "operator": st.sampled_from(OPERATORS) | _TEXT,
                    "values": st.none() | st.lists(_ANY_VALUE, max_size=3),
                },
            ),
            max_size=3,
        ),
        "matchFields": st.none() | st.lists(st.none() | st.integers(), max_size=1),
    },
)
_ANY_AFFINITY = st.none() | st.fixed_dictionaries(
    {},
    optional={
        "nodeAffinity": st.none()
        | st.fixed_dictionaries(
            {},
            optional={
                "requiredDuringSchedulingIgnoredDuringExecution": st.none()
                | st.fixed_dictionaries({}, optional={"nodeSelectorTerms": st.none() | st.lists(_ANY_TERM, max_size=3)})
            },
        )
    },
)
_ANY_TOLERATION = st.fixed_dictionaries(
    {},
    optional={
        **{field: st.none() | _TEXT for field in ("key", "operator", "value", "effect")},
        "tolerationSeconds": st.none() | st.integers(-(2**63), 2**63 - 1),
    },
)

# Whatever the engine's view of a pod can hold, whether Kubernetes would take it or not.
anything = st.fixed_dictionaries(
    {},
    optional={
        "metadata": st.none()
        | st.fixed_dictionaries({}, optional={"annotations": st.none() | st.dictionaries(_TEXT, _TEXT, max_size=2)}),
        "spec": st.none()
        | st.fixed_dictionaries(
            {},
            optional={
                "containers": _CONTAINERS,
                "initContainers": _CONTAINERS,
                "nodeSelector": st.none() | st.dictionaries(_ANY_KEY, _ANY_VALUE, max_size=3),
                "affinity": _ANY_AFFINITY,
                "tolerations": st.none() | st.lists(_ANY_TOLERATION, max_size=2),
                "runtimeClassName": st.none() | _TEXT,
                "hostIPC": st.none() | st.booleans(),
            },
        ),
    },
)
