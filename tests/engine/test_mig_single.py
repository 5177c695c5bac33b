"""MIG strategy single: slices are called nvidia.com/gpu, and only node labels tell them from whole GPUs."""

from itertools import pairwise
from typing import Any

import pytest

from tests.builders import (
    COMPUTE_SLICES,
    GKE_PARTITION,
    GPU,
    GPU_SLICES,
    MEMORY,
    MIG,
    MIG_SHARED,
    MIG_STRATEGY,
    MODELS,
    PRODUCT,
    RENAMED,
    SHARED,
    SINGLE,
    SINGLE_BY_PRODUCT,
    SINGLE_BY_PRODUCT_NOT_RENAMED,
    SINGLE_NOT_RENAMED,
    STRATEGY,
    Json,
    a_form,
    a_pod,
    a_policy,
    affinity,
    evaluate,
    gpu,
    messages,
    rewritten,
    rules,
    selecting,
    spec_of,
)
from tests.engine.spelled import IS_SHARED, NOT_SHARED, SLICE, WHOLE
from webhook.engine.form_selection import Statements
from webhook.engine.forms import Form
from webhook.engine.mig_profiles import DOCUMENTED, memory_bounds, read_profile
from webhook.engine.node_constraints import Need, NodeConstraints, possible
from webhook.engine.policy import Mismatch, PolicyBook
from webhook.engine.resources import GpuResource, classify
from webhook.engine.spelling import DevicePlugin, slice_labels, spell

A100 = MODELS[0]
SLICE_2G = [(GPU_SLICES, "In", "2"), (COMPUTE_SLICES, "In", "2"), (MEMORY, "Lt", "10828")]


def spec_after(pod: Json, policy: Any, plugin: DevicePlugin = SINGLE) -> Json:
    """The spec of a pod once it is rewritten; it is evaluated again, and must be as it should be."""
    result = rewritten(pod, policy, plugin)
    assert evaluate(result, policy, plugin).edits == ()
    assert evaluate(result, policy, plugin).denials == ()
    spec: Json = result["spec"]
    return spec


class TestUntouched:
    """A pod that selects its slices already, in either way, is as it should be."""

    @pytest.mark.parametrize(
        "pod",
        [
            pytest.param(a_pod(nodeSelector={PRODUCT: f"{A100}-MIG-1g.5gb"}), id="by product"),
            pytest.param(
                a_pod(nodeSelector={PRODUCT: "NVIDIA-A800-40GB-Active-MIG-1g.5gb"}),
                id="by an unlisted product",
            ),
            pytest.param(selecting((PRODUCT, "In", *(f"{m}-MIG-1g.5gb" for m in MODELS))), id="by products"),
            pytest.param(selecting(*SLICE), id="by size"),
            pytest.param(
                selecting((GPU_SLICES, "In", "1"), (COMPUTE_SLICES, "In", "1"), (MEMORY, "In", "4864", "4960")),
                id="by the very size",
            ),
        ],
    )
    def test_a_pod_for_slices(self, pod: Json) -> None:
        assert evaluate(pod, "mig-1g.5gb", SINGLE) == evaluate(pod, "mig-1g.5gb", SINGLE)
        assert evaluate(pod, "mig-1g.5gb", SINGLE).edits == ()
        assert evaluate(pod, "mig-1g.5gb", SINGLE).findings == ()

    def test_a_pod_for_whole_gpus(self) -> None:
        assert evaluate(selecting(WHOLE), "exclusive", SINGLE).edits == ()
        assert evaluate(a_pod(nodeSelector={PRODUCT: A100}), "exclusive", SINGLE).edits == ()

    def test_nothing_is_rewritten_where_every_form_is_permitted(self) -> None:
        for pod in (a_pod(), a_pod(gpu(1, SHARED)), selecting(*SLICE), a_pod(nodeSelector={GPU_SLICES: "1"})):
            assert evaluate(pod, "any", SINGLE).edits == ()


class TestPlain:
    """The table of forms is in test_plain_requests; here is what comes with it."""

    def test_a_whole_gpu_is_never_a_slice(self) -> None:
        assert spec_after(a_pod(), "exclusive")["affinity"] == affinity([WHOLE])
        assert spec_after(a_pod(), "shared")["affinity"] == affinity([WHOLE])

    def test_every_alternative_of_the_pod_gets_what_the_form_needs(self) -> None:
        pod = a_pod(affinity=affinity([("zone", "In", "a")], [("zone", "In", "b")]))

        assert spec_after(pod, "mig-1g.5gb")["affinity"] == affinity(
            [("zone", "In", "a"), *SLICE], [("zone", "In", "b"), *SLICE]
        )

    def test_a_product_gets_the_suffix_of_the_slices_and_nothing_else_is_needed(self) -> None:
        spec = spec_after(a_pod(nodeSelector={PRODUCT: A100}), "mig-1g.5gb", SINGLE_BY_PRODUCT)

        assert spec["nodeSelector"] == {PRODUCT: f"{A100}-MIG-1g.5gb"}
        assert "affinity" not in spec

    def test_products_of_an_affinity_get_it_too(self) -> None:
        spec = spec_after(selecting((PRODUCT, "In", *MODELS)), "mig-1g.5gb-shared", SINGLE_BY_PRODUCT_NOT_RENAMED)

        assert spec["affinity"] == affinity([(PRODUCT, "In", *(f"{m}-MIG-1g.5gb-SHARED" for m in MODELS)), IS_SHARED])

    def test_a_product_that_may_be_any_other_tells_no_slices(self) -> None:
        spec = spec_after(selecting((PRODUCT, "NotIn", A100)), "mig-1g.5gb")

        assert spec["affinity"] == affinity([(PRODUCT, "NotIn", f"{A100}-MIG-1g.5gb"), *SLICE])

    def test_several_slices_are_one_too_many_for_cuda(self) -> None:
        decision = evaluate(a_pod(gpu(2)), "mig-1g.5gb", SINGLE)

        assert rules(decision) == ["mig-count-above-one"]
        assert decision.edits

    def test_two_slots_of_a_slice_are_refused(self) -> None:
        assert rules(evaluate(a_pod(gpu(2)), "mig-1g.5gb-shared", SINGLE)) == ["shared-request-above-one"]

    def test_the_policys_own_product_gets_the_suffix(self) -> None:
        policy = a_policy("mig-1g.5gb", node_selector={PRODUCT: A100})

        assert spec_after(a_pod(), policy, SINGLE_BY_PRODUCT)["nodeSelector"] == {PRODUCT: f"{A100}-MIG-1g.5gb"}


class TestStatements:
    """What a request says of its form, by names of either strategy and by labels."""

    POLICY = a_policy("mig-1g.5gb", "mig-2g.10gb", "exclusive")

    def test_a_slice_by_the_name_that_strategy_mixed_gives_it(self) -> None:
        for resource, expected in ((MIG, SLICE), ("nvidia.com/mig-2g.10gb", SLICE_2G)):
            spec = spec_after(a_pod(gpu(1, resource)), self.POLICY)

            assert spec["containers"][0]["resources"]["limits"] == {GPU: 1}
            assert spec["affinity"] == affinity(expected)

    def test_the_strategy_label_of_that_name_goes_with_it(self) -> None:
        pod = a_pod(gpu(1, MIG), nodeSelector={MIG_STRATEGY: "none", "zone": "a"})

        assert spec_after(pod, "mig-1g.5gb")["nodeSelector"] == {"zone": "a"}

    def test_labels_of_slices(self) -> None:
        for pod in (selecting(*SLICE_2G), a_pod(nodeSelector={GPU_SLICES: "2", COMPUTE_SLICES: "2"})):
            assert evaluate(pod, self.POLICY, SINGLE).denials == ()
            assert spec_after(pod, self.POLICY)["containers"] == [gpu()]

        assert evaluate(selecting(*SLICE_2G), self.POLICY, SINGLE).edits == ()

    def test_the_label_that_only_slices_have(self) -> None:
        assert evaluate(selecting(WHOLE), self.POLICY, SINGLE).edits == ()
        assert rules(evaluate(selecting(WHOLE), "mig-1g.5gb", SINGLE)) == ["form-not-permitted"]

    def test_products(self) -> None:
        pod = a_pod(nodeSelector={PRODUCT: f"{A100}-MIG-2g.10gb"})

        assert evaluate(pod, self.POLICY, SINGLE).edits == ()
        assert rules(evaluate(pod, "mig-1g.5gb", SINGLE)) == ["form-not-permitted"]

    @pytest.mark.parametrize("forms", [("mig-1g.5gb-shared",), ("mig-2g.10gb", "mig-1g.5gb-shared")])
    def test_a_slot_that_does_not_say_of_what_becomes_one_that_is_permitted(self, forms: tuple[str, ...]) -> None:
        spec = spec_after(a_pod(gpu(1, SHARED)), a_policy(*forms))

        assert spec["containers"] == [gpu(1, SHARED)]
        assert spec["affinity"] == affinity(SLICE)

    def test_a_slot_that_does_not_say_of_what_is_of_a_whole_gpu_where_that_is_permitted(self) -> None:
        assert spec_after(a_pod(gpu(1, SHARED)), a_policy("mig-1g.5gb-shared", "shared"))["affinity"] == affinity(
            [WHOLE]
        )

    def test_no_slice_is_shared_by_mps(self) -> None:
        pod = a_pod(gpu(1, SHARED), nodeSelector={STRATEGY: "mps"})

        assert rules(evaluate(pod, "mig-1g.5gb-shared", SINGLE)) == ["form-not-permitted"]
        assert rules(
            evaluate(a_pod(gpu(1, MIG_SHARED), nodeSelector={STRATEGY: "mps"}), "mig-1g.5gb-shared", SINGLE)
        ) == ["selector-conflict"]

    def test_labels_of_slices_leave_open_whether_those_are_shared_where_sharing_does_not_rename(self) -> None:
        spec = spec_after(selecting(*SLICE), "mig-1g.5gb-shared", SINGLE_NOT_RENAMED)

        assert spec["affinity"] == affinity([*SLICE, IS_SHARED])
        assert rules(evaluate(selecting(*SLICE, NOT_SHARED), "mig-1g.5gb-shared", SINGLE_NOT_RENAMED)) == [
            "form-not-permitted"
        ]

    def test_a_product_of_slices_that_are_not_shared_says_so(self) -> None:
        pod = a_pod(nodeSelector={PRODUCT: f"{A100}-MIG-1g.5gb"})

        assert rules(evaluate(pod, "mig-1g.5gb-shared", SINGLE_NOT_RENAMED)) == ["form-not-permitted"]

    def test_a_slice_of_no_known_size_is_no_statement(self) -> None:
        for labels in ({GPU_SLICES: "6"}, {GPU_SLICES: "x"}):
            [finding] = evaluate(a_pod(nodeSelector=labels), "mig-1g.5gb", SINGLE).findings

            assert finding.rule.id == "selector-conflict"
            assert finding.path == f"spec.nodeSelector[{GPU_SLICES}]"

    def test_memory_alone_chooses_a_gpu_and_states_no_slice(self) -> None:
        pod = selecting((MEMORY, "Gt", "40000"))

        assert spec_after(pod, self.SHARED_FIRST)["affinity"] == affinity([(MEMORY, "Gt", "40000"), WHOLE])
        assert rules(evaluate(pod, "mig-1g.5gb", SINGLE)) == ["selector-conflict"]

    SHARED_FIRST = a_policy("shared", "mig-1g.5gb")

    def test_a_label_that_may_or_may_not_be_there_states_nothing(self) -> None:
        pod = selecting((GPU_SLICES, "NotIn", "2"))

        assert spec_after(pod, self.SHARED_FIRST)["affinity"] == affinity([(GPU_SLICES, "NotIn", "2"), WHOLE])

    def test_labels_of_slices_state_nothing_under_strategy_mixed(self) -> None:
        resource = classify(GPU)
        assert isinstance(resource, GpuResource)
        nodes = NodeConstraints(spec_of(selecting(*SLICE)))

        assert Statements(nodes, RENAMED, (Form("1g.5gb"),)).of(resource) == ()
        assert rules(evaluate(selecting(*SLICE), "exclusive", RENAMED)) == ["selector-conflict"]


class TestOtherForms:
    """What was selected for another form goes, where the policy says to rewrite or translates."""

    def test_slices_by_size_become_whole_gpus(self) -> None:
        spec = spec_after(selecting(*SLICE, ("zone", "In", "a")), a_policy("exclusive", mismatch=Mismatch.REWRITE))

        assert spec["affinity"] == affinity([("zone", "In", "a"), WHOLE])

    def test_slices_by_product_become_others(self) -> None:
        pod = a_pod(nodeSelector={PRODUCT: f"{A100}-MIG-1g.5gb"})

        others = a_policy("mig-2g.10gb", mismatch=Mismatch.REWRITE)
        assert spec_after(pod, others, SINGLE_BY_PRODUCT)["nodeSelector"] == {PRODUCT: f"{A100}-MIG-2g.10gb"}
        assert spec_after(pod, a_policy("shared", mismatch=Mismatch.REWRITE))["nodeSelector"] == {PRODUCT: A100}

    def test_an_alternative_that_the_old_form_contradicted_gets_what_the_new_one_needs(self) -> None:
        terms = affinity([(STRATEGY, "In", "none")], [(PRODUCT, "In", A100)])
        pod = a_pod(nodeSelector={STRATEGY: "time-slicing"}, affinity=terms)

        spec = spec_after(pod, a_policy("exclusive", mismatch=Mismatch.REWRITE))

        assert spec["nodeSelector"] == {}
        assert spec["affinity"] == affinity([WHOLE], [(PRODUCT, "In", A100), WHOLE])

    def test_slices_by_size_become_gkes(self) -> None:
        spec = spec_after(selecting(*SLICE), "gke-mig-1g.5gb")

        assert spec["nodeSelector"] == {GKE_PARTITION: "1g.5gb"}
        assert GPU_SLICES not in str(spec["affinity"])

    def test_gkes_become_slices_by_size(self) -> None:
        spec = spec_after(a_pod(nodeSelector={GKE_PARTITION: "1g.5gb"}), "mig-1g.5gb")

        assert spec["nodeSelector"] == {}
        assert spec["affinity"] == affinity(SLICE)


class TestAmbiguous:
    """Profiles with a suffix have the size of those without: only product names tell them."""

    def test_a_label_that_names_one_is_no_policy_without_products(self) -> None:
        book = PolicyBook(plugin=SINGLE)

        assert book.resolve("mig-1g.5gb.me") is None
        assert book.nearest("mig-1g.5gb.me") == (
            '"mig-1g.5gb.me" needs devicePlugin.products under migStrategy single: only product names distinguish slices of '
            "1g.5gb.me from those of 1g.5gb"
        )

    @pytest.mark.parametrize("value", ["mig-1g.5gb", "gke-mig-1g.5gb.me", "any", "shared"])
    def test_others_are(self, value: str) -> None:
        assert PolicyBook(plugin=SINGLE).resolve(value) == PolicyBook().resolve(value)

    def test_so_is_one_with_products(self) -> None:
        policy = PolicyBook(plugin=SINGLE_BY_PRODUCT).resolve("mig-1g.5gb.me")
        assert policy

        assert spec_after(a_pod(), policy, SINGLE_BY_PRODUCT)["affinity"] == affinity(
            [(PRODUCT, "In", *(f"{m}-MIG-1g.5gb.me" for m in MODELS))]
        )


# What drivers report of slices on real nodes, in MiB.
MEASURED = [
    ("1g.5gb", 4864),
    ("1g.6gb", 5836),
    ("1g.10gb", 9728),
    ("1g.10gb", 9984),
    ("1g.12gb", 10880),
    ("1g.12gb", 11008),
    ("1g.18gb", 16384),
    ("1g.20gb", 20096),
    ("2g.10gb", 9856),
    ("2g.20gb", 19968),
    ("3g.20gb", 20096),
    ("3g.40gb", 40448),
    ("4g.40gb", 40192),
    ("7g.40gb", 40448),
    ("7g.80gb", 81152),
    ("1g.24gb", 22016),
    ("1g.24gb", 24192),
]


class TestSizes:
    """Slices by how many parts of the GPU they are, and by how much memory they have."""

    @pytest.mark.parametrize(("profile", "memory"), MEASURED)
    def test_a_slice_is_found_by_its_own_profile_and_by_no_other_of_a100_h100_and_a30(
        self, profile: str, memory: int
    ) -> None:
        slices = str(read_profile(profile).slices)
        labels = {GPU_SLICES: slices, COMPUTE_SLICES: slices, MEMORY: str(memory)}
        found = [
            each
            for each in dict.fromkeys(name for name, _ in MEASURED)
            if all(need.admits(labels[need.key]) for need in slice_labels(each))
        ]

        assert found == [profile]

    def test_a_whole_gpu_is_found_by_none(self) -> None:
        needs = spell(a_form("mig-1g.5gb"), SINGLE).needs

        assert not all(need.admits({MEMORY: "4864"}.get(need.key)) for need in needs)

    def test_bounds_lie_between_documented_neighbours(self) -> None:
        for profile in DOCUMENTED:
            least, most = read_profile(profile).memory
            below, above = memory_bounds(profile)

            assert (below or 0) < least <= most < (above or most + 1)
        plain = sorted((read_profile(p) for p in DOCUMENTED if "." not in p.split("gb")[1]), key=lambda p: p.memory)
        for slices in {profile.slices for profile in plain}:
            for one, other in pairwise(p for p in plain if p.slices == slices):
                apart = one.memory[1] < other.memory[0]
                upper = memory_bounds(f"{slices}g.{one.gigabytes}gb")[1]
                assert not apart or (upper is not None and one.memory[1] < upper <= other.memory[0])

    def test_an_unheard_of_profile_has_bounds_too(self) -> None:
        assert memory_bounds("1g.8gb") == (6542, 8898)
        assert memory_bounds("6g.60gb") == (None, None)

    def test_what_is_no_profile_is_an_error_that_says_so(self) -> None:
        with pytest.raises(ValueError, match=r"'1g' is not a MIG profile; write one such as 1g\.5gb"):
            read_profile("1g")


class TestNumbers:
    """``Gt`` and ``Lt`` of a need against those of the pod."""

    LOW, HIGH = Need(MEMORY, "Gt", ("100",)), Need(MEMORY, "Lt", ("200",))

    @pytest.mark.parametrize(
        ("requirement", "met", "room"),
        [
            ((("zone", "In", "a"),), False, True),
            (((MEMORY, "In", "150"),), True, True),
            (((MEMORY, "In", "100", "150"),), False, True),
            (((MEMORY, "In", "100", "200", "x"),), False, False),
            (((MEMORY, "Exists"),), False, True),
            (((MEMORY, "DoesNotExist"),), False, False),
            (((MEMORY, "Gt", "100"), (MEMORY, "Lt", "200")), True, True),
            (((MEMORY, "Gt", "120"), (MEMORY, "Lt", "130")), True, True),
            (((MEMORY, "Gt", "99"), (MEMORY, "Lt", "200")), False, True),
            (((MEMORY, "Gt", "99"), (MEMORY, "Lt", "200"), (MEMORY, "NotIn", "100")), True, True),
            (((MEMORY, "Gt", "100"),), False, True),
            (((MEMORY, "Gt", "199"),), False, False),
            (((MEMORY, "Gt", "198"),), False, True),
            (((MEMORY, "Gt", "198"), (MEMORY, "NotIn", "199")), False, False),
            (((MEMORY, "Lt", "101"),), False, False),
            (((MEMORY, "Gt", "150"), (MEMORY, "Lt", "151")), True, False),
        ],
    )
    def test_they_are_held_against_each_other(
        self, requirement: tuple[tuple[str, ...], ...], *, met: bool, room: bool
    ) -> None:
        nodes = NodeConstraints(spec_of(selecting(*requirement)))

        assert all(need.is_met_by(nodes) for need in (self.LOW, self.HIGH)) is met
        assert possible([self.LOW, self.HIGH], nodes) is room

    def test_needs_that_leave_no_number_between_them_are_impossible(self) -> None:
        nodes = NodeConstraints(spec_of(a_pod()))

        assert not possible([self.LOW, Need(MEMORY, "Lt", ("101",))], nodes)
        assert not self.LOW.admits("x")
        assert not self.LOW.admits(None)


def test_a_conflict_names_the_label_as_it_is_written() -> None:
    [message] = messages(evaluate(selecting((MEMORY, "Gt", "9000")), "mig-1g.5gb", SINGLE))

    assert message == (
        'container "train": form "mig-1g.5gb" is on nodes with nvidia.com/gpu.memory Lt [5350], and the pod excludes that in '
        "its node affinity on nvidia.com/gpu.memory; no node matches both; remove nvidia.com/gpu.memory from the pod, or request "
        "another form"
    )
