"""Plain requests: what "a GPU, you choose" becomes under each form, in every corner of a pod."""

import json

import pytest

from tests.builders import (
    BOTH_SETTINGS,
    GKE_PARTITION,
    GPU,
    GPU_TOLERATION,
    MIG,
    NOT_RENAMED,
    SHARED,
    STRATEGY,
    Json,
    a_container,
    a_pod,
    a_policy,
    affinity,
    applied,
    evaluate,
    expression,
    gpu,
    policy_of,
    rewritten,
    rules,
)
from tests.engine.spelled import EVERY_FORM, SHARED_FORMS, TABLE, WHOLE_FORMS, spelled
from webhook.engine.decision import Outcome
from webhook.engine.spelling import DevicePlugin


@pytest.mark.parametrize(("form", "plugin"), EVERY_FORM)
def test_a_plain_request_is_spelled_as_the_policys_form(form: str, plugin: DevicePlugin) -> None:
    result = rewritten(a_pod(), form, plugin)

    assert result["spec"] == spelled(form, plugin).spec(gpu())


@pytest.mark.parametrize(("form", "plugin"), EVERY_FORM)
def test_limits_and_requests_are_respelled_alike(form: str, plugin: DevicePlugin) -> None:
    container, row = a_container(limits={GPU: "1"}, requests={GPU: 1}), spelled(form, plugin)
    result = rewritten(a_pod(container), form, plugin)

    assert result["spec"]["containers"][0]["resources"] == {
        "limits": {row.resource: "1"},
        "requests": {row.resource: 1},
    }


@pytest.mark.parametrize("plugin", BOTH_SETTINGS)
@pytest.mark.parametrize("form", WHOLE_FORMS)
def test_so_many_whole_gpus_become_so_many_of_a_form_that_is_not_shared(form: str, plugin: DevicePlugin) -> None:
    result = rewritten(a_pod(gpu(8)), form, plugin)

    assert result["spec"] == spelled(form, plugin).spec(gpu(8))


@pytest.mark.parametrize("plugin", BOTH_SETTINGS)
@pytest.mark.parametrize("form", SHARED_FORMS)
def test_two_whole_gpus_never_become_two_slots(form: str, plugin: DevicePlugin) -> None:
    decision = evaluate(a_pod(gpu(2)), form, plugin)

    assert rules(decision)[0] == "shared-request-above-one"
    assert decision.outcome is Outcome.DENIED
    assert decision.edits == ()


UNTOUCHED = [
    pytest.param(a_pod(a_container()), id="a pod without resources"),
    pytest.param(a_pod(a_container(limits={"cpu": 1}, requests={"cpu": 1})), id="a pod without a GPU"),
    pytest.param(a_pod(gpu(0)), id="a pod that asks for no GPU in so many words"),
    pytest.param(a_pod(gpu("0", SHARED)), id="a pod that asks for no slot"),
    pytest.param(a_pod(gpu(2), annotations={"kubernetes.io/config.mirror": "x"}), id="a mirror pod"),
    pytest.param(a_pod(gpu(2), annotations={"kubernetes.io/config.mirror": ""}), id="a mirror pod without a hash"),
    pytest.param({"spec": None}, id="a pod whose spec is null"),
    pytest.param({}, id="a pod without a spec"),
    pytest.param({"metadata": None, "spec": {}}, id="a pod with an empty spec"),
    pytest.param({"spec": {"containers": None, "initContainers": None}}, id="a pod without containers"),
    pytest.param(a_pod(a_container(), nodeSelector={GKE_PARTITION: "1g.5gb"}), id="selectors without a request"),
]
EVERY_POLICY = [*TABLE, "any", "none"]


@pytest.mark.parametrize("pod", UNTOUCHED)
def test_a_pod_that_asks_for_no_gpu_gets_an_empty_decision(pod: Json) -> None:
    busy = a_policy("shared", env={"A": "1"}, node_selector={"a": "b"}, max_per_pod=1)
    for policy in (busy, *map(policy_of, EVERY_POLICY)):
        decision = evaluate(pod, policy)

        assert (decision.edits, decision.findings, decision.gpu_containers) == ((), (), ())
        assert decision.outcome is Outcome.UNCHANGED


@pytest.mark.parametrize("plugin", BOTH_SETTINGS)
@pytest.mark.parametrize("count", [1, 8])
def test_where_any_form_is_permitted_a_plain_request_stays(count: int, plugin: DevicePlugin) -> None:
    decision = evaluate(a_pod(gpu(count)), "any", plugin)

    assert (decision.edits, decision.findings) == ((), ())


def test_a_plain_request_is_already_right_where_whole_gpus_are_permitted() -> None:
    assert evaluate(a_pod(gpu(2)), "exclusive").outcome is Outcome.UNCHANGED


def test_the_first_form_that_a_policy_lists_is_what_a_plain_request_becomes() -> None:
    result = rewritten(a_pod(), a_policy("mig-1g.5gb", "exclusive", "gke-mps-4"))

    assert result["spec"]["containers"] == [gpu(1, MIG)]


def test_every_container_that_asks_is_respelled_and_no_other() -> None:
    web, copy, proxy, train = (
        a_container("web"),
        gpu(1, name="copy"),
        gpu(1, name="proxy", restartPolicy="Always"),
        gpu(1),
    )
    result = rewritten(a_pod(web, train, gpu(0, name="idle"), initContainers=[copy, proxy]), "shared")

    assert result["spec"]["containers"] == [web, gpu(1, SHARED), gpu(0, name="idle")]
    assert result["spec"]["initContainers"] == [
        gpu(1, SHARED, name="copy"),
        gpu(1, SHARED, name="proxy", restartPolicy="Always"),
    ]


def test_a_container_keeps_its_other_resources() -> None:
    container = a_container(
        limits={"cpu": "2", GPU: 1, "memory": "1Gi"}, requests={"cpu": "1", GPU: 1}, image="i", args=["--x"]
    )
    result = rewritten(a_pod(container), "shared")

    assert result["spec"]["containers"] == [
        a_container(
            limits={"cpu": "2", "memory": "1Gi", SHARED: 1}, requests={"cpu": "1", SHARED: 1}, image="i", args=["--x"]
        )
    ]


@pytest.mark.parametrize(
    ("limits", "requests", "result"),
    [
        ({GPU: 1, SHARED: 0}, None, ({SHARED: 1}, None)),
        ({GPU: 1, SHARED: 0}, {GPU: 1, SHARED: "0"}, ({SHARED: 1}, {SHARED: 1})),
        ({GPU: 1}, {SHARED: 0}, ({SHARED: 1}, {})),
        ({GPU: 1, SHARED: 0}, {SHARED: 0, "cpu": 1}, ({SHARED: 1}, {"cpu": 1})),
        ({GPU: 1}, {GPU: 1, SHARED: 0}, ({SHARED: 1}, {SHARED: 1})),
        ({GPU: 1, MIG: 0}, None, ({SHARED: 1, MIG: 0}, None)),
    ],
)
def test_a_zero_under_the_new_name_gives_way(
    limits: Json, requests: Json | None, result: tuple[Json, Json | None]
) -> None:
    changed = rewritten(a_pod(a_container(limits=limits, requests=requests)), "shared")

    assert changed["spec"]["containers"] == [a_container(limits=result[0], requests=result[1])]


class TestTolerations:
    """Nodes are tainted under the name that their GPUs had before renaming."""

    COVERED = (
        pytest.param({"key": GPU, "operator": "Exists", "effect": "NoSchedule"}, id="the same"),
        pytest.param({"key": GPU, "operator": "Exists"}, id="every effect"),
        pytest.param({"operator": "Exists", "effect": "NoSchedule"}, id="every key"),
        pytest.param({"operator": "Exists"}, id="everything"),
        pytest.param({"key": "", "operator": "Exists", "effect": ""}, id="everything, in empty words"),
        pytest.param({"key": GPU, "operator": "Exists", "effect": "NoSchedule", "value": None}, id="with a null value"),
    )
    NOT_COVERED = (
        pytest.param({"key": GPU, "operator": "Exists", "effect": "NoExecute"}, id="another effect"),
        pytest.param({"key": SHARED, "operator": "Exists"}, id="the new name"),
        pytest.param({"key": GPU, "operator": "Equal", "value": "present"}, id="one value"),
        pytest.param({"key": GPU}, id="the empty value"),
        pytest.param({"key": GPU, "operator": "Exists", "tolerationSeconds": 300}, id="for a while"),
        pytest.param({"key": GPU, "operator": "exists"}, id="an operator in small letters"),
    )

    @pytest.mark.parametrize("toleration", COVERED)
    def test_a_toleration_that_covers_the_taint_is_enough(self, toleration: Json) -> None:
        result = rewritten(a_pod(tolerations=[{"key": "other"}, toleration]), "shared")

        assert result["spec"]["tolerations"] == [{"key": "other"}, toleration]

    @pytest.mark.parametrize("toleration", NOT_COVERED)
    def test_a_toleration_that_does_not_is_kept_and_ours_added(self, toleration: Json) -> None:
        result = rewritten(a_pod(tolerations=[toleration]), "shared")

        assert result["spec"]["tolerations"] == [toleration, GPU_TOLERATION]

    @pytest.mark.parametrize("tolerations", [None, []])
    def test_a_pod_without_tolerations_gets_the_one(self, tolerations: list[Json] | None) -> None:
        assert rewritten(a_pod(tolerations=tolerations), "shared")["spec"]["tolerations"] == [GPU_TOLERATION]

    @pytest.mark.parametrize("form", ["exclusive", "gke-mps-48", "gke-exclusive", "gke-mig-1g.5gb"])
    def test_no_toleration_where_the_name_stays(self, form: str) -> None:
        assert "tolerations" not in rewritten(a_pod(), form)["spec"]

    def test_one_toleration_however_many_containers_are_renamed(self) -> None:
        result = rewritten(a_pod(gpu(name="a"), gpu(name="b")), "shared")

        assert result["spec"]["tolerations"] == [GPU_TOLERATION]

    def test_an_explicit_request_that_is_right_needs_no_toleration_of_ours(self) -> None:
        assert "tolerations" not in rewritten(a_pod(gpu(1, SHARED)), "shared")["spec"]


class TestPlacement:
    """Selectors and affinity that a pod has already."""

    def test_a_selector_goes_beside_those_that_are_there(self) -> None:
        result = rewritten(a_pod(nodeSelector={"zone": "a"}), "mps")

        assert result["spec"]["nodeSelector"] == {"zone": "a", STRATEGY: "mps"}

    @pytest.mark.parametrize("selector", [None, {}])
    def test_a_selector_that_is_missing_is_made(self, selector: Json | None) -> None:
        assert rewritten(a_pod(nodeSelector=selector), "mps")["spec"]["nodeSelector"] == {STRATEGY: "mps"}

    def test_what_a_form_needs_goes_into_every_alternative(self) -> None:
        terms = affinity([("zone", "In", "a")], [("zone", "In", "b"), ("disk", "Exists")])
        result = rewritten(a_pod(affinity=terms), "exclusive", NOT_RENAMED)
        needed = (STRATEGY, "NotIn", "time-slicing", "mps")

        assert result["spec"]["affinity"] == affinity(
            [("zone", "In", "a"), needed], [("zone", "In", "b"), ("disk", "Exists"), needed]
        )

    def test_an_empty_alternative_matches_nothing_and_stays_so(self) -> None:
        terms = affinity([], [("zone", "In", "b")])
        result = rewritten(a_pod(affinity=terms), "exclusive", NOT_RENAMED)

        assert result["spec"]["affinity"] == affinity(
            [], [("zone", "In", "b"), (STRATEGY, "NotIn", "time-slicing", "mps")]
        )

    def test_a_pod_that_can_run_nowhere_is_renamed_and_nothing_else(self) -> None:
        result = rewritten(a_pod(affinity=affinity([], [])), "mps")

        assert result["spec"]["affinity"] == affinity([], [])
        assert "nodeSelector" not in result["spec"]

    @pytest.mark.parametrize("expressions", [{}, {"matchExpressions": None}, {"matchExpressions": []}])
    def test_an_alternative_of_fields_gets_expressions(self, expressions: Json) -> None:
        fields = [{"key": "metadata.name", "operator": "In", "values": ["node-1"]}]
        required = {
            "requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [{"matchFields": fields, **expressions}]
            }
        }
        result = rewritten(a_pod(affinity={"nodeAffinity": required}), "gke-exclusive")
        [term] = result["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][
            "nodeSelectorTerms"
        ]

        assert term["matchFields"] == fields
        assert [requirement["operator"] for requirement in term["matchExpressions"]] == ["DoesNotExist", "DoesNotExist"]

    PREFERRED = ({"weight": 1, "preference": {"matchExpressions": [expression("zone", "In", "a")]}},)
    NEEDED = affinity([(STRATEGY, "In", "time-slicing", "mps")])["nodeAffinity"]

    @pytest.mark.parametrize(
        ("given", "expected"),
        [
            (None, {"nodeAffinity": NEEDED}),
            ({}, {"nodeAffinity": NEEDED}),
            ({"podAffinity": {}}, {"podAffinity": {}, "nodeAffinity": NEEDED}),
            ({"nodeAffinity": None}, {"nodeAffinity": NEEDED}),
            ({"nodeAffinity": {}}, {"nodeAffinity": NEEDED}),
            (
                {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": list(PREFERRED)}},
                {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": list(PREFERRED), **NEEDED}},
            ),
            ({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": None}}, {"nodeAffinity": NEEDED}),
            ({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {}}}, {"nodeAffinity": NEEDED}),
            (
                {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": None}}},
                {"nodeAffinity": NEEDED},
            ),
            (
                {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}}},
                {"nodeAffinity": NEEDED},
            ),
        ],
    )
    def test_an_affinity_that_is_missing_is_made_with_its_parents(self, given: Json | None, expected: Json) -> None:
        assert rewritten(a_pod(affinity=given), "shared", NOT_RENAMED)["spec"]["affinity"] == expected

    def test_products_get_the_suffix_that_nodes_of_the_form_carry(self) -> None:
        terms = affinity(
            [("nvidia.com/gpu.product", "In", "A100", "H100-SHARED"), ("zone", "In", "A100")],
            [("nvidia.com/gpu.product", "In", "A100")],
        )
        result = rewritten(a_pod(affinity=terms), "mps", NOT_RENAMED)

        assert result["spec"]["affinity"] == affinity(
            [("nvidia.com/gpu.product", "In", "A100-SHARED", "H100-SHARED"), ("zone", "In", "A100")],
            [("nvidia.com/gpu.product", "In", "A100-SHARED")],
        )

    def test_the_selected_product_gets_its_suffix_too(self) -> None:
        result = rewritten(a_pod(nodeSelector={"nvidia.com/gpu.product": "A100", "zone": "a"}), "mps", NOT_RENAMED)

        assert result["spec"]["nodeSelector"] == {
            "nvidia.com/gpu.product": "A100-SHARED",
            "zone": "a",
            STRATEGY: "mps",
        }

    def test_a_product_that_is_excluded_stays_excluded(self) -> None:
        terms = affinity([("nvidia.com/gpu.product", "NotIn", "A100-SHARED")], [("zone", "In", "b")])

        assert rewritten(a_pod(affinity=terms), "shared")["spec"]["affinity"] == terms

    def test_the_suffix_is_that_of_the_whole_gpus_whichever_container_comes_first(self) -> None:
        slice_first = a_pod(
            gpu(1, MIG, name="a"), gpu(name="b"), nodeSelector={"nvidia.com/gpu.product": "A100-SHARED"}
        )
        result = rewritten(slice_first, a_policy("shared", "mig-1g.5gb"), NOT_RENAMED)

        assert result["spec"]["nodeSelector"] == {"nvidia.com/gpu.product": "A100-SHARED"}


class TestAnnotations:
    """Annotations inform; no decision reads them."""

    def test_a_respelled_pod_tells_its_policy_and_what_was_asked(self) -> None:
        pod = a_pod(gpu("2", name="a"), a_container("web"), initContainers=[gpu(1, name="b")])
        result = rewritten(pod, a_policy("mig-1g.5gb", name="inference"))

        assert result["metadata"]["annotations"] == {
            "gpuwarden.io/original-request": '{"b":{"nvidia.com/gpu":"1"},"a":{"nvidia.com/gpu":"2"}}',
            "gpuwarden.io/policy": "inference",
        }

    def test_they_go_beside_those_that_are_there(self) -> None:
        result = rewritten(a_pod(annotations={"note": "x"}), "shared")

        assert sorted(result["metadata"]["annotations"]) == [
            "gpuwarden.io/original-request",
            "gpuwarden.io/policy",
            "note",
        ]

    def test_older_ones_are_replaced(self) -> None:
        result = rewritten(a_pod(annotations={"gpuwarden.io/policy": "old"}), "shared")

        assert result["metadata"]["annotations"]["gpuwarden.io/policy"] == "shared"

    @pytest.mark.parametrize("metadata", [None, {}, {"annotations": None}, {"annotations": {}}])
    def test_metadata_that_is_missing_is_made(self, metadata: Json | None) -> None:
        result = rewritten({**a_pod(), "metadata": metadata}, "shared")

        assert result["metadata"]["annotations"]["gpuwarden.io/policy"] == "shared"

    def test_a_pod_that_has_no_metadata_gets_it(self) -> None:
        assert (
            rewritten({"spec": a_pod()["spec"]}, "shared")["metadata"]["annotations"]["gpuwarden.io/policy"] == "shared"
        )

    def test_a_pod_whose_requests_stay_tells_only_its_policy(self) -> None:
        result = rewritten(a_pod(), a_policy("exclusive", runtime_class_name="nvidia"))

        assert result["metadata"]["annotations"] == {"gpuwarden.io/policy": "team"}

    def test_no_annotation_alone(self) -> None:
        assert evaluate(a_pod(gpu(1, SHARED)), "shared").edits == ()

    def test_names_that_no_encoding_knows_are_told_all_the_same(self) -> None:
        pod = a_pod(gpu(name="\ud800"))
        told = applied(pod, evaluate(pod, "shared"))["metadata"]["annotations"]["gpuwarden.io/original-request"]

        assert json.loads(told) == {"\ud800": {GPU: "1"}}
        told.encode()
