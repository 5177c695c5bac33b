"""Products: what the values of nvidia.com/gpu.product say, and which values the engine writes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import (
    GKE_PARTITION,
    GPU,
    GPU_SLICES,
    MODELS,
    NOT_RENAMED,
    PRODUCT,
    RENAMED,
    SINGLE,
    SINGLE_BY_PRODUCT,
    SINGLE_BY_PRODUCT_NOT_RENAMED,
    SINGLE_NOT_RENAMED,
    Json,
    a_form,
    a_pod,
    a_policy,
    additions,
    affinity,
    applied,
    evaluate,
    expression,
    gpu,
    messages,
    rewritten,
    rules,
    selecting,
)
from tests.engine.cluster import PROFILES
from tests.engine.spelled import IS_SHARED, NOT_SHARED, SLICE, WHOLE
from tests.engine.strategies import listed_forms, plugins
from tests.engine.test_decision_properties import PROPERTY
from webhook.engine.forms import Platform
from webhook.engine.policy import Mismatch, Policy, PolicyBook
from webhook.engine.products import Product, ProductNames, read_product
from webhook.engine.spelling import DevicePlugin, MigStrategy, spell

A100, PCIE = MODELS
T4 = "Tesla-T4"
UNLISTED = "NVIDIA-A800-40GB-Active"
INVALID = f"{A100}-MIG-INVALID"
SLICES = f"{A100}-MIG-1g.5gb"
# As long as a model can be, and one that is longer than any label of its slices could be.
RTX = "NVIDIA-RTX-PRO-6000-Blackwell-Server-Edition"
MAX_Q = "NVIDIA-RTX-PRO-6000-Blackwell-Max-Q-Workstation-Edition"
OR_REMOVE = f", or remove {PRODUCT} from the pod"
SUFFIXES = (
    *("", "-SHARED", "-MIG-1g.5gb", "-MIG-2g.10gb", "-MIG-1g.5gb-SHARED", "-MIG-2g.10gb-SHARED", "-MIG-INVALID"),
    *("-shared", "-mig-1g.5gb", "-MIG-1c.2g.10gb", "-SHARED-MIG-1g.5gb", "-MIG-INVALID-SHARED"),
)


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (A100, Product(A100)),
        (f"{A100}-SHARED", Product(A100, shared=True)),
        (SLICES, Product(A100, "1g.5gb")),
        (f"{SLICES}-SHARED", Product(A100, "1g.5gb", shared=True)),
        ("A100-MIG-1g.24gb.me.all", Product("A100", "1g.24gb.me.all")),
        (INVALID, Product(A100, invalid=True)),
        ("A100-SHARED-MIG-1g.5gb", Product("A100-SHARED", "1g.5gb")),
        ("A100-MIG-1c.2g.10gb", Product("A100-MIG-1c.2g.10gb")),
        ("A100-shared", Product("A100-shared")),
        ("-SHARED", Product("-SHARED")),
        ("", Product("")),
        ("A\n100-SHARED", Product("A\n100-SHARED")),
    ],
)
def test_a_product_says_its_form_by_its_end(value: str, read: Product) -> None:
    assert read_product(value) == read


def test_only_a_model_is_one() -> None:
    assert [suffix for suffix in SUFFIXES if read_product(A100 + suffix).is_model] == [""]


class TestUntouched:
    """What a pod selects as the nodes of its form have it, and what says nothing of models."""

    @pytest.mark.parametrize("plugin", [SINGLE, SINGLE_BY_PRODUCT])
    @pytest.mark.parametrize(
        "pod",
        [
            pytest.param(a_pod(nodeSelector={PRODUCT: SLICES}), id="slices"),
            pytest.param(a_pod(nodeSelector={PRODUCT: f"{UNLISTED}-MIG-1g.5gb"}), id="slices of an unlisted model"),
            pytest.param(selecting((PRODUCT, "In", SLICES, INVALID)), id="slices, or nodes without any"),
            pytest.param(
                selecting((PRODUCT, "In", SLICES), (PRODUCT, "NotIn", f"{PCIE}-SHARED")), id="not shared ones"
            ),
        ],
    )
    def test_slices(self, pod: Json, plugin: DevicePlugin) -> None:
        decision = evaluate(pod, "mig-1g.5gb", plugin)

        assert (decision.edits, decision.findings) == ((), ())

    @pytest.mark.parametrize("plugin", [RENAMED, NOT_RENAMED, SINGLE, SINGLE_BY_PRODUCT])
    @pytest.mark.parametrize("product", [A100, T4, "a100", "a100-shared", "x" * 63])
    def test_whole_gpus_of_any_model(self, product: str, plugin: DevicePlugin) -> None:
        pod = a_pod(nodeSelector={PRODUCT: product})
        result = rewritten(pod, "exclusive", plugin)

        assert result["spec"]["nodeSelector"] == {PRODUCT: product}

    def test_any_form(self) -> None:
        assert evaluate(a_pod(nodeSelector={PRODUCT: INVALID}), "any", SINGLE).edits == ()


class TestConflicts:
    """Products that no node with the form is known to have."""

    @pytest.mark.parametrize("plugin", [RENAMED, NOT_RENAMED, SINGLE, SINGLE_BY_PRODUCT, SINGLE_BY_PRODUCT_NOT_RENAMED])
    @pytest.mark.parametrize("form", ["exclusive", "shared", "mig-1g.5gb", "mig-1g.5gb-shared", "gke-mig-1g.5gb"])
    def test_nodes_with_an_invalid_mig_configuration_offer_no_gpu(self, form: str, plugin: DevicePlugin) -> None:
        decision = evaluate(a_pod(nodeSelector={PRODUCT: INVALID}), form, plugin)

        [finding] = decision.findings
        assert finding.reason == (
            f'container "train": form "{form}" is not on nodes with {PRODUCT}: {INVALID}, which the pod selects'
        )
        assert "their MIG configuration is invalid under MIG strategy single, and offer no GPU" in finding.detail
        assert finding.detail.endswith(f"; select {A100}{OR_REMOVE}")
        assert (finding.rule.id, finding.path) == ("selector-conflict", f"spec.nodeSelector[{PRODUCT}]")

    @pytest.mark.parametrize("plugin", [SINGLE, SINGLE_NOT_RENAMED, SINGLE_BY_PRODUCT, SINGLE_BY_PRODUCT_NOT_RENAMED])
    @pytest.mark.parametrize(
        ("pod", "path"),
        [
            (a_pod(nodeSelector={PRODUCT: UNLISTED}), f"spec.nodeSelector[{PRODUCT}]"),
            (selecting((PRODUCT, "In", UNLISTED, "NVIDIA-X1")), "spec.affinity.nodeAffinity"),
            (
                a_pod(affinity=affinity([(PRODUCT, "In", UNLISTED)], [(PRODUCT, "In", "NVIDIA-X1")])),
                "spec.affinity.nodeAffinity",
            ),
        ],
    )
    def test_a_model_that_is_not_listed_has_no_known_slices(self, pod: Json, path: str, plugin: DevicePlugin) -> None:
        [finding] = evaluate(pod, "mig-1g.5gb", plugin).findings

        assert finding.message == (
            f'container "train": form "mig-1g.5gb" is not on nodes with {PRODUCT}: {UNLISTED}, which the pod selects; '
            f"devicePlugin.products does not list {UNLISTED}; if nodes of this model have MIG, ask an administrator to add it "
            f"there, in gpuwarden's configuration, or remove {PRODUCT} from the pod"
        )
        assert (finding.rule.id, finding.path) == ("selector-conflict", path)

    @pytest.mark.parametrize("plugin", [SINGLE, SINGLE_BY_PRODUCT])
    def test_slices_of_a_model_that_is_not_listed_are_known_where_they_are_selected(self, plugin: DevicePlugin) -> None:
        """Where sharing renames the resource, the nodes of shared slices have no ``-SHARED``."""
        pod = a_pod(nodeSelector={PRODUCT: f"{UNLISTED}-MIG-1g.5gb-SHARED"})
        spec = rewritten(pod, "mig-1g.5gb-shared", plugin)["spec"]

        assert spec["nodeSelector"] == {PRODUCT: f"{UNLISTED}-MIG-1g.5gb"}

    def test_a_listed_model_in_another_case(self) -> None:
        [message] = messages(evaluate(a_pod(nodeSelector={PRODUCT: A100.lower()}), "mig-1g.5gb", SINGLE_BY_PRODUCT))

        assert f"lists {A100}, and label values are case-sensitive; select {A100}, or remove" in message

    @pytest.mark.parametrize(
        ("product", "form", "plugin"),
        [
            (f"{A100}-MIG-1c.2g.10gb", "exclusive", SINGLE),
            (f"{A100}-MIG-1c.2g.10gb", "mig-1g.5gb", SINGLE_BY_PRODUCT),
            (f"{A100}-mig-1g.5gb", "mig-1g.5gb", SINGLE_BY_PRODUCT),
            (f"{A100}-shared", "shared", NOT_RENAMED),
            (f"{A100}-SHARED-SHARED", "exclusive", NOT_RENAMED),
        ],
    )
    def test_a_suffix_that_feature_discovery_does_not_write_gets_no_other(
        self, product: str, form: str, plugin: DevicePlugin
    ) -> None:
        decision = evaluate(a_pod(nodeSelector={PRODUCT: product}), a_policy(form, mismatch=Mismatch.REWRITE), plugin)

        assert rules(decision) == ["selector-conflict"]
        assert "no other suffix; select the model alone, or remove" in messages(decision)[0]

    @pytest.mark.parametrize("plugin", [RENAMED, NOT_RENAMED, SINGLE, SINGLE_BY_PRODUCT])
    @pytest.mark.parametrize("form", ["exclusive", "shared"])
    def test_no_node_has_an_empty_product(self, form: str, plugin: DevicePlugin) -> None:
        [finding] = evaluate(a_pod(nodeSelector={PRODUCT: ""}), form, plugin).denials

        assert finding.reason == (
            f'container "train": form "{form}" is not on nodes with {PRODUCT}: "", which the pod selects'
        )
        assert finding.detail == f"no node has an empty value of this label; select a GPU model{OR_REMOVE}"

    @pytest.mark.parametrize("plugin", [RENAMED, NOT_RENAMED, SINGLE])
    def test_an_empty_product_that_is_excluded_stays(self, plugin: DevicePlugin) -> None:
        spec = rewritten(selecting((PRODUCT, "NotIn", "")), "shared", plugin)["spec"]

        assert values_of({"spec": spec}) == {""}

    @pytest.mark.parametrize(
        ("model", "form", "plugin", "suffix"),
        [
            ("x" * 57, "shared", NOT_RENAMED, "-SHARED"),
            (MAX_Q, "mig-1g.24gb", DevicePlugin(True, MigStrategy.SINGLE, (MAX_Q, A100)), "-MIG-1g.24gb"),  # noqa: FBT003
        ],
    )
    def test_no_label_value_has_more_than_63_characters(
        self, model: str, form: str, plugin: DevicePlugin, suffix: str
    ) -> None:
        [message] = messages(evaluate(a_pod(nodeSelector={PRODUCT: model}), form, plugin))

        assert (
            f"the label of such nodes would be {model}{suffix}, and a label value has at most 63 characters; select another "
            "product"
        ) in message

    def test_a_product_that_its_new_name_contradicts(self) -> None:
        pod = selecting((PRODUCT, "In", f"{A100}-SHARED"), (PRODUCT, "NotIn", A100))
        [message] = messages(evaluate(pod, a_policy("exclusive", mismatch=Mismatch.REWRITE), NOT_RENAMED))

        assert f"is on nodes with {PRODUCT}: {A100}, and the pod excludes that in its node affinity" in message


class TestSeveral:
    """Alternatives: those with the form get its suffix, the needs of the form exclude the others."""

    def test_products_of_one_list(self) -> None:
        pod = selecting((PRODUCT, "In", T4, INVALID, A100))
        spec = rewritten(pod, "mig-1g.5gb", SINGLE_BY_PRODUCT)["spec"]

        assert spec["affinity"] == affinity([(PRODUCT, "In", T4, INVALID, SLICES), (PRODUCT, "In", SLICES)])

    def test_nodes_without_gpus_need_not_be_excluded(self) -> None:
        spec = rewritten(selecting((PRODUCT, "In", INVALID, A100)), "mig-1g.5gb", SINGLE_BY_PRODUCT)["spec"]

        assert spec["affinity"] == affinity([(PRODUCT, "In", INVALID, SLICES)])

    def test_slices_beside_a_model_without_products(self) -> None:
        spec = rewritten(selecting((PRODUCT, "In", SLICES, T4)), "mig-1g.5gb", SINGLE)["spec"]

        assert spec["affinity"] == affinity([(PRODUCT, "In", SLICES, T4), (PRODUCT, "In", SLICES)])

    def test_an_alternative_of_another_model(self) -> None:
        pod = a_pod(affinity=affinity([(PRODUCT, "In", T4)], [("zone", "In", "a")]))
        spec = rewritten(pod, "mig-1g.5gb", SINGLE)["spec"]

        assert spec["affinity"] == affinity([(PRODUCT, "In", T4), *SLICE], [("zone", "In", "a"), *SLICE])

    def test_slices_and_nodes_without_gpus_state_slices(self) -> None:
        pod = selecting((PRODUCT, "In", INVALID, SLICES))

        assert rules(evaluate(pod, "exclusive", SINGLE)) == ["form-not-permitted"]

    def test_a_model_of_which_another_form_is_selected_stays_the_pods_choice(self) -> None:
        pod = selecting((PRODUCT, "In", f"{T4}-MIG-1g.5gb", SLICES))
        spec = rewritten(pod, a_policy("mig-2g.10gb", mismatch=Mismatch.REWRITE), SINGLE_BY_PRODUCT)["spec"]

        other = f"{A100}-MIG-2g.10gb"
        assert spec["affinity"] == affinity([(PRODUCT, "In", f"{T4}-MIG-1g.5gb", other), (PRODUCT, "In", other)])


class TestOfOtherForms:
    """Products that name a form, beside products that name none: nobody gets what such a product does not name."""

    SLICES_2G = f"{A100}-MIG-2g.10gb"
    MIXED = selecting((PRODUCT, "In", SLICES_2G, T4))
    ALTERNATIVES = a_pod(affinity=affinity([(PRODUCT, "In", SLICES_2G)], [(PRODUCT, "In", T4)]))

    @pytest.mark.parametrize("plugin", [RENAMED, NOT_RENAMED, SINGLE, SINGLE_BY_PRODUCT])
    def test_where_every_form_is_permitted_nothing_changes(self, plugin: DevicePlugin) -> None:
        for pod in (self.MIXED, self.ALTERNATIVES, selecting((PRODUCT, "In", f"{A100}-SHARED", T4))):
            assert evaluate(pod, "any", plugin).edits == ()
            assert evaluate(pod, "any", plugin).findings == ()

    @pytest.mark.parametrize("plugin", [SINGLE, SINGLE_BY_PRODUCT])
    def test_slices_of_the_policy_are_kept(self, plugin: DevicePlugin) -> None:
        kept = (PRODUCT, "In", self.SLICES_2G)
        for policy in ("mig-2g.10gb", a_policy("mig-1g.5gb", "mig-2g.10gb")):
            spec = rewritten(self.MIXED, policy, plugin)["spec"]

            assert spec["affinity"] == affinity([(PRODUCT, "In", self.SLICES_2G, T4), kept])

        spec = rewritten(self.ALTERNATIVES, "mig-2g.10gb", plugin)["spec"]
        assert spec["affinity"] == affinity([kept, kept], [(PRODUCT, "In", T4), kept])

    @pytest.mark.parametrize("plugin", [SINGLE, SINGLE_BY_PRODUCT])
    def test_whole_gpus_of_the_policy_are_kept(self, plugin: DevicePlugin) -> None:
        spec = rewritten(self.MIXED, "exclusive", plugin)["spec"]

        assert spec["affinity"] == affinity([(PRODUCT, "In", self.SLICES_2G, T4), (PRODUCT, "In", T4)])

    @pytest.mark.parametrize("plugin", [SINGLE, SINGLE_NOT_RENAMED, SINGLE_BY_PRODUCT, SINGLE_BY_PRODUCT_NOT_RENAMED])
    @pytest.mark.parametrize("pod", [MIXED, ALTERNATIVES])
    def test_neither_slices_nor_a_model_of_the_policy_are_not_permitted(self, pod: Json, plugin: DevicePlugin) -> None:
        for form in ("mig-1g.5gb", "mig-1g.5gb-shared", "mig-3g.20gb"):
            decision = evaluate(pod, form, plugin)

            assert rules(decision) == ["form-not-permitted"]
            assert 'requests form "mig-2g.10gb"' in messages(decision)[0]

    def test_a_listed_model_gets_the_suffix_and_the_other_form_is_excluded(self) -> None:
        spec = rewritten(selecting((PRODUCT, "In", self.SLICES_2G, A100)), "mig-1g.5gb", SINGLE_BY_PRODUCT)["spec"]

        assert spec["affinity"] == affinity([(PRODUCT, "In", self.SLICES_2G, SLICES), (PRODUCT, "In", SLICES)])

    def test_slices_of_two_profiles_are_narrowed_to_one(self) -> None:
        pod = selecting((PRODUCT, "In", self.SLICES_2G, SLICES))
        for plugin in (SINGLE, SINGLE_BY_PRODUCT):
            spec = rewritten(pod, "mig-1g.5gb", plugin)["spec"]

            assert spec["affinity"] == affinity([(PRODUCT, "In", self.SLICES_2G, SLICES), (PRODUCT, "In", SLICES)])

    def test_slices_that_only_a_suffix_distinguishes_are_narrowed_too(self) -> None:
        media = f"{SLICES}.me"
        spec = rewritten(selecting((PRODUCT, "In", media, SLICES)), "mig-1g.5gb", SINGLE)["spec"]

        assert spec["affinity"] == affinity([(PRODUCT, "In", media, SLICES), (PRODUCT, "In", SLICES)])

    def test_shared_gpus_beside_a_model(self) -> None:
        pod = selecting((PRODUCT, "In", f"{A100}-SHARED", T4))

        whole = rewritten(pod, "exclusive", NOT_RENAMED)["spec"]
        assert whole["affinity"] == affinity([(PRODUCT, "In", f"{A100}-SHARED", T4), NOT_SHARED])
        shared = rewritten(pod, "shared", NOT_RENAMED)["spec"]
        assert shared["affinity"] == affinity([(PRODUCT, "In", f"{A100}-SHARED", f"{T4}-SHARED"), IS_SHARED])

    def test_on_gke(self) -> None:
        spec = rewritten(self.MIXED, "gke-mig-2g.10gb")["spec"]

        assert spec["nodeSelector"] == {GKE_PARTITION: "2g.10gb"}
        assert f"'{A100}', '{T4}'" in str(spec["affinity"])

    def test_a_policy_that_rewrites_gives_its_first_form(self) -> None:
        policy = a_policy("mig-1g.5gb", mismatch=Mismatch.REWRITE)
        spec = rewritten(self.MIXED, policy, SINGLE_BY_PRODUCT)["spec"]

        assert spec["affinity"] == affinity([(PRODUCT, "In", SLICES, T4), (PRODUCT, "In", SLICES)])

    @pytest.mark.parametrize(
        ("plugin", "fix"),
        [
            (SINGLE_BY_PRODUCT, f"; select {A100} alone{OR_REMOVE}"),
            # The model alone is denied too.
            (SINGLE, f", and devicePlugin.products does not list {A100}; if nodes of this model have MIG, ask an"),
        ],
    )
    def test_a_name_and_a_product_that_contradict_each_other(self, plugin: DevicePlugin, fix: str) -> None:
        pod = a_pod(gpu(1, "nvidia.com/mig-1g.5gb"), nodeSelector={PRODUCT: self.SLICES_2G})
        [finding] = evaluate(pod, "mig-1g.5gb", plugin).findings

        assert (finding.rule.id, finding.path) == ("selector-conflict", f"spec.nodeSelector[{PRODUCT}]")
        assert f"it is the label of nodes with another form{fix}" in finding.message

    def test_labels_of_slices_decide_before_products(self) -> None:
        pod = selecting((PRODUCT, "In", self.SLICES_2G, T4), WHOLE)
        spec = rewritten(pod, a_policy("mig-2g.10gb", "exclusive"), SINGLE)["spec"]

        assert spec["affinity"] == affinity([(PRODUCT, "In", self.SLICES_2G, T4), WHOLE, (PRODUCT, "In", T4)])


class TestProfilesOfModels:
    """A known model has no other profiles than those that NVIDIA documents; an unknown one may have any."""

    H100 = "NVIDIA-H100-80GB-HBM3"
    BOTH = DevicePlugin(mig_strategy=MigStrategy.SINGLE, products=(H100, A100))
    UNKNOWN = DevicePlugin(mig_strategy=MigStrategy.SINGLE, products=(H100, "NVIDIA-X1"))
    ONLY = DevicePlugin(mig_strategy=MigStrategy.SINGLE, products=(H100, "NVIDIA-A30"))

    @pytest.mark.parametrize(
        ("plugin", "form"), [(BOTH, "mig-3g.40gb"), (UNKNOWN, "mig-1g.5gb"), (ONLY, "mig-1g.10gb")]
    )
    def test_a_profile_of_some_model_is_a_policy(self, plugin: DevicePlugin, form: str) -> None:
        assert PolicyBook(plugin=plugin).resolve(form)

    def test_a_model_that_lacks_the_profile_is_not_written(self) -> None:
        assert spell(a_form("mig-1g.5gb"), self.BOTH).needs[0].values == (SLICES,)
        assert spell(a_form("mig-1g.10gb"), self.BOTH).needs[0].values == (
            f"{self.H100}-MIG-1g.10gb",
            f"{A100}-MIG-1g.10gb",
        )
        assert spell(a_form("mig-1g.5gb"), self.UNKNOWN).needs[0].values == ("NVIDIA-X1-MIG-1g.5gb",)

    def test_a_profile_that_every_listed_model_lacks_is_not_a_policy(self) -> None:
        book = PolicyBook(plugin=self.ONLY)

        assert book.resolve("mig-1g.5gb") is book.resolve("mig-1g.5gb-shared") is None
        assert book.resolve("gke-mig-1g.5gb")
        assert book.nearest("mig-1g.5gb").startswith(
            f'"mig-1g.5gb" has no nodes under migStrategy single: {self.H100} has no MIG profile 1g.5gb (its profiles are 1g.10gb'
        )

    @pytest.mark.parametrize("plugin", [RENAMED, NOT_RENAMED, SINGLE, BOTH])
    @pytest.mark.parametrize("suffix", ["", "-MIG-1g.5gb"])
    def test_a_pod_that_selects_one_that_lacks_the_profile(self, suffix: str, plugin: DevicePlugin) -> None:
        [finding] = evaluate(a_pod(nodeSelector={PRODUCT: self.H100 + suffix}), "mig-1g.5gb", plugin).findings

        assert finding.rule.id == "selector-conflict"
        assert (
            f"{self.H100} has no MIG profile 1g.5gb (its profiles are 1g.10gb, 1g.20gb, 2g.20gb, 3g.40gb, 4g.40gb, 7g.80gb); "
            f"select another product{OR_REMOVE}"
        ) in finding.message

    def test_a_pod_that_selects_one_that_has_it_too(self) -> None:
        spec = rewritten(selecting((PRODUCT, "In", self.H100, A100)), "mig-1g.5gb", self.BOTH)["spec"]

        assert spec["affinity"] == affinity([(PRODUCT, "In", self.H100, SLICES), (PRODUCT, "In", SLICES)])

    @pytest.mark.parametrize("plugin", [RENAMED, SINGLE])
    def test_a_model_without_mig(self, plugin: DevicePlugin) -> None:
        [message] = messages(evaluate(a_pod(nodeSelector={PRODUCT: T4}), "mig-1g.5gb", plugin))

        assert f"{T4} has no MIG profile 1g.5gb (it has no MIG); select another product{OR_REMOVE}" in message


class TestExcluded:
    """A model in NotIn means its nodes whatever their form, as it does in In."""

    def test_a_model_gets_the_suffix(self) -> None:
        spec = rewritten(selecting((PRODUCT, "NotIn", A100, T4, INVALID)), "mig-1g.5gb", SINGLE_BY_PRODUCT)["spec"]

        needed = (PRODUCT, "In", *(f"{model}-MIG-1g.5gb" for model in MODELS))
        assert spec["affinity"] == affinity([(PRODUCT, "NotIn", SLICES, T4, INVALID), needed]), "a T4 has no MIG"
        shared = rewritten(selecting((PRODUCT, "NotIn", A100, f"{PCIE}-SHARED")), "time-slicing", NOT_RENAMED)["spec"]
        assert shared["affinity"] == affinity([(PRODUCT, "NotIn", f"{A100}-SHARED", f"{PCIE}-SHARED")])

    @pytest.mark.parametrize("plugin", [SINGLE, SINGLE_BY_PRODUCT])
    def test_a_model_that_is_not_listed_gets_it_too(self, plugin: DevicePlugin) -> None:
        pod = selecting((PRODUCT, "NotIn", UNLISTED, "x" * 60))
        [excluded, *_] = rewritten(pod, "mig-1g.5gb", plugin)["spec"]["affinity"]["nodeAffinity"][
            "requiredDuringSchedulingIgnoredDuringExecution"
        ]["nodeSelectorTerms"][0]["matchExpressions"]

        assert excluded == expression(PRODUCT, "NotIn", f"{UNLISTED}-MIG-1g.5gb", "x" * 60)

    @pytest.mark.parametrize("plugin", [SINGLE, SINGLE_BY_PRODUCT])
    def test_beside_slices_that_are_selected_whole_gpus_of_their_model_stay_excluded(
        self, plugin: DevicePlugin
    ) -> None:
        pod = selecting((PRODUCT, "In", SLICES), (PRODUCT, "NotIn", A100))

        assert evaluate(pod, "mig-1g.5gb", plugin).edits == ()
        assert evaluate(pod, "mig-1g.5gb", plugin).findings == ()

    def test_a_suffix_stays(self) -> None:
        pod = selecting((PRODUCT, "NotIn", f"{A100}-SHARED", SLICES))
        spec = rewritten(pod, "exclusive", SINGLE)["spec"]

        assert spec["affinity"] == affinity([(PRODUCT, "NotIn", f"{A100}-SHARED", SLICES), WHOLE])

    def test_every_listed_model_is_a_conflict(self) -> None:
        [message] = messages(evaluate(selecting((PRODUCT, "NotIn", *MODELS)), "mig-1g.5gb", SINGLE_BY_PRODUCT))

        assert f"{A100}-MIG-1g.5gb" in message
        assert f"the pod excludes that in its node affinity on {PRODUCT}" in message


class TestNames:
    """The values that nodes of a form have."""

    def test_a_form_is_selected_by_labels_that_fit(self) -> None:
        plugin = DevicePlugin(True, MigStrategy.SINGLE, (MAX_Q, RTX))  # noqa: FBT003 - named by its name

        assert spell(a_form("mig-1g.24gb.me.all"), plugin).needs[0].values == (f"{RTX}-MIG-1g.24gb.me.all",)

    def test_no_policy_has_labels_none_of_which_fits(self) -> None:
        plugin = DevicePlugin(False, MigStrategy.SINGLE, (RTX,))  # noqa: FBT003 - named by its name
        book = PolicyBook(plugin=plugin)

        assert book.resolve("mig-1g.24gb.me.all")
        assert book.resolve("mig-1g.24gb.me.all-shared") is None
        assert book.nearest("mig-1g.24gb.me.all-shared") == (
            '"mig-1g.24gb.me.all-shared" has no nodes under migStrategy single: with its suffix, every label value of '
            "devicePlugin.products would have more than 63 characters; use a form without .me.all"
        )

    def test_slices_are_selected_by_size_where_no_label_fits(self) -> None:
        plugin = DevicePlugin(True, MigStrategy.SINGLE, (MAX_Q,))  # noqa: FBT003 - named by its name

        assert spell(a_form("mig-1g.24gb"), plugin).needs[0].key == GPU_SLICES

    def test_a_policys_own_product_is_never_made_up(self) -> None:
        for product in (T4, INVALID, f"{A100}-mig-1g.5gb"):
            policy = a_policy("mig-1g.5gb", node_selector={PRODUCT: product})
            spec = rewritten(a_pod(), policy, SINGLE_BY_PRODUCT)["spec"]

            assert "nodeSelector" not in spec


_VALUES = st.builds(
    lambda model, suffix: model + suffix,
    st.sampled_from([*MODELS, T4, A100.lower(), RTX, MAX_Q, "x" * 57]),
    st.sampled_from(SUFFIXES),
)
_EXPRESSIONS = st.builds(
    lambda operator, values: (PRODUCT, operator, *values),
    st.sampled_from(["In", "In", "NotIn"]),
    st.lists(_VALUES, min_size=1, max_size=3, unique=True),
)
_PODS = st.one_of(
    st.builds(lambda value: a_pod(nodeSelector={PRODUCT: value}), _VALUES),
    st.builds(
        lambda terms: a_pod(affinity=affinity(*terms)),
        st.lists(st.lists(_EXPRESSIONS, min_size=1, max_size=2), min_size=1, max_size=2),
    ),
    st.just(a_pod(gpu(1, GPU))),
)
_POLICIES = st.builds(
    lambda forms, product, mismatch: Policy(
        "team",
        tuple(forms),
        mismatch=mismatch,
        additions=additions(node_selector={PRODUCT: product} if product else {}),
    ),
    st.lists(listed_forms((Platform.DEVICE_PLUGIN,)), min_size=1, max_size=2, unique=True),
    st.none() | _VALUES,
    st.sampled_from(Mismatch),
)
_PLUGINS = plugins | st.builds(
    lambda renames, products: DevicePlugin(renames, MigStrategy.SINGLE, products),
    st.booleans(),
    st.sampled_from([(), (A100, RTX), (MAX_Q, PCIE)]),
)


def values_of(pod: Json) -> set[str]:
    """Every product that a pod writes down."""
    spec = pod["spec"]
    required = (
        (spec.get("affinity") or {}).get("nodeAffinity", {}).get("requiredDuringSchedulingIgnoredDuringExecution")
    )
    terms = required["nodeSelectorTerms"] if required else []
    listed = [e.get("values", ()) for term in terms for e in term["matchExpressions"] if e["key"] == PRODUCT]
    return {value for values in listed for value in values} | (
        {spec["nodeSelector"][PRODUCT]} if PRODUCT in spec.get("nodeSelector", {}) else set()
    )


@PROPERTY
@given(_PODS, _POLICIES, _PLUGINS)
def test_every_product_that_is_written_is_one_that_nodes_can_have(
    pod: Json, policy: Policy, plugin: DevicePlugin
) -> None:
    """Of a listed model with a suffix of slices, or of any model as whole GPUs have it, in at most 63 characters."""
    written = values_of(applied(pod, evaluate(pod, policy, plugin))) - values_of(pod)
    sliced = {f"-MIG-{profile}{shared}" for profile in PROFILES for shared in ("", "-SHARED")}
    of_slices = {model + suffix for model in plugin.products for suffix in sliced} if plugin.single else set()
    own = {dict(policy.additions.node_selector).get(PRODUCT, "")}
    models = {*MODELS, T4, A100.lower(), RTX, MAX_Q, "x" * 57}

    assert all(len(value) <= 63 for value in written - own)
    assert written - own <= of_slices | models | {f"{model}-SHARED" for model in models}
    assert not any("INVALID" in value for value in written)


@PROPERTY
@given(_PODS, _POLICIES, _PLUGINS)
def test_a_pod_that_was_rewritten_is_as_it_should_be(pod: Json, policy: Policy, plugin: DevicePlugin) -> None:
    decision = evaluate(pod, policy, plugin)
    again = evaluate(applied(pod, decision), policy, plugin)

    assert again.edits == ()
    assert bool(again.denials) == bool(decision.denials)


def test_names_of_nodes_of_any_model() -> None:
    assert ProductNames().of(T4) == T4
    assert ProductNames("-SHARED").of(T4) == f"{T4}-SHARED"
    assert ProductNames().values == ()
