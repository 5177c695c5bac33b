"""``/validate-namespace``: labels that can't be read are denied when they are written, and block nothing else."""

import json
from typing import Any

import pytest

from testing.reviews import UID, Answered, a_review, finish, read_answer
from webhook.application.configuration import Configuration, Exemptions, Mode
from webhook.application.fleet import FleetSource, NoFleet
from webhook.application.namespace_admission import NamespaceAdmission
from webhook.application.review import ReviewError
from webhook.engine.policy import Policy

KIND = {"group": "", "version": "v1", "kind": "Namespace"}


class Previews:
    """Tells what it was asked, and a warning."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, float]] = []

    async def preview(self, namespace: str, policy: Policy, seconds: float) -> list[str]:
        self.asked.append((namespace, policy.name, seconds))
        return ["two workloads would change"]


def a_namespace(**labels: str) -> dict[str, Any]:
    found = {f"gpuwarden.io/{key}": value for key, value in labels.items()}
    return {"kind": "Namespace", "metadata": {"name": "team-a", "labels": {"team": "a", **found}}}


def validate(
    new: Any,
    old: Any = None,
    *,
    preview: Previews | None = None,
    configuration: Configuration | None = None,
    nodes: FleetSource = NoFleet(),  # noqa: B008 - it has no state
    **request: Any,
) -> Answered:
    fields = {"kind": KIND, "operation": "UPDATE" if old else "CREATE", "oldObject": old, "name": "team-a", **request}
    body = json.dumps(a_review(new, **fields)).encode()
    labelling = NamespaceAdmission(lambda: configuration or Configuration(), preview, nodes)
    return read_answer(finish(labelling.validate(body, 10.0)), UID)


@pytest.mark.parametrize("key", ["enforce", "warn", "audit"])
@pytest.mark.parametrize("old", [None, a_namespace(), a_namespace(enforce="none")])
def test_a_label_that_cannot_be_read_is_refused_with_the_nearest_value(key: str, old: Any) -> None:
    answered = validate(a_namespace(**{key: "shraed"}), old)
    assert not answered.allowed
    status = answered.response["status"]
    assert (status["code"], status["reason"]) == (422, "Invalid")
    assert 'did you mean "shared"?' in status["message"]
    assert status["details"]["causes"][0]["field"] == f"metadata.labels[gpuwarden.io/{key}]"


@pytest.mark.parametrize(
    ("new", "old"),
    [
        pytest.param(a_namespace(), None, id="no labels"),
        pytest.param(a_namespace(enforce="mps", warn="any", audit="gke-mps-4"), None, id="good labels"),
        pytest.param(a_namespace(enforce="shraed"), a_namespace(enforce="shraed"), id="a bad label from before"),
        pytest.param(a_namespace(enforce="shraed", warn="mps"), a_namespace(enforce="shraed"), id="another beside it"),
        pytest.param(a_namespace(), a_namespace(enforce="shraed"), id="a bad label taken away"),
        pytest.param({"metadata": {"name": "team-a", "labels": None}}, None, id="null labels"),
    ],
)
def test_what_can_be_read_or_stood_there_before_passes(new: Any, old: Any) -> None:
    assert validate(new, old).response == {"uid": UID, "allowed": True}


def test_one_bad_label_for_another_is_refused() -> None:
    assert not validate(a_namespace(enforce="shard"), a_namespace(enforce="shraed")).allowed


def test_labels_of_an_exempt_namespace_have_no_effect_and_that_is_said() -> None:
    configuration = Configuration(exemptions=Exemptions(namespaces=frozenset({"team-a"})))
    (warning,) = validate(a_namespace(enforce="mps"), configuration=configuration).warnings
    assert "exempt" in warning
    assert validate(a_namespace(), configuration=configuration).warnings == []


def test_a_changed_enforce_policy_is_previewed_for_at_most_half_of_the_time() -> None:
    previews = Previews()
    answered = validate(a_namespace(enforce="mps"), a_namespace(), preview=previews)
    assert answered.warnings == ["two workloads would change"]
    assert previews.asked == [("team-a", "mps", 5.0)]


@pytest.mark.parametrize(
    ("new", "old"),
    [
        pytest.param(a_namespace(enforce="mps"), None, id="a new namespace has no pods"),
        pytest.param(a_namespace(enforce="mps"), a_namespace(enforce="mps"), id="nothing of ours changed"),
        pytest.param(a_namespace(enforce="mps", warn="any"), a_namespace(enforce="mps"), id="enforce did not change"),
    ],
)
def test_nothing_else_is_previewed(new: Any, old: Any) -> None:
    previews = Previews()
    assert validate(new, old, preview=previews).warnings == []
    assert previews.asked == []


@pytest.mark.parametrize("request_", [{"operation": "DELETE"}, {"operation": "CONNECT"}, {"subResource": "other"}])
def test_other_operations_pass(request_: dict[str, Any]) -> None:
    assert validate(a_namespace(enforce="shraed"), **request_).allowed


@pytest.mark.parametrize("subresource", ["status", "finalize"])
def test_a_label_that_is_written_through_a_subresource_is_evaluated_as_any_other(subresource: str) -> None:
    previews = Previews()
    there: dict[str, Any] = {"subResource": subresource, "preview": previews}
    assert not validate(a_namespace(enforce="shraed"), a_namespace(), **there).allowed
    assert validate(a_namespace(enforce="shraed"), a_namespace(enforce="shraed"), **there).allowed
    assert validate(a_namespace(enforce="mps"), a_namespace(), **there).warnings == ["two workloads would change"]


@pytest.mark.parametrize("subresource", ["", "status", "finalize"])
def test_a_namespace_that_is_being_deleted_is_never_kept_from_it(subresource: str) -> None:
    ending = a_namespace(enforce="shraed", enfroce="x")
    ending["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    previews = Previews()
    answered = validate(ending, a_namespace(enforce="mps"), subResource=subresource, preview=previews)
    assert answered.response == {"uid": UID, "allowed": True}
    assert previews.asked == []


def with_metadata(**metadata: Any) -> dict[str, Any]:
    return {"kind": "Namespace", "metadata": {"name": "team-a", **metadata}}


@pytest.mark.parametrize("old", [None, a_namespace(), a_namespace(enforce="none")])
@pytest.mark.parametrize("section", ["labels", "annotations"])
@pytest.mark.parametrize("key", ["gpuwarden.io/enfroce", "gpu-warden.io/enforce", "gpuwarden/Enforce"])
def test_a_mistyped_key_is_warned_of_and_never_refused(key: str, section: str, old: Any) -> None:
    answered = validate(with_metadata(**{section: {key: "shared"}}), old)
    assert answered.allowed
    (warning,) = answered.warnings
    assert warning.startswith(f"metadata.{section}[{key}]: gpuwarden ")
    assert "gpuwarden.io/enforce" in warning


def test_a_mistyped_key_is_warned_of_beside_what_a_label_does() -> None:
    previews = Previews()
    first, second = validate(a_namespace(enforce="mps", wran="mps"), a_namespace(), preview=previews).warnings
    assert first.startswith("metadata.labels[gpuwarden.io/wran]: ")
    assert second == "two workloads would change"
    configuration = Configuration(exemptions=Exemptions(namespaces=frozenset({"team-a"})))
    assert len(validate(a_namespace(enforce="mps", wran="mps"), configuration=configuration).warnings) == 2


def test_a_mistyped_key_from_before_is_told_again_only_when_its_value_changes() -> None:
    before = a_namespace(wran="mps")
    assert validate(a_namespace(wran="mps", enforce="mps"), before).warnings == []
    assert len(validate(a_namespace(wran="shared"), before).warnings) == 1
    assert validate(a_namespace(), before).warnings == []


def test_keys_of_others_are_none_of_gpuwarden_s_business() -> None:
    others = {
        "pod-security.kubernetes.io/enforce": "baseline",
        "kubewarden.io/enforce": "x",
        "nvidia.com/gpu.present": "true",
    }
    assert validate(with_metadata(labels=others, annotations=others)).response == {"uid": UID, "allowed": True}


@pytest.mark.parametrize(
    ("new", "request_", "field"),
    [
        (a_namespace(), {"kind": {"group": "", "version": "v1", "kind": "Pod"}}, "request.kind"),
        (None, {}, "request.object"),
        ({"metadata": {"labels": {"a": 1}}}, {}, "request.object.metadata.labels"),
    ],
)
def test_a_review_that_cannot_be_read_names_the_field(new: Any, request_: dict[str, Any], field: str) -> None:
    with pytest.raises(ReviewError) as raised:
        validate(new, **request_)
    assert raised.value.field.startswith(field)


def test_a_label_that_cannot_be_read_is_refused_in_audit_mode_too_which_is_about_pods() -> None:
    audit = Configuration(mode=Mode.AUDIT)
    assert not validate(a_namespace(enforce="shraed"), a_namespace(), configuration=audit).allowed
