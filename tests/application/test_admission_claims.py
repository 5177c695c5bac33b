"""Claims (DRA) at admission: looked up when the pod is final, evaluated by every policy, and closed where they can't be read."""

from collections.abc import Sequence

import msgspec
import pytest

from testing.reviews import TEAM, Json, Webhook, a_gpu_container, a_pod, a_review, encode
from webhook.adapters.configuration.file import parse
from webhook.application.admission import Admission
from webhook.application.claims import ClaimSource, ClaimUnavailable, NoClaims
from webhook.application.configuration import Configuration, Exemptions, Mode
from webhook.application.namespaces import NamespaceUnavailable
from webhook.application.pod_review import MOST_CLAIMS
from webhook.application.review import ReviewError
from webhook.engine.claim_objects import Claim, ClaimSpec, claim
from webhook.engine.claims import CLAIM, TEMPLATE, Reference, Resolved
from webhook.engine.namespace_labels import NamespaceLabels

ONE = Reference(TEMPLATE, "one")
CLAIMS: Json = {"resourceClaims": [{"name": "gpu", "resourceClaimTemplateName": "one"}]}
CLAIMING: Json = {"name": "train", "image": "i", "resources": {"claims": [{"name": "gpu"}]}}
IMPLICIT = "deviceclass.resource.kubernetes.io/gpu.nvidia.com"
ACCEL = "example.com/accel"


def a_claim(device_class: str = "gpu.nvidia.com") -> Claim:
    requests = [{"name": "gpu", "exactly": {"deviceClassName": device_class}}]
    found = claim(msgspec.convert({"devices": {"requests": requests}}, ClaimSpec))
    assert found is not None
    return found


class Source:
    """Claims of the namespace ``team``, and what was asked."""

    def __init__(self, found: Resolved | Exception) -> None:
        self.found = found
        self.asked: list[tuple[str, tuple[Reference, ...]]] = []

    async def fetch(self, namespace: str, references: Sequence[Reference]) -> Resolved:
        self.asked.append((namespace, tuple(references)))
        if isinstance(self.found, Exception):
            raise self.found
        return self.found


def webhook(
    enforce: str | None,
    source: ClaimSource,
    *,
    warn: str | None = None,
    audit: str | None = None,
    configuration: Configuration | None = None,
) -> Webhook:
    made = Webhook(enforce, warn=warn, audit=audit, configuration=configuration)
    made.admission = Admission(configuration or Configuration(), made.namespaces, made.notes, source, made)
    return made


def in_cluster(asked: Webhook, names: dict[str, str]) -> None:
    """Let DeviceClasses of the cluster have resource names."""
    asked.admission.configuration = Configuration().with_classes(names)


GPUS, NETWORK = {ONE: a_claim()}, {ONE: a_claim("dranet-ib")}
UNAVAILABLE = ClaimUnavailable(ONE, "no answer")


class TestWhatPasses:
    @pytest.mark.parametrize("policy", ["none", "exclusive", "shared", "any", "unreadable!"])
    def test_a_pod_that_claims_no_gpu_passes_without_a_word(self, policy: str) -> None:
        asked = webhook(policy, Source(NETWORK), warn=policy, audit=policy)
        for answered in (asked.mutate(a_pod(CLAIMING, **CLAIMS)), asked.validate(a_pod(CLAIMING, **CLAIMS))):
            assert (answered.allowed, answered.patch, answered.warnings, answered.annotations) == (True, None, [], {})
        assert asked.notes == []

    def test_a_claim_of_a_form_that_is_permitted_passes(self) -> None:
        answered = webhook("exclusive", Source(GPUS)).validate(a_pod(CLAIMING, **CLAIMS))
        assert (answered.allowed, answered.warnings, answered.annotations) == (True, [], {})

    @pytest.mark.parametrize("found", [GPUS, {ONE: None}, UNAVAILABLE])
    def test_where_all_is_permitted_claims_are_not_even_looked_up(self, found: Resolved | Exception) -> None:
        source = Source(found)
        assert webhook("any", source).validate(a_pod(CLAIMING, **CLAIMS)).allowed
        assert source.asked == []

    @pytest.mark.parametrize("pod", [a_pod(), a_pod(CLAIMING), a_pod(resourceClaims=[]), a_pod({"name": "c"})])
    def test_a_pod_without_claims_is_answered_without_waiting(self, pod: Json) -> None:
        source = Source(UNAVAILABLE)
        asked = webhook("exclusive", source)
        assert isinstance(asked.admission.validate(_body(pod)), bytes)
        assert isinstance(asked.admission.mutate(_body(a_pod(CLAIMING, **CLAIMS))), bytes)
        assert source.asked == []

    def test_an_exempt_pod_is_left_alone(self) -> None:
        source = Source(UNAVAILABLE)
        exempt = Configuration(exemptions=Exemptions(namespaces=frozenset({TEAM})))
        answered = webhook("none", source, configuration=exempt).validate(a_pod(CLAIMING, **CLAIMS))
        assert (answered.allowed, answered.annotations, source.asked) == (True, {"exempt": "namespace"}, [])

    @pytest.mark.parametrize(
        ("names", "rules"),
        [
            ({}, ["claim-not-permitted"]),
            ({"other.example": "nvidia.com/gpu"}, ["claim-not-permitted"]),
            ({"slices.example": "nvidia.com/mig-1g.10gb"}, []),
            ({"slices.example": "nvidia.com/gpu"}, ["form-not-permitted"]),
        ],
    )
    def test_a_class_is_the_form_that_its_resource_name_in_the_cluster_says(
        self, names: dict[str, str], rules: list[str]
    ) -> None:
        asked = webhook("mig-1g.10gb", Source({ONE: a_claim("slices.example")}))
        in_cluster(asked, names)
        assert asked.validate(a_pod(CLAIMING, **CLAIMS)).rules == rules

    def test_so_is_one_that_a_container_requests_by_its_own_name(self) -> None:
        resource = IMPLICIT.replace("gpu.nvidia.com", "slices.example")
        pod = a_pod({"name": "train", "image": "i", "resources": {"limits": {resource: 1}}})
        asked = webhook("mig-1g.10gb", Source({}))
        assert asked.validate(pod).rules == ["other-gpu-resource"]
        in_cluster(asked, {"slices.example": "nvidia.com/mig-1g.10gb"})
        assert asked.validate(pod).allowed

    def test_so_is_one_that_a_container_requests_by_the_name_that_it_publishes(self) -> None:
        pod = a_pod({"name": "train", "image": "i", "resources": {"limits": {ACCEL: 1}, "requests": {ACCEL: 1}}})
        asked = webhook("exclusive", Source({}))
        assert asked.validate(pod).is_silent, "no class is known to publish it"
        for names, rules in (
            ({"gpu.nvidia.com": ACCEL}, []),
            ({"gpu.nvidia.com": ACCEL, "slices.example": ACCEL}, ["other-gpu-resource"]),
            ({"slices.example": ACCEL}, ["other-gpu-resource"]),
            ({"dra.cpu": ACCEL}, []),
            ({}, []),
        ):
            in_cluster(asked, names)
            assert asked.validate(pod).rules == rules, names
            assert asked.mutate(pod).patch is None

    def test_under_none_a_published_name_is_denied(self) -> None:
        pod = a_pod({"name": "train", "image": "i", "resources": {"limits": {ACCEL: 1}}})
        asked = webhook("none", Source({}))
        in_cluster(asked, {"gpu.nvidia.com": ACCEL})
        assert asked.validate(pod).rules == ["gpu-not-permitted"]
        message = asked.validate(pod).message
        assert f"{ACCEL}: 1: DeviceClass gpu.nvidia.com is not permitted" in message
        assert "; remove the request, or use" in message

    def test_an_update_is_not_evaluated_by_claims(self) -> None:
        source = Source(UNAVAILABLE)
        pod = a_pod(CLAIMING, **CLAIMS)
        gated = a_pod(CLAIMING, **CLAIMS, schedulingGates=[{"name": "g"}])
        assert webhook("none", source).validate(pod, operation="UPDATE", oldObject=gated).allowed
        assert source.asked == []


class TestWhatBecomesAClaim:
    """A policy that lists a claim first, for ``nvidia.com/gpu``; its template is looked up at both calls."""

    CONFIGURED = parse(
        "apiVersion: gpuwarden.io/v1\nkind: Configuration\n"
        "policies: {claims: {forms: [{claimTemplate: one, deviceClass: gpu.nvidia.com}]}}\n"
    )

    def test_a_plain_request_is_rewritten_and_what_it_became_is_valid(self) -> None:
        source = Source(GPUS)
        asked = webhook("claims", source, configuration=self.CONFIGURED)
        final = asked.mutate(a_pod()).applied_to(a_pod())
        assert final["spec"]["resourceClaims"] == [{"name": "gpuwarden-0", "resourceClaimTemplateName": "one"}]
        answered = asked.validate(final)
        assert (answered.allowed, answered.warnings) == (True, [])
        assert asked.mutate(final).patch is None
        assert source.asked == [(TEAM, (ONE,))] * 2

    @pytest.mark.parametrize("found", [{ONE: None}, {}])
    def test_without_the_template_it_is_denied_and_not_rewritten(self, found: Resolved) -> None:
        asked = webhook("claims", Source(found), configuration=self.CONFIGURED)
        assert asked.mutate(a_pod()).patch is None
        assert asked.validate(a_pod()).rules == ["claim-not-found"]

    def test_where_the_template_can_t_be_read_the_failure_policy_decides(self) -> None:
        asked = webhook("claims", Source(UNAVAILABLE), configuration=self.CONFIGURED)
        for call in (asked.mutate, asked.validate):
            with pytest.raises(ClaimUnavailable):
                call(a_pod())

    def test_a_warn_policy_fails_nothing(self) -> None:
        asked = webhook("any", Source(UNAVAILABLE), warn="claims", configuration=self.CONFIGURED)
        assert asked.mutate(a_pod()).allowed

    def test_a_pod_without_a_gpu_looks_up_nothing(self) -> None:
        source = Source(UNAVAILABLE)
        pod = a_pod({"name": "web", "image": "i"})
        assert webhook("claims", source, configuration=self.CONFIGURED).mutate(pod).allowed
        assert source.asked == []

    def test_a_manifest_that_is_applied_again_is_made_what_the_pod_is(self) -> None:
        asked = webhook("claims", Source(GPUS), configuration=self.CONFIGURED)
        live = asked.mutate(a_pod()).applied_to(a_pod())
        both = {
            **a_gpu_container(),
            "resources": {**a_gpu_container()["resources"], "claims": [{"name": "gpuwarden-0"}]},
        }
        again = {**live, "spec": {**live["spec"], "containers": [both]}}
        answered = asked.mutate(again, oldObject=live, operation="UPDATE")
        assert answered.annotations == {"restored-by-policy": "claims"}
        [container] = answered.applied_to(again)["spec"]["containers"]
        assert not container["resources"]["limits"]


class TestWhatIsDenied:
    @pytest.mark.parametrize("kind", [TEMPLATE, CLAIM])
    @pytest.mark.parametrize("policy", ["none", "unreadable!"])
    def test_a_gpu_under_none(self, kind: str, policy: str) -> None:
        field = "resourceClaimTemplateName" if kind == TEMPLATE else "resourceClaimName"
        source = Source({Reference(kind, "one"): a_claim()})
        asked = webhook(policy, source)
        pod = a_pod(CLAIMING, resourceClaims=[{"name": "gpu", field: "one"}])
        answered = asked.validate(pod)
        assert (answered.allowed, answered.rules) == (False, ["gpu-not-permitted"])
        assert answered.annotations["enforce-outcome"] == "denied"
        assert source.asked == [(TEAM, (Reference(kind, "one"),))]
        [note] = asked.notes
        assert (note.evaluated.path, note.evaluated.acted, note.evaluated.outcome.value) == ("validate", True, "denied")

    def test_a_gpu_by_the_implicit_name_under_none(self) -> None:
        pod = a_pod({"name": "c", "resources": {"limits": {IMPLICIT: 1}, "requests": {IMPLICIT: 1}}})
        assert webhook("none", NoClaims()).validate(pod).rules == ["gpu-not-permitted"]
        assert webhook("shared", NoClaims()).validate(pod).rules == ["form-not-permitted"]
        asked = webhook("exclusive", NoClaims(), warn="shared")
        assert asked.validate(pod).warnings == []
        [warning] = asked.mutate(pod).warnings
        assert 'which namespace policy "shared" does not permit' in warning

    def test_more_than_a_limit_where_any_form_is_permitted(self) -> None:
        configured = parse(
            "apiVersion: gpuwarden.io/v1\nkind: Configuration\npolicies: {few: {forms: [any], maxPerPod: 1}}\n"
        )
        two = {ONE: Claim((*a_claim().requests, *a_claim().requests))}
        assert webhook("few", Source(two), configuration=configured).validate(a_pod(CLAIMING, **CLAIMS)).rules == [
            "per-pod-limit"
        ]
        with pytest.raises(ClaimUnavailable):
            webhook("few", Source(UNAVAILABLE), configuration=configured).validate(a_pod(CLAIMING, **CLAIMS))

    def test_a_template_that_does_not_exist_yet(self) -> None:
        answered = webhook("exclusive", Source({ONE: None})).validate(a_pod(CLAIMING, **CLAIMS))
        assert answered.rules == ["claim-not-found"]

    def test_a_template_that_changed_is_read_again(self) -> None:
        source = Source(NETWORK)
        asked = webhook("none", source)
        assert asked.validate(a_pod(CLAIMING, **CLAIMS)).allowed
        source.found = GPUS
        assert not asked.validate(a_pod(CLAIMING, **CLAIMS)).allowed

    def test_beside_a_request_that_is_rewritten(self) -> None:
        pod = a_pod(a_gpu_container("1", name="a"), {**CLAIMING, "name": "b"}, **CLAIMS)
        asked = webhook("shared", Source(GPUS))
        rewritten = asked.mutate(pod).applied_to(pod)
        assert asked.validate(rewritten).rules == ["form-not-permitted"]

    def test_a_container_with_both_under_any(self) -> None:
        pod = a_pod(
            {**a_gpu_container("1"), "resources": {"limits": {"nvidia.com/gpu": 1}, "claims": [{"name": "gpu"}]}},
            **CLAIMS,
        )
        assert webhook("any", Source(GPUS)).validate(pod).rules == ["mixed-gpu-resources"]

    def test_more_claims_than_are_read(self) -> None:
        claims = [{"name": f"c{n}", "resourceClaimName": f"c{n}"} for n in range(MOST_CLAIMS + 1)]
        with pytest.raises(
            ReviewError, match=r"resourceClaims: name 129 claims and templates; more than 128 are not evaluated"
        ):
            webhook("none", Source({})).validate(a_pod(CLAIMING, resourceClaims=claims))


class TestOtherPolicies:
    def test_the_warn_and_audit_policies_are_told_once(self) -> None:
        asked = webhook("exclusive", Source(GPUS), warn="none", audit="shared")
        pod = a_pod(CLAIMING, **CLAIMS)
        assert asked.mutate(pod).warnings == []
        answered = asked.validate(pod)
        [warning] = answered.warnings
        assert 'is not permitted under namespace policy "none"' in warning
        assert (answered.annotations["audit-outcome"], answered.annotations["audit-rules"]) == (
            "denied",
            "form-not-permitted",
        )
        assert [(note.evaluated.mode, note.evaluated.acted) for note in asked.notes] == [
            ("warn", False),
            ("audit", False),
        ]

    def test_what_is_found_beside_claims_is_not_told_again(self) -> None:
        pod = a_pod(a_gpu_container("1", name="a"), {**CLAIMING, "name": "b"}, **CLAIMS)
        asked = webhook("exclusive", Source(GPUS), warn="none")
        [first] = asked.mutate(pod).warnings
        [second] = asked.validate(pod).warnings
        assert first.startswith('would be denied: container "a"')
        assert second.startswith('would be denied: claim "gpu"')

    def test_a_dry_run_tells_what_would_be(self) -> None:
        asked = webhook("none", Source(GPUS), configuration=Configuration(mode=Mode.AUDIT))
        answered = asked.validate(a_pod(CLAIMING, **CLAIMS))
        assert (answered.allowed, answered.annotations["mode"]) == (True, "audit")
        assert (answered.annotations["enforce-outcome"], len(answered.warnings)) == ("denied", 1)


class TestWhatCanNotBeRead:
    @pytest.mark.parametrize("policy", ["none", "exclusive", "unreadable!"])
    def test_is_an_error_where_the_enforce_policy_acts(self, policy: str) -> None:
        with pytest.raises(ClaimUnavailable, match='ResourceClaimTemplate "one" could not be read: no answer'):
            webhook(policy, Source(UNAVAILABLE)).validate(a_pod(CLAIMING, **CLAIMS))

    def test_is_none_where_only_advice_depends_on_it(self) -> None:
        answered = webhook("any", Source(UNAVAILABLE), warn="none").validate(a_pod(CLAIMING, **CLAIMS))
        assert (answered.allowed, answered.warnings) == (True, [])

    def test_does_not_keep_a_pod_from_being_rewritten(self) -> None:
        pod = a_pod(a_gpu_container("1", name="a"), {**CLAIMING, "name": "b"}, **CLAIMS)
        assert webhook("shared", Source(UNAVAILABLE)).mutate(pod).patch

    def test_nor_is_it_where_the_namespace_is_unknown(self) -> None:
        asked = webhook("none", Source(GPUS))
        asked.namespaces.unknown["other"] = NamespaceUnavailable("other", "no answer")
        with pytest.raises(NamespaceUnavailable):
            asked.validate(a_pod(CLAIMING, **CLAIMS), namespace="other")

    def test_a_namespace_and_claims_are_fetched_one_after_the_other(self) -> None:
        source = Source(GPUS)
        asked = webhook("any", source)
        asked.namespaces.unknown["other"] = NamespaceLabels("none")
        assert asked.validate(a_pod(CLAIMING, **CLAIMS), namespace="other").rules == ["gpu-not-permitted"]
        assert (asked.namespaces.fetched, source.asked) == (["other"], [("other", (ONE,))])


class TestWithoutASource:
    """Where there is no cluster, or one without the API: as before, and said."""

    @pytest.mark.parametrize("policy", ["none", "mps", "any"])
    def test_a_pod_of_claims_alone_passes_without_a_word(self, policy: str) -> None:
        asked = webhook(policy, NoClaims(), warn=policy, audit=policy)
        for answered in (asked.mutate(a_pod(CLAIMING, **CLAIMS)), asked.validate(a_pod(CLAIMING, **CLAIMS))):
            assert (answered.allowed, answered.patch, answered.warnings, answered.annotations) == (True, None, [], {})

    def test_what_is_recorded_of_the_rest_says_that_they_were_not_evaluated(self) -> None:
        assert (
            webhook("none", NoClaims()).validate(a_pod(**CLAIMS)).annotations["not-evaluated"] == "spec.resourceClaims"
        )
        assert "not-evaluated" not in webhook("none", NoClaims()).validate(a_pod()).annotations
        assert "not-evaluated" not in webhook("none", Source(GPUS)).validate(a_pod(**CLAIMS)).annotations


def _body(pod: Json) -> bytes:
    return encode(a_review(pod))
