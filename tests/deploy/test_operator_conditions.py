"""The CEL of ``advise-operators.gpuwarden.io``, evaluated: objects that name GPUs wherever a row has them, and no others."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.application.test_operator_kinds import at
from tests.deploy.chart import Chart, Json, Rendered
from tests.deploy.conditions import Asks, conditions_of
from webhook.application.field_paths import MOST_STEPS
from webhook.application.kind_lookup import ADVISED_OPERATORS
from webhook.application.workload_kinds import BUILT_IN
from webhook.engine.other_gpus import GPUS, fits

NAME = "advise-operators.gpuwarden.io"
GPU = "nvidia.com/gpu"
PATHS = [
    (f"{kind.kind}.{kind.group} {path}", path)
    for kind in ADVISED_OPERATORS
    for path in (
        *(f"{one.path}.{section}[*].resources" for one in kind.templates for section in ("containers", "initContainers")),
        *(path for path in kind.resources if not path.endswith(".gpu")),
    )
]  # fmt: skip


@pytest.fixture(scope="session")
def asks(rendered: Rendered) -> Asks:
    return conditions_of(rendered.webhooks[NAME])


def an_object(fields: Json, metadata: Json | None = None, status: Json | None = None) -> Json:
    """An object as the API server has it at admission."""
    return {
        "apiVersion": "x",
        "kind": "X",
        "metadata": {"name": "x", **(metadata or {})},
        "status": status or {},
        **fields,
    }


def in_resources(amounts: Json) -> Json:
    return an_object(at("spec.workers[*].template.spec.containers[*].resources", amounts))


@pytest.mark.parametrize(
    "new",
    [
        in_resources({"limits": {"cpu": "4", "memory": "1Gi"}, "requests": {"amd.com/gpu": 1}}),
        # Names of labels and taints are values, or have no amount; what the cluster has written is not what a person wants.
        an_object({"spec": {"tolerations": [{"key": GPU, "operator": "Exists"}], "args": [GPU], "name": 3, "gpu": None}}),
        an_object({"spec": {}}, {"annotations": {"nvidia.com/x": "y"}, "managedFields": [{"fieldsV1": {f"f:{GPU}": {}}}]}),
        an_object({"spec": {}}, status={"resources": {GPU: 1}}),
        an_object({"spec": None}),
        an_object({"spec": [[], {}, None, 1.5, True, "nvidia.com/gpu"]}),
        an_object({}),
    ],
)  # fmt: skip
def test_an_object_that_names_no_gpu_is_never_sent(asks: Asks, new: Json) -> None:
    assert not asks(new, None)
    assert not asks(new, in_resources({"limits": {GPU: 1}}))


def test_an_update_that_leaves_its_fields_alone_is_not_sent(asks: Asks) -> None:
    old = in_resources({"limits": {GPU: 1}})
    assert not asks({**old, "metadata": {"name": "x", "finalizers": ["y"]}, "status": {"ready": 1}}, old)


def test_one_that_changes_them_is(asks: Asks) -> None:
    old = in_resources({"limits": {GPU: 1}})
    assert asks(in_resources({"limits": {GPU: 2}}), old)
    assert asks({**old, "inference": {"replicas": 1}, "spec": {**old["spec"], "suspend": True}}, old)
    assert asks(old, an_object({}))


@pytest.mark.parametrize(("path"), [path for _, path in PATHS], ids=[name for name, _ in PATHS])
def test_gpus_are_found_wherever_a_row_has_them(asks: Asks, path: str) -> None:
    assert asks(an_object(at(path, {"limits": {GPU: 1}})), None)
    assert asks(an_object(at(path, {"requests": {"nvidia.com/mig-1g.5gb": 1}})), None)
    assert not asks(an_object(at(path, {"limits": {"cpu": 1}})), None)


@pytest.mark.parametrize("path", ["spec.executor.gpu", "spec.template.driver.gpu"])
def test_a_gpu_by_the_spark_operators_name_is_found(asks: Asks, path: str) -> None:
    assert asks(an_object(at(path, {"name": GPU, "quantity": 1})), None)
    assert not asks(an_object(at(path, {"name": "amd.com/gpu", "quantity": 1})), None)


@pytest.mark.parametrize("field", ["resources", "computeResources"])
def test_of_a_container_its_resources_are_looked_at_alone(asks: Asks, field: str) -> None:
    container = {"name": "c", "image": "i", "env": [{"name": GPU}]}
    assert not asks(an_object({"spec": {"steps": [container]}}), None)
    assert asks(an_object({"spec": {"steps": [{**container, field: {"limits": {GPU: 1}}}]}}), None)


def test_an_object_with_a_long_list_is_sent_without_a_search(asks: Asks) -> None:
    assert asks(an_object({"spec": {"steps": [{"name": "a"}] * 501}}), None)
    assert not asks(an_object({"spec": {"steps": [{"name": "a"}] * 500, "withItems": ["a"] * 501}}), None)


def test_it_looks_as_deep_as_a_path_may_lead(asks: Asks) -> None:
    def nested(steps: int) -> Json:
        found: Json = {GPU: 1}
        for _ in range(steps):
            found = {"spec": found}
        return an_object(found)

    deepest = MOST_STEPS + len(("containers", "[*]", "resources", "limits"))
    assert all(asks(nested(steps), None) for steps in range(1, deepest + 1))
    assert not asks(nested(deepest + 1), None)


TREES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "name", "b/c", "limits"]), inner),
    max_leaves=8,
)


@given(TREES, st.sampled_from([*GPUS, "amd.com/*", "cpu"]))
def test_any_structure_is_searched_and_no_error(asks: Asks, tree: Any, pattern: str) -> None:
    name = pattern.replace("*", "x")
    assert not asks(an_object({"spec": tree, "other": tree}), None)
    found = asks(an_object({"spec": {"a": tree, "b": [{"limits": {name: 1}}, tree], "c": tree}}), None)
    assert found is any(fits(one, name) for one in GPUS)


@pytest.mark.parametrize(
    ("owner", "asked"),
    [
        ({"kind": "RayJob", "controller": True}, False),
        ({"kind": "Deployment", "controller": True}, False),
        ({"kind": "RayJob", "controller": False}, True),
        ({"kind": "RayJob"}, True),
        ({"kind": "Node", "controller": True}, True),
    ],
)
def test_what_another_object_made_was_asked_about_there(asks: Asks, owner: Json, *, asked: bool) -> None:
    fields = at("spec.headGroupSpec.template.spec.containers[*].resources.limits", {GPU: 1})
    assert asks(an_object(fields, {"ownerReferences": [owner]}), None) is asked


def test_names_of_the_configuration_are_found_too(chart: Chart) -> None:
    values = {"config": {"resources": {"gpus": ["example.com/accelerator", "example.org/*"]}}}
    asked = conditions_of(chart.render(values).webhooks[NAME])
    for name in ("example.com/accelerator", "example.org/any", GPU):
        assert asked(in_resources({"limits": {name: 1}}), None)
    assert not asked(in_resources({"limits": {"example.net/any": 1}}), None)


def rules_of(rendered: Rendered) -> set[tuple[str, str, str]]:
    """The group, version and plural of everything that is sent."""
    return {
        (group, version, plural)
        for rule in rendered.webhooks[NAME]["rules"]
        for group in rule["apiGroups"]
        for version in rule["apiVersions"]
        for plural in rule["resources"]
    }


def test_the_rules_have_every_row_in_a_namespace(rendered: Rendered) -> None:
    webhook = rendered.webhooks[NAME]
    assert webhook["failurePolicy"] == "Ignore"
    assert all((rule["operations"], rule["scope"]) == (["CREATE", "UPDATE"], "Namespaced") for rule in webhook["rules"])
    rows = {(kind.group, version, kind.plural) for kind in ADVISED_OPERATORS for version in kind.versions}
    assert rows <= rules_of(rendered)
    assert {(group, plural) for group, _, plural in rules_of(rendered)} == {
        (group, plural) for group, _, plural in rows
    }
    assert not {kind.group for kind in BUILT_IN} & {group for group, _, _ in rules_of(rendered)}


KIND = {"group": "example.com", "versions": ["v1", "v1beta1"], "kind": "Training", "plural": "trainings"}
TEMPLATE = {"templates": [{"path": "spec.workers[*].template.spec", "replicas": ["spec.workers[*].replicas"]}]}


def test_kinds_of_the_configuration_are_sent_too_and_are_makers(chart: Chart) -> None:
    elsewhere = {**KIND, "kind": "ClusterTraining", "plural": "clustertrainings", "clusterScoped": True}
    rendered = chart.render({"config": {"workloadKinds": [{**KIND, **TEMPLATE}, {**elsewhere, **TEMPLATE}]}})
    added = {rule for rule in rules_of(rendered) if rule[0] == "example.com"}
    assert added == {("example.com", "v1", "trainings"), ("example.com", "v1beta1", "trainings")}
    made = in_resources({"limits": {GPU: 1}})
    made["metadata"]["ownerReferences"] = [{"kind": "Training", "controller": True}]
    assert not conditions_of(rendered.webhooks[NAME])(made, None)


def test_it_can_be_switched_off_and_what_operators_make_is_asked_about_then(chart: Chart) -> None:
    webhooks = chart.render({"webhooks": {"advise": {"operators": False}}}).webhooks
    assert NAME not in webhooks
    made = an_object(at("spec.template.spec.containers[*].resources.limits", {GPU: 1}))
    made["metadata"]["ownerReferences"] = [{"kind": "Rollout", "controller": True}]
    assert conditions_of(webhooks["advise.gpuwarden.io"])(made, None)
