"""Explicit requests are statements: permitted, narrowed, translated, or refused, and rewritten only where a policy says so."""

from dataclasses import dataclass, field

import pytest

from tests.builders import (
    BOTH_SETTINGS,
    GKE_CLIENTS,
    GKE_PARTITION,
    GKE_SHARING,
    GPU,
    GPU_TOLERATION,
    MIG,
    MIG_SHARED,
    MIG_STRATEGY,
    NOT_RENAMED,
    PRODUCT,
    RENAMED,
    SHARED,
    STRATEGY,
    Json,
    a_pod,
    a_policy,
    affinity,
    evaluate,
    gpu,
    messages,
    rewritten,
    rules,
)
from tests.engine.spelled import TABLE, Requirement, spelled
from webhook.engine.policy import Mismatch
from webhook.engine.spelling import DevicePlugin

A100 = "A100-SXM4-40GB"


@dataclass(frozen=True)
class Way:
    """One way to state a form: a resource's name, nodeSelectors, and the alternatives of a node affinity."""

    form: str
    resource: str = GPU
    selector: Json = field(default_factory=dict)
    terms: tuple[tuple[Requirement, ...], ...] = ()

    def pod(self) -> Json:
        placed: Json = {}
        if self.selector:
            placed["nodeSelector"] = self.selector
        if self.terms:
            placed["affinity"] = affinity(*self.terms)
        return a_pod(gpu(1, self.resource), **placed)


WAYS = {
    "whole by strategy": Way("exclusive", selector={STRATEGY: "none"}),
    "whole by NotIn": Way("exclusive", terms=(((STRATEGY, "NotIn", "mps", "time-slicing"),),)),
    "whole by DoesNotExist": Way("exclusive", terms=(((STRATEGY, "DoesNotExist"),),)),
    "whole by alternatives": Way("exclusive", terms=(((STRATEGY, "In", "none"),), ((STRATEGY, "DoesNotExist"),))),
    "shared by name": Way("shared", SHARED),
    "shared by In": Way("shared", terms=(((STRATEGY, "In", "mps", "time-slicing"),),)),
    "shared by Exists and NotIn": Way("shared", terms=(((STRATEGY, "Exists"), (STRATEGY, "NotIn", "none")),)),
    "shared by alternatives": Way("shared", terms=(((STRATEGY, "In", "mps"),), ((STRATEGY, "In", "time-slicing"),))),
    "shared by product": Way("shared", selector={PRODUCT: f"{A100}-SHARED"}),
    "shared by products": Way("shared", terms=(((PRODUCT, "In", f"{A100}-SHARED", "H100-SHARED"),),)),
    "time-slicing by name and strategy": Way("time-slicing", SHARED, {STRATEGY: "time-slicing"}),
    "time-slicing by strategy": Way("time-slicing", selector={STRATEGY: "time-slicing"}),
    "time-slicing by In": Way("time-slicing", terms=(((STRATEGY, "In", "time-slicing"),),)),
    "mps by name and strategy": Way("mps", SHARED, {STRATEGY: "mps"}),
    "mps by strategy": Way("mps", selector={STRATEGY: "mps"}),
    "mps by strategy and product": Way("mps", selector={STRATEGY: "mps", PRODUCT: f"{A100}-SHARED"}),
    "slice by name": Way("mig-1g.5gb", MIG),
    "slice by name and strategy": Way("mig-1g.5gb", MIG, {MIG_STRATEGY: "none"}),
    "slice by product": Way("mig-1g.5gb", selector={PRODUCT: f"{A100}-MIG-1g.5gb"}),
    "slice by products": Way(
        "mig-1g.5gb", terms=(((PRODUCT, "In", f"{A100}-MIG-1g.5gb"),), ((PRODUCT, "In", "H100-MIG-1g.5gb"),))
    ),
    "shared slice by name": Way("mig-1g.5gb-shared", MIG_SHARED),
    "shared slice by strategies": Way(
        "mig-1g.5gb-shared", MIG, terms=(((MIG_STRATEGY, "In", "mps", "time-slicing"),),)
    ),
    "shared slice by product": Way("mig-1g.5gb-shared", selector={PRODUCT: f"{A100}-MIG-1g.5gb-SHARED"}),
    "GKE whole by DoesNotExist": Way(
        "gke-exclusive", terms=(((GKE_SHARING, "DoesNotExist"), (GKE_PARTITION, "DoesNotExist")),)
    ),
    "GKE whole by no sharing": Way("gke-exclusive", terms=(((GKE_SHARING, "DoesNotExist"),),)),
    "GKE whole by no partition": Way("gke-exclusive", terms=(((GKE_PARTITION, "DoesNotExist"),),)),
    "GKE whole by NotIn": Way("gke-exclusive", terms=(((GKE_SHARING, "NotIn", "mps", "time-sharing"),),)),
    "GKE time-sharing": Way("gke-time-sharing-4", selector={GKE_SHARING: "time-sharing", GKE_CLIENTS: "4"}),
    "GKE time-sharing by In": Way(
        "gke-time-sharing-4", terms=(((GKE_SHARING, "In", "time-sharing"), (GKE_CLIENTS, "In", "4")),)
    ),
    "GKE time-sharing by name": Way("gke-time-sharing-4", SHARED, {GKE_SHARING: "time-sharing", GKE_CLIENTS: "4"}),
    "GKE MPS": Way("gke-mps-48", selector={GKE_SHARING: "mps", GKE_CLIENTS: "48"}),
    "GKE MPS in two alternatives": Way(
        "gke-mps-48",
        selector={GKE_SHARING: "mps"},
        terms=(((GKE_CLIENTS, "In", "48"),), ((GKE_CLIENTS, "In", "48"), ("zone", "In", "a"))),
    ),
    "GKE partition": Way("gke-mig-1g.5gb", selector={GKE_PARTITION: "1g.5gb"}),
    "GKE partition by In": Way("gke-mig-1g.5gb", terms=(((GKE_PARTITION, "In", "1g.5gb"),),)),
    "GKE partition by name": Way("gke-mig-1g.5gb", MIG, {GKE_PARTITION: "1g.5gb"}),
    "GKE partition not shared": Way(
        "gke-mig-1g.5gb", selector={GKE_PARTITION: "1g.5gb"}, terms=(((GKE_SHARING, "DoesNotExist"),),)
    ),
    "GKE shared partition": Way(
        "gke-mig-1g.5gb-time-sharing-2",
        selector={GKE_PARTITION: "1g.5gb", GKE_SHARING: "time-sharing", GKE_CLIENTS: "2"},
    ),
}
EVERY_WAY = [
    pytest.param(way, plugin, id=f"{name}, {'renamed' if plugin.rename_by_default else 'not renamed'}")
    for name, way in WAYS.items()
    for plugin in (RENAMED, NOT_RENAMED)
]


@pytest.mark.parametrize(("way", "plugin"), EVERY_WAY)
def test_a_permitted_statement_is_spelled_as_its_form_and_keeps_its_selectors(way: Way, plugin: DevicePlugin) -> None:
    """The name becomes the form's; the selectors stay but for the product's suffix; what the form needs is there."""
    row = spelled(way.form, plugin)
    spec = rewritten(way.pod(), way.form, plugin)["spec"]

    assert spec["containers"] == [gpu(1, row.resource)]
    assert ("tolerations" in spec) == (row.resource != way.resource)
    suffix = "-SHARED" if way.form in ("shared", "time-slicing", "mps") and plugin is NOT_RENAMED else ""
    selector = {key: value if key != PRODUCT else f"{A100}{suffix}" for key, value in way.selector.items()}
    assert selector.items() <= spec.get("nodeSelector", {}).items()
    assert set(spec.get("nodeSelector", {})) - set(selector) <= set(row.selector)
    for given, found in zip(way.terms, terms_of(spec), strict=bool(way.terms)):
        kept = [
            (key, operator, *(v.split("-MIG-")[0].removesuffix("-SHARED") + suffix for v in values))
            if key == PRODUCT
            else (key, operator, *values)
            for key, operator, *values in given
        ]
        assert found[: len(kept)] == kept
        assert set(found[len(kept) :]) <= set(row.required)


@pytest.mark.parametrize(("way", "plugin"), EVERY_WAY)
def test_a_statement_is_refused_where_another_form_is_the_only_one(way: Way, plugin: DevicePlugin) -> None:
    excludes_only = way.form == "gke-exclusive" and {key for term in way.terms for key, *_ in term} == {GKE_SHARING}
    for policy in ("gke-time-sharing-4" if excludes_only else "mig-2g.10gb", "gke-mig-2g.10gb-mps-3"):
        decision = evaluate(way.pod(), policy, plugin)

        assert rules(decision)[0] == "form-not-permitted"
        assert f'requests form "{way.form}"' in messages(decision)[0]
        assert decision.edits == ()


@pytest.mark.parametrize(("way", "plugin"), EVERY_WAY)
def test_where_any_form_is_permitted_every_statement_stays_as_it_is(way: Way, plugin: DevicePlugin) -> None:
    decision = evaluate(way.pod(), "any", plugin)

    assert decision.edits == ()
    assert decision.denials == ()


def terms_of(spec: Json) -> list[list[Requirement]]:
    """The alternatives of a pod's node affinity."""
    required = (
        spec.get("affinity", {}).get("nodeAffinity", {}).get("requiredDuringSchedulingIgnoredDuringExecution", {})
    )
    terms = required.get("nodeSelectorTerms", [])
    return [[(e["key"], e["operator"], *e.get("values", [])) for e in term["matchExpressions"]] for term in terms]


class TestNarrowing:
    """A form that is less specific than the policy's is narrowed by adding the selector."""

    def test_a_shared_gpu_becomes_one_under_mps(self) -> None:
        assert rewritten(a_pod(gpu(1, SHARED)), "mps")["spec"] == {
            "containers": [gpu(1, SHARED)],
            "nodeSelector": {STRATEGY: "mps"},
        }

    def test_strategies_become_the_one(self) -> None:
        pod = a_pod(affinity=affinity([(STRATEGY, "In", "mps", "time-slicing")]))
        spec = rewritten(pod, "time-slicing", NOT_RENAMED)["spec"]

        assert spec["nodeSelector"] == {STRATEGY: "time-slicing"}
        assert spec["affinity"] == pod["spec"]["affinity"]

    def test_a_strategy_of_gke_gets_the_policys_client_count(self) -> None:
        spec = rewritten(a_pod(nodeSelector={GKE_SHARING: "mps"}), "gke-mps-4")["spec"]

        assert spec["nodeSelector"] == {GKE_SHARING: "mps", GKE_CLIENTS: "4"}

    def test_a_client_count_of_gke_gets_the_policys_strategy(self) -> None:
        spec = rewritten(a_pod(nodeSelector={GKE_CLIENTS: "4"}), "gke-time-sharing-4")["spec"]

        assert spec["nodeSelector"] == {GKE_SHARING: "time-sharing", GKE_CLIENTS: "4"}

    def test_bounds_on_the_client_count_get_the_policys(self) -> None:
        pod = a_pod(nodeSelector={GKE_SHARING: "mps"}, affinity=affinity([(GKE_CLIENTS, "Gt", "3")]))

        assert rewritten(pod, "gke-mps-4")["spec"]["nodeSelector"] == {GKE_SHARING: "mps", GKE_CLIENTS: "4"}

    def test_one_of_several_partitions_becomes_the_permitted_one(self) -> None:
        pod = a_pod(affinity=affinity([(GKE_PARTITION, "In", "2g.10gb", "1g.5gb")]))

        assert rewritten(pod, "gke-mig-1g.5gb")["spec"]["nodeSelector"] == {GKE_PARTITION: "1g.5gb"}

    def test_a_listed_form_that_fits_as_it_is_goes_before_one_that_narrows(self) -> None:
        decision = evaluate(a_pod(gpu(1, SHARED)), a_policy("mps", "shared"))

        assert decision.edits == ()

    def test_a_listed_form_that_narrows_goes_before_one_on_the_other_platform(self) -> None:
        spec = rewritten(a_pod(gpu(1, SHARED)), a_policy("gke-mps-4", "mps"))["spec"]

        assert spec["nodeSelector"] == {STRATEGY: "mps"}

    def test_a_more_specific_form_is_covered_by_a_wider_policy(self) -> None:
        assert evaluate(a_pod(gpu(1, SHARED), nodeSelector={STRATEGY: "mps"}), "shared").edits == ()

    @pytest.mark.parametrize("resource", [MIG, MIG_SHARED])
    def test_a_slice_by_name_may_be_shared_where_sharing_does_not_rename(self, resource: str) -> None:
        spec = rewritten(a_pod(gpu(1, resource)), "mig-1g.5gb-shared", NOT_RENAMED)["spec"]

        assert spec["containers"] == [gpu(1, MIG)]
        assert spec["affinity"] == affinity([(MIG_STRATEGY, "In", "time-slicing", "mps")])

    def test_a_slice_by_name_may_be_shared_on_the_other_platform_too(self) -> None:
        spec = rewritten(a_pod(gpu(1, MIG)), "gke-mig-1g.5gb-mps-4", NOT_RENAMED)["spec"]

        assert spec["nodeSelector"] == {GKE_PARTITION: "1g.5gb", GKE_SHARING: "mps", GKE_CLIENTS: "4"}

    def test_a_slice_by_name_is_a_whole_one_where_both_are_permitted(self) -> None:
        spec = rewritten(a_pod(gpu(1, MIG)), a_policy("mig-1g.5gb-shared", "mig-1g.5gb"), NOT_RENAMED)["spec"]

        assert spec["affinity"] == affinity([(MIG_STRATEGY, "NotIn", "time-slicing", "mps")])

    def test_two_slices_by_name_are_never_two_slots(self) -> None:
        assert rules(evaluate(a_pod(gpu(2, MIG)), "mig-1g.5gb-shared", NOT_RENAMED)) == ["shared-request-above-one"]
        assert rules(evaluate(a_pod(gpu(2, MIG)), "any", NOT_RENAMED)) == ["mig-count-above-one"]

    @pytest.mark.parametrize("policy", ["mig-2g.10gb-shared", "shared", "gke-mig-2g.10gb-mps-3"])
    def test_a_slice_by_name_is_still_of_its_profile(self, policy: str) -> None:
        assert rules(evaluate(a_pod(gpu(1, MIG)), policy, NOT_RENAMED))[0] == "form-not-permitted"

    def test_a_slice_by_name_is_not_shared_where_sharing_renames(self) -> None:
        assert rules(evaluate(a_pod(gpu(1, MIG)), "mig-1g.5gb-shared", RENAMED)) == ["form-not-permitted"]

    def test_a_slice_that_says_it_is_not_shared_is_not(self) -> None:
        pod = a_pod(gpu(1, MIG), nodeSelector={MIG_STRATEGY: "none"})

        assert rules(evaluate(pod, "mig-1g.5gb-shared", NOT_RENAMED)) == ["form-not-permitted"]


class TestTranslation:
    """The same form on the other platform: its selectors go, the listed form's come."""

    def translated(self, pod: Json, policy: str, plugin: DevicePlugin = RENAMED) -> Json:
        spec: Json = rewritten(pod, policy, plugin)["spec"]
        return spec

    @pytest.mark.parametrize("plugin", BOTH_SETTINGS)
    def test_a_slice_becomes_a_partition(self, plugin: DevicePlugin) -> None:
        assert self.translated(a_pod(gpu(3, MIG)), "gke-mig-1g.5gb", plugin) == {
            "containers": [gpu(3)],
            "nodeSelector": {GKE_PARTITION: "1g.5gb"},
            "affinity": affinity([(GKE_SHARING, "DoesNotExist")]),
            "tolerations": [GPU_TOLERATION],
        }

    def test_a_partition_becomes_a_slice(self) -> None:
        pod = a_pod(gpu(3), nodeSelector={GKE_PARTITION: "1g.5gb", "zone": "a"})

        assert self.translated(pod, "mig-1g.5gb") == {
            "containers": [gpu(3, MIG)],
            "nodeSelector": {"zone": "a"},
            "tolerations": [GPU_TOLERATION],
        }

    def test_a_partition_of_the_affinity_becomes_a_slice(self) -> None:
        pod = a_pod(affinity=affinity([(GKE_PARTITION, "In", "1g.5gb"), ("zone", "In", "a")]))

        assert self.translated(pod, "mig-1g.5gb", NOT_RENAMED)["affinity"] == affinity(
            [("zone", "In", "a"), (MIG_STRATEGY, "NotIn", "time-slicing", "mps")]
        )

    def test_an_affinity_of_nothing_but_a_partition_goes(self) -> None:
        pod = a_pod(affinity={"podAffinity": {}, **affinity([(GKE_PARTITION, "In", "1g.5gb")])})

        assert self.translated(pod, "mig-1g.5gb")["affinity"] == {"podAffinity": {}, "nodeAffinity": {}}

    def test_an_alternative_of_nothing_but_a_partition_leaves_every_node_open(self) -> None:
        pod = a_pod(
            affinity=affinity([(GKE_PARTITION, "In", "1g.5gb"), ("zone", "In", "a")], [(GKE_PARTITION, "In", "1g.5gb")])
        )

        assert self.translated(pod, "mig-1g.5gb")["affinity"] == {"nodeAffinity": {}}

    def test_an_alternative_of_nothing_but_a_partition_takes_what_the_form_needs(self) -> None:
        pod = a_pod(
            affinity=affinity([(GKE_PARTITION, "In", "1g.5gb"), ("zone", "In", "a")], [(GKE_PARTITION, "In", "1g.5gb")])
        )
        needed = (MIG_STRATEGY, "NotIn", "time-slicing", "mps")

        assert self.translated(pod, "mig-1g.5gb", NOT_RENAMED)["affinity"] == affinity(
            [("zone", "In", "a"), needed], [needed]
        )

    def test_an_alternative_with_fields_keeps_them(self) -> None:
        fields = [{"key": "metadata.name", "operator": "In", "values": ["node-1"]}]
        pod = a_pod(affinity=affinity([(GKE_PARTITION, "In", "1g.5gb")]))
        required = pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
        required["nodeSelectorTerms"][0]["matchFields"] = fields
        affinity_now = self.translated(pod, "mig-1g.5gb")["affinity"]["nodeAffinity"]

        assert affinity_now["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"] == [
            {"matchExpressions": [], "matchFields": fields}
        ]

    @pytest.mark.parametrize("strategy", ["mps", "time-slicing"])
    def test_a_shared_gpu_becomes_one_of_gke(self, strategy: str) -> None:
        policy = {"mps": "gke-mps-4", "time-slicing": "gke-time-sharing-4"}[strategy]

        assert self.translated(a_pod(gpu(1, SHARED), nodeSelector={STRATEGY: strategy}), policy) == {
            "containers": [gpu(1)],
            "nodeSelector": {GKE_SHARING: policy[4:-2], GKE_CLIENTS: "4"},
            "affinity": affinity([(GKE_PARTITION, "DoesNotExist")]),
            "tolerations": [GPU_TOLERATION],
        }

    def test_a_shared_gpu_of_gke_keeps_its_means(self) -> None:
        pod = a_pod(nodeSelector={GKE_SHARING: "mps", GKE_CLIENTS: "8"})

        assert self.translated(pod, "shared") == {
            "containers": [gpu(1, SHARED)],
            "nodeSelector": {STRATEGY: "mps"},
            "tolerations": [GPU_TOLERATION],
        }

    def test_a_shared_slice_of_gke_keeps_its_means(self) -> None:
        pod = a_pod(nodeSelector={GKE_PARTITION: "1g.5gb", GKE_SHARING: "time-sharing", GKE_CLIENTS: "8"})

        assert self.translated(pod, "mig-1g.5gb-shared") == {
            "containers": [gpu(1, MIG_SHARED)],
            "nodeSelector": {MIG_STRATEGY: "time-slicing"},
            "tolerations": [GPU_TOLERATION],
        }

    def test_mps_on_a_slice_is_nowhere_but_on_gke(self) -> None:
        pod = a_pod(nodeSelector={GKE_PARTITION: "1g.5gb", GKE_SHARING: "mps", GKE_CLIENTS: "8"})

        assert rules(evaluate(pod, "mig-1g.5gb-shared"))[0] == "form-not-permitted"

    def test_the_label_of_a_shared_slice_goes(self) -> None:
        pod = a_pod(gpu(1, MIG), nodeSelector={MIG_STRATEGY: "time-slicing"})

        assert self.translated(pod, "gke-mig-1g.5gb-time-sharing-2")["nodeSelector"] == {
            GKE_PARTITION: "1g.5gb",
            GKE_SHARING: "time-sharing",
            GKE_CLIENTS: "2",
        }

    def test_a_whole_gpu_by_its_strategy_becomes_one_of_gke(self) -> None:
        pod = a_pod(gpu(2), nodeSelector={STRATEGY: "none"})

        assert self.translated(pod, "gke-exclusive") == {
            "containers": [gpu(2)],
            "nodeSelector": {},
            "affinity": affinity([(GKE_SHARING, "DoesNotExist"), (GKE_PARTITION, "DoesNotExist")]),
        }

    def test_a_whole_gpu_of_gke_is_a_whole_gpu(self) -> None:
        pod = a_pod(gpu(2), affinity=affinity([(GKE_SHARING, "DoesNotExist"), (GKE_PARTITION, "DoesNotExist")]))

        assert evaluate(pod, "exclusive").edits == ()

    def test_the_client_count_is_the_listed_forms(self) -> None:
        spec = self.translated(a_pod(gpu(1, SHARED), nodeSelector={STRATEGY: "mps"}), "gke-mps-48")

        assert spec["nodeSelector"] == {GKE_SHARING: "mps", GKE_CLIENTS: "48"}

    @pytest.mark.parametrize(
        ("pod", "policy"),
        [
            (a_pod(gpu(1, MIG)), "gke-mig-2g.10gb-mps-3"),
            (a_pod(gpu(1, MIG)), "gke-mig-1g.5gb-time-sharing-2"),
            (a_pod(gpu(1, SHARED), nodeSelector={STRATEGY: "mps"}), "gke-time-sharing-4"),
            (a_pod(gpu(1, SHARED)), "gke-exclusive"),
            (a_pod(nodeSelector={GKE_SHARING: "mps"}), "time-slicing"),
            (a_pod(nodeSelector={GKE_SHARING: "mps"}), "exclusive"),
            (a_pod(nodeSelector={GKE_SHARING: "mps", GKE_CLIENTS: "8"}), "gke-mps-48"),
        ],
    )
    def test_another_form_is_no_translation(self, pod: Json, policy: str) -> None:
        assert rules(evaluate(pod, policy))[0] == "form-not-permitted"

    def test_a_product_keeps_no_suffix_on_the_other_platform(self) -> None:
        pod = a_pod(nodeSelector={PRODUCT: f"{A100}-MIG-1g.5gb"})

        assert self.translated(pod, "gke-mig-1g.5gb")["nodeSelector"] == {PRODUCT: A100, GKE_PARTITION: "1g.5gb"}


class TestMismatch:
    """Where a policy says ``mismatch: rewrite``, a form that it does not list becomes its first one."""

    def rewrite(self, pod: Json, *forms: str, plugin: DevicePlugin = RENAMED) -> Json:
        policy = a_policy(*forms, mismatch=Mismatch.REWRITE)
        spec: Json = rewritten(pod, policy, plugin)["spec"]
        return spec

    @pytest.mark.parametrize("plugin", BOTH_SETTINGS)
    @pytest.mark.parametrize("form", [form for form in TABLE if "2g.10gb" not in form])
    def test_whatever_was_stated_is_spelled_as_the_first_form(self, form: str, plugin: DevicePlugin) -> None:
        row = spelled(form, plugin)
        foreign = [
            a_pod(gpu(1, "nvidia.com/mig-2g.10gb")),
            a_pod(nodeSelector={GKE_PARTITION: "2g.10gb"}),
            a_pod(nodeSelector={GKE_PARTITION: "2g.10gb", GKE_SHARING: "time-sharing", GKE_CLIENTS: "48"}),
            a_pod(nodeSelector={PRODUCT: "A100-MIG-2g.10gb"}),
            a_pod(
                gpu(1, "nvidia.com/mig-2g.10gb.shared"), nodeSelector={"nvidia.com/mig-2g.10gb.sharing-strategy": "mps"}
            ),
            a_pod(affinity=affinity([(GKE_PARTITION, "In", "2g.10gb", "3g.20gb")])),
        ]
        for pod in foreign:
            spec = self.rewrite(pod, form, plugin=plugin)

            assert spec["containers"] == [gpu(1, row.resource)]
            selector = spec.get("nodeSelector", {})
            suffix = "-SHARED" if plugin is NOT_RENAMED and form in ("shared", "time-slicing", "mps") else ""
            assert selector.pop(PRODUCT, f"A100{suffix}") == f"A100{suffix}"
            assert selector == row.selector
            assert terms_of(spec) == ([row.required] if row.required else [])

    def test_the_strategy_of_whole_gpus_goes_with_them(self) -> None:
        spec = self.rewrite(a_pod(nodeSelector={STRATEGY: "mps"}), "mig-1g.5gb")

        assert spec == {"containers": [gpu(1, MIG)], "nodeSelector": {}, "tolerations": [GPU_TOLERATION]}

    def test_the_strategy_of_slices_goes_with_them(self) -> None:
        spec = self.rewrite(a_pod(gpu(1, MIG), nodeSelector={MIG_STRATEGY: "time-slicing"}), "exclusive")

        assert spec == {"containers": [gpu(1)], "nodeSelector": {}, "tolerations": [GPU_TOLERATION]}

    def test_another_strategy_takes_the_place_of_the_old_one(self) -> None:
        spec = self.rewrite(a_pod(nodeSelector={STRATEGY: "time-slicing"}), "mps")

        assert spec["nodeSelector"] == {STRATEGY: "mps"}

    def test_another_strategy_takes_the_place_of_the_old_one_in_the_affinity(self) -> None:
        pod = a_pod(affinity=affinity([(STRATEGY, "In", "time-slicing"), ("zone", "In", "a")]))
        spec = self.rewrite(pod, "mps")

        assert spec["nodeSelector"] == {STRATEGY: "mps"}
        assert spec["affinity"] == affinity([("zone", "In", "a")])

    def test_a_requirement_takes_the_place_of_the_old_one_in_the_affinity(self) -> None:
        pod = a_pod(
            affinity=affinity([(STRATEGY, "In", "time-slicing")], [(STRATEGY, "In", "mps"), ("zone", "In", "a")])
        )
        spec = self.rewrite(pod, "exclusive", plugin=NOT_RENAMED)
        needed = (STRATEGY, "NotIn", "time-slicing", "mps")

        assert spec["affinity"] == affinity([needed], [("zone", "In", "a"), needed])

    def test_a_requirement_takes_the_place_of_a_nodeselector(self) -> None:
        spec = self.rewrite(a_pod(nodeSelector={GKE_SHARING: "mps", GKE_CLIENTS: "4", "zone": "a"}), "gke-exclusive")

        assert spec["nodeSelector"] == {"zone": "a"}
        assert spec["affinity"] == affinity([(GKE_SHARING, "DoesNotExist"), (GKE_PARTITION, "DoesNotExist")])

    def test_labels_that_contradict_nothing_stay(self) -> None:
        spec = self.rewrite(a_pod(gpu(1, MIG), nodeSelector={"zone": "a", STRATEGY: "none"}), "exclusive")

        assert spec["nodeSelector"] == {"zone": "a", STRATEGY: "none"}

    def test_so_many_slices_become_so_many_whole_gpus(self) -> None:
        assert self.rewrite(a_pod(gpu(3, MIG)), "exclusive")["containers"] == [gpu(3)]

    def test_two_slices_never_become_two_slots(self) -> None:
        assert rules(evaluate(a_pod(gpu(2, MIG)), a_policy("shared", mismatch=Mismatch.REWRITE))) == [
            "shared-request-above-one"
        ]

    def test_a_listed_form_is_no_mismatch(self) -> None:
        assert self.rewrite(a_pod(gpu(1, MIG)), "shared", "mig-1g.5gb")["containers"] == [gpu(1, MIG)]

    def test_the_same_form_on_the_other_platform_is_no_mismatch(self) -> None:
        assert self.rewrite(a_pod(gpu(1, MIG)), "shared", "gke-mig-1g.5gb")["nodeSelector"] == {GKE_PARTITION: "1g.5gb"}


class TestSeveralContainers:
    """A pod runs on one node, so its containers' forms are decided together."""

    def test_a_plain_request_beside_an_explicit_one_takes_the_first_form_of_the_same_node(self) -> None:
        spec = rewritten(a_pod(gpu(name="a"), gpu(1, SHARED, name="b")), a_policy("exclusive", "mig-1g.5gb", "shared"))[
            "spec"
        ]

        assert [container["resources"]["limits"] for container in spec["containers"]] == [{MIG: 1}, {SHARED: 1}]

    def test_the_order_of_the_containers_does_not_matter(self) -> None:
        spec = rewritten(a_pod(gpu(1, SHARED, name="b"), gpu(name="a")), a_policy("exclusive", "shared"))["spec"]

        assert [container["resources"]["limits"] for container in spec["containers"]] == [{SHARED: 1}, {SHARED: 1}]

    def test_whole_gpus_and_slices_are_on_one_node(self) -> None:
        spec = rewritten(a_pod(gpu(2, name="a"), gpu(1, MIG, name="b")), a_policy("exclusive", "mig-1g.5gb"))["spec"]

        assert [container["resources"]["limits"] for container in spec["containers"]] == [{GPU: 2}, {MIG: 1}]

    def test_each_container_gets_what_its_own_form_needs(self) -> None:
        pod = a_pod(gpu(name="a"), gpu(1, MIG, name="b"))
        spec = rewritten(pod, a_policy("exclusive", "mig-1g.5gb"), NOT_RENAMED)["spec"]

        assert spec["affinity"] == affinity(
            [(STRATEGY, "NotIn", "time-slicing", "mps"), (MIG_STRATEGY, "NotIn", "time-slicing", "mps")]
        )

    def test_a_need_of_two_containers_is_written_once(self) -> None:
        spec = rewritten(a_pod(gpu(name="a"), gpu(name="b")), "exclusive", NOT_RENAMED)["spec"]

        assert spec["affinity"] == affinity([(STRATEGY, "NotIn", "time-slicing", "mps")])

    def test_several_containers_are_translated_together(self) -> None:
        pod = a_pod(gpu(name="a"), gpu(name="b"), nodeSelector={GKE_PARTITION: "1g.5gb"})
        spec = rewritten(pod, "mig-1g.5gb")["spec"]

        assert [container["resources"]["limits"] for container in spec["containers"]] == [{MIG: 1}, {MIG: 1}]
        assert spec["nodeSelector"] == {}

    def test_a_refused_container_refuses_the_pod(self) -> None:
        decision = evaluate(a_pod(gpu(name="a"), gpu(1, MIG, name="b")), "shared")

        assert rules(decision) == ["form-not-permitted"]
        assert decision.edits == ()
        assert [gpu_container.container.name for gpu_container in decision.gpu_containers] == ["a", "b"]
