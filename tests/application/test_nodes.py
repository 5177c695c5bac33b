"""What the webhook says of the nodes: at ``/mutate``, ``/validate``, ``/advise`` and ``/validate-namespace``."""

from typing import Any

import msgspec
import pytest

from testing.reviews import Answered, Json, Webhook, a_container, a_gpu_container, a_pod
from tests.application.test_advising import advise
from tests.application.test_namespace_admission import a_namespace, validate
from webhook.application.configuration import Configuration, Mode
from webhook.application.fleet import plain_forms_offered
from webhook.engine.fleet.fleet import Fleet
from webhook.engine.fleet.node_shapes import Shape, shape_of
from webhook.engine.forms import Form, parse
from webhook.engine.namespace_labels import NamespaceLabels
from webhook.engine.policy import FindingAction, Policy, PolicyBook, Prefer
from webhook.engine.spelling import DevicePlugin

SLOTS = shape_of({"nvidia.com/gpu.sharing-strategy": "mps"}, {"nvidia.com/gpu.shared": 4}, {"nvidia.com/gpu.shared": 4})
SLICES = shape_of({"nvidia.com/mig.strategy": "mixed"}, {"nvidia.com/mig-1g.5gb": 7}, {"nvidia.com/mig-1g.5gb": 7})
LACKING = (
    'container "train": no node offers mig-1g.5gb (nvidia.com/mig-1g.5gb); no node has nvidia.com/mig-1g.5gb; the pod stays '
    "Pending unless an autoscaler adds such a node; the nearest offer is mps (1 node)"
)
OF_POLICY = (
    'no node offers what policy "mig-1g.5gb" requests: nvidia.com/mig-1g.5gb (no node has nvidia.com/mig-1g.5gb); pods that '
    "request a GPU stay Pending, unless an autoscaler adds such nodes"
)


def a_fleet(*shapes: Shape | None, **known: Any) -> Fleet:
    return Fleet({shape: 1 for shape in shapes if shape}, **known)


ONLY_SLOTS, ONLY_SLICES = a_fleet(SLOTS), a_fleet(SLICES)


def with_policy(name: str = "strict", *forms: str, **settings: Any) -> Configuration:
    listed = tuple(filter(None, map(parse, forms or ("mig-1g.5gb",))))
    return Configuration(PolicyBook({name: Policy(name, listed, **settings)}))


STRICT = with_policy(not_offered=FindingAction.DENY)
PREFERRING = with_policy("either", "mig-1g.5gb", "shared", prefer=Prefer.OFFERED)


class Nodes:
    """Where the nodes are known."""

    def __init__(self, fleet: Fleet | None) -> None:
        self.fleet = fleet


class TestPods:
    @pytest.mark.parametrize("fleet", [None, ONLY_SLICES, a_fleet(expected=[parse("mig-1g.5gb")])])
    def test_nothing_is_said_where_nodes_are_not_known_or_offer_it(self, fleet: Fleet | None) -> None:
        assert Webhook("mig-1g.5gb", fleet=fleet).mutate(a_pod()).warnings == []
        strict = Webhook("strict", configuration=STRICT, fleet=fleet)
        assert strict.validate(strict.mutate(a_pod()).applied_to(a_pod())).allowed

    def test_a_pod_without_gpus_is_left_alone(self) -> None:
        answered = Webhook("mig-1g.5gb", fleet=a_fleet()).mutate(a_pod(a_container("train", {"cpu": "1"})))
        assert (answered.warnings, answered.annotations) == ([], {})

    def test_what_no_node_offers_is_a_warning_and_the_pod_is_rewritten_all_the_same(self) -> None:
        webhook = Webhook("mig-1g.5gb", fleet=ONLY_SLOTS)
        answered = webhook.mutate(a_pod())
        assert answered.warnings == [LACKING]
        assert answered.annotations["enforce-rules"] == "form-not-offered"
        rewritten = answered.applied_to(a_pod())
        assert rewritten == Webhook("mig-1g.5gb").mutate(a_pod()).applied_to(a_pod())
        validated = webhook.validate(rewritten)
        assert (validated.allowed, validated.warnings) == (True, []), "it has been said"

    def test_more_than_any_node_has_is_a_warning_under_any(self) -> None:
        eight = a_pod(a_container("train", {"nvidia.com/mig-1g.5gb": "8"}))
        found = [one for one in Webhook(fleet=ONLY_SLICES).mutate(eight).warnings if "any one node" in one]
        assert len(found) == 1
        assert "8 is more than any one node has (7 at most)" in found[0]

    @pytest.mark.parametrize("response", [FindingAction.IGNORE, FindingAction.WARN, FindingAction.DENY])
    def test_the_policy_says_what_becomes_of_it(self, response: FindingAction) -> None:
        webhook = Webhook("strict", configuration=with_policy(not_offered=response), fleet=ONLY_SLOTS)
        mutated = webhook.mutate(a_pod())
        assert bool(mutated.warnings) == (response is FindingAction.WARN)
        validated = webhook.validate(mutated.applied_to(a_pod()))
        assert validated.allowed == (response is not FindingAction.DENY)
        if response is FindingAction.DENY:
            assert LACKING in validated.response["status"]["message"]
            assert validated.rules == ["form-not-offered"]

    def test_a_view_that_is_not_certain_denies_nothing(self) -> None:
        webhook = Webhook("strict", configuration=STRICT, fleet=a_fleet(SLOTS, is_certain=False))
        mutated = webhook.mutate(a_pod())
        assert mutated.warnings == [LACKING]
        assert webhook.validate(mutated.applied_to(a_pod())).allowed

    def test_nodes_that_change_between_the_calls_only_matter_at_the_second(self) -> None:
        webhook = Webhook("strict", configuration=STRICT, fleet=ONLY_SLOTS)
        rewritten = webhook.mutate(a_pod()).applied_to(a_pod())
        webhook.fleet = ONLY_SLICES
        assert webhook.validate(rewritten).allowed

    def test_a_pod_that_the_form_of_now_denies_is_denied_for_that(self) -> None:
        configuration = with_policy("either", "exclusive", "mps", prefer=Prefer.OFFERED)
        configuration = msgspec.structs.replace(configuration, plugin=DevicePlugin(rename_by_default=False))
        shared = shape_of({"nvidia.com/gpu.sharing-strategy": "mps"}, {"nvidia.com/gpu": 4}, {"nvidia.com/gpu": 4})
        webhook = Webhook("either", configuration=configuration, fleet=a_fleet(shared))
        two = a_pod(a_container("train", {"nvidia.com/gpu": "2"}))
        mutated = webhook.mutate(two)
        assert mutated.patch is None
        assert webhook.validate(two).rules == ["shared-request-above-one"]
        # Where the nodes are not known, the first form counts.
        webhook.fleet = None
        assert webhook.validate(two).rules == ["not-rewritten"]

    def test_a_pod_that_is_there_is_not_evaluated_by_nodes(self) -> None:
        webhook = Webhook("strict", configuration=STRICT, fleet=ONLY_SLICES)
        before = webhook.mutate(a_pod()).applied_to(a_pod())
        after: Json = {**before, "spec": {**before["spec"], "nodeSelector": {"zone": "a"}}}
        webhook.fleet = ONLY_SLOTS
        kind = {"group": "", "version": "v1", "kind": "Pod"}
        assert webhook.validate(after, operation="UPDATE", oldObject=before, kind=kind).allowed

    def test_the_warn_and_audit_policies_are_evaluated_too(self) -> None:
        answered = Webhook(warn="mig-1g.5gb", audit="mig-1g.5gb", fleet=ONLY_SLOTS).mutate(a_pod())
        assert LACKING in answered.warnings
        assert answered.annotations["audit-rules"] == "form-not-offered"
        assert answered.annotations["audit-patch"]

    def test_in_a_dry_run_it_is_said_and_nothing_is_denied(self) -> None:
        configuration = Configuration(STRICT.policies, Mode.AUDIT)
        webhook = Webhook("strict", configuration=configuration, fleet=ONLY_SLOTS)
        mutated = webhook.mutate(a_pod())
        assert mutated.patch is None
        assert mutated.warnings == ["would be denied: " + LACKING.partition(";")[0]]
        assert webhook.validate(a_pod()).allowed


class TestPreferringWhatIsOffered:
    @pytest.mark.parametrize(
        ("fleet", "resource"),
        [(None, "nvidia.com/mig-1g.5gb"), (a_fleet(), "nvidia.com/mig-1g.5gb"), (ONLY_SLOTS, "nvidia.com/gpu.shared")],
    )
    def test_a_plain_request_gets_the_first_form_that_is_offered_or_the_first(
        self, fleet: Fleet | None, resource: str
    ) -> None:
        webhook = Webhook("either", configuration=PREFERRING, fleet=fleet)
        rewritten = webhook.mutate(a_pod()).applied_to(a_pod())
        assert rewritten["spec"]["containers"][0]["resources"]["limits"] == {resource: "1"}
        for later in (None, ONLY_SLICES, ONLY_SLOTS, a_fleet()):
            webhook.fleet = later
            assert webhook.validate(rewritten).allowed

    def test_a_manifest_applied_again_gets_back_what_the_pod_has_whatever_nodes_offer_now(self) -> None:
        webhook = Webhook("either", configuration=PREFERRING, fleet=ONLY_SLOTS)
        before = webhook.mutate(a_pod()).applied_to(a_pod())
        merged = {**before, "spec": {**before["spec"], "containers": a_pod(a_gpu_container())["spec"]["containers"]}}
        webhook.fleet = ONLY_SLICES
        kind = {"group": "", "version": "v1", "kind": "Pod"}
        restored = webhook.mutate(merged, operation="UPDATE", oldObject=before, kind=kind).applied_to(merged)
        assert restored["spec"]["containers"][0]["resources"] == before["spec"]["containers"][0]["resources"]

    def test_templates_are_advised_of_by_the_same_form(self) -> None:
        labels = NamespaceLabels("either")
        assert advise(labels, pod=a_pod(), configuration=PREFERRING, nodes=Nodes(ONLY_SLOTS)).warnings == []

    @pytest.mark.parametrize(("of", "told"), [("Deployment", 1), ("DaemonSet", 0)])
    def test_the_pods_of_a_daemon_set_run_on_cordoned_nodes(self, of: str, told: int) -> None:
        slices = {"nvidia.com/mig-1g.5gb": 7}
        nodes = Nodes(a_fleet(shape_of({}, slices, slices, cordoned=True)))
        assert len(advise(NamespaceLabels("mig-1g.5gb"), of=of, pod=a_pod(), nodes=nodes).warnings) == told


class TestTemplates:
    def of(self, policy: str, fleet: Fleet | None, configuration: Configuration | None = None) -> Answered:
        return advise(NamespaceLabels(policy), pod=a_pod(), configuration=configuration, nodes=Nodes(fleet))

    def test_what_no_node_offers_is_a_warning(self) -> None:
        assert self.of("mig-1g.5gb", ONLY_SLOTS).warnings == [LACKING]
        assert self.of("mig-1g.5gb", ONLY_SLICES).warnings == []
        assert self.of("mig-1g.5gb", None).warnings == []

    def test_that_pods_will_be_denied_for_it_is_said(self) -> None:
        assert self.of("strict", ONLY_SLOTS, STRICT).warnings == ["would be denied: " + LACKING.partition(";")[0]]


class TestNamespaces:
    def test_a_label_whose_policy_no_node_can_serve_is_a_warning(self) -> None:
        new = a_namespace(enforce="mig-1g.5gb")
        assert validate(new, nodes=Nodes(ONLY_SLOTS)).warnings == [OF_POLICY]
        assert validate(new, a_namespace(), nodes=Nodes(ONLY_SLOTS)).warnings == [OF_POLICY]

    @pytest.mark.parametrize(
        ("new", "old", "fleet"),
        [
            (a_namespace(enforce="mig-1g.5gb"), None, None),
            (a_namespace(enforce="mig-1g.5gb"), None, ONLY_SLICES),
            (a_namespace(enforce="mig-1g.5gb", warn="any"), a_namespace(enforce="mig-1g.5gb"), ONLY_SLOTS),
            (a_namespace(enforce="any"), None, a_fleet()),
            (a_namespace(enforce="none"), None, a_fleet()),
            (a_namespace(warn="mig-1g.5gb"), None, a_fleet()),
        ],
    )
    def test_otherwise_nothing_is_said(self, new: Json, old: Json | None, fleet: Fleet | None) -> None:
        assert validate(new, old, nodes=Nodes(fleet)).warnings == []

    def test_nor_of_a_policy_that_ignores_it(self) -> None:
        configuration = with_policy(not_offered=FindingAction.IGNORE)
        assert (
            validate(a_namespace(enforce="strict"), configuration=configuration, nodes=Nodes(a_fleet())).warnings == []
        )


def test_the_forms_of_policies_in_use_are_offered_or_not_at_present() -> None:
    labels = {NamespaceLabels(), NamespaceLabels("mig-1g.5gb"), NamespaceLabels("none"), NamespaceLabels("mistyped")}
    labels |= {NamespaceLabels("either"), NamespaceLabels("shared")}
    fleet = a_fleet(SLOTS, remembered=[SLICES])
    found = plain_forms_offered(fleet, PREFERRING, labels)
    assert {(policy.name, str(form)): offered for (policy, form), offered in found.items()} == {
        ("mig-1g.5gb", "mig-1g.5gb"): False,
        ("either", "shared"): True,
        ("shared", "shared"): True,
    }
    assert fleet.offered == {Form(sharing=next(iter(fleet.forms)).sharing): 4}
