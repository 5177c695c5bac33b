"""The envelope: what is read of a review, what is wrong with one, and what an answer looks like on the wire."""

import base64
import json
from typing import Any

import pytest

from testing.reviews import UID, Json, a_pod, a_review, encode, read_answer
from webhook.application import review
from webhook.application.review import AdmissionRequest, ReviewError
from webhook.engine.policy import LabelProblem
from webhook.engine.rules.container import NOT_A_WHOLE_NUMBER
from webhook.engine.rules.permission import PER_POD_LIMIT

REQUEST = AdmissionRequest(UID)


def changed(**envelope: Any) -> Json:
    """A good review with fields of its envelope replaced; ``None`` takes one away."""
    fields = a_review(a_pod()) | envelope
    return {name: value for name, value in fields.items() if value is not None}


def refusal_of(body: bytes) -> ReviewError:
    with pytest.raises(ReviewError) as caught:
        review.decode(body)
    return caught.value


def test_a_review_is_read_without_looking_into_its_object() -> None:
    request = review.decode(encode(a_review({"kind": 5}, subResource="status", dryRun=True, namespace="b", name="c")))

    assert (request.uid, request.operation, request.namespace, request.name) == (UID, "CREATE", "b", "c")
    assert (request.sub_resource, request.dry_run) == ("status", True)
    assert request.user_info.username == "alice@example.com"
    assert bytes(request.object) == b'{"kind": 5}'


def test_fields_that_a_newer_api_server_adds_are_passed_over() -> None:
    later = changed(flavour="vanilla") | {"response": {"uid": "x"}}
    later["request"] |= {"shiny": {"uid": 7}, "userInfo": {"username": "a", "extra": {"k": ["v"]}, "new": 1}}

    assert review.decode(encode(later)).uid == UID


@pytest.mark.parametrize(
    ("envelope", "field", "says"),
    [
        (changed(kind=None), "kind", 'must be "AdmissionReview", not ""'),
        (changed(kind="Pod"), "kind", 'must be "AdmissionReview", not "Pod"'),
        (changed(kind=7), "kind", "Expected `str`"),
        (changed(apiVersion=None), "apiVersion", 'must be "admission.k8s.io/v1"'),
        (changed(apiVersion="admission.k8s.io/v1beta1"), "apiVersion", 'not "admission.k8s.io/v1beta1"'),
        (changed(request=None), "request", "is missing"),
        (changed(request=[]), "request", "got `array`"),
        (a_review(a_pod(), uid=None), "request.uid", "is missing"),
        (a_review(a_pod(), uid=""), "request.uid", "is missing"),
        (a_review(a_pod(), uid=5), "request.uid", "got `int`"),
        (a_review(a_pod(), uid="0" * 129), "request.uid", "length <= 128"),
        (a_review(a_pod(), operation="x" * 318), "request.operation", "length <= 317"),
        (a_review(a_pod(), kind={"kind": "x" * 318}), "request.kind.kind", "length <= 317"),
        (changed(kind="x" * 318), "kind", "length <= 317"),
        (changed(apiVersion="x" * 318), "apiVersion", "length <= 317"),
        (a_review(a_pod(), operation=None), "request.operation", "is missing"),
        (a_review(a_pod(), operation=["CREATE"]), "request.operation", "got `array`"),
        (a_review(a_pod(), namespace={}), "request.namespace", "got `object`"),
        (a_review(a_pod(), subResource=1), "request.subResource", "got `int`"),
        (a_review(a_pod(), dryRun="yes"), "request.dryRun", "got `str`"),
        (a_review(a_pod(), userInfo={"username": 1}), "request.userInfo.username", "got `int`"),
        (a_review(a_pod(), kind={"kind": []}), "request.kind.kind", "got `array`"),
    ],
)
def test_a_bad_field_is_named(envelope: Json, field: str, says: str) -> None:
    error = refusal_of(encode(envelope))

    assert error.field == field
    assert says in error.message
    assert str(error).startswith(f"{field}: ")


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "is not valid JSON"),
        (b"{", "is not valid JSON"),
        (b"{} {}", "is not valid JSON"),
        (b"\xef\xbb\xbf{}", "is not valid JSON"),
        (b'{"kind": "\xff"}', "is not valid JSON"),
        (b'{"kind": "\\ud800"}', "is not valid JSON"),
        (b'{"kind": NaN}', "is not valid JSON"),
        (b"[]", "Expected `object`, got `array`"),
        (b"null", "Expected `object`, got `null`"),
        (b"[" * 1_000_000, "Expected `object`, got `array`"),
        (b'{"a":' * 200_000, "nested too deeply"),
    ],
)
def test_what_is_no_json_object_is_said_to_be_none(body: bytes, says: str) -> None:
    error = refusal_of(body)

    assert says in error.message


def test_of_equal_keys_the_last_one_counts_as_it_does_for_the_api_server() -> None:
    body = encode(a_review(a_pod())).replace(b'"uid":', b'"uid": "first", "uid":', 1)

    assert review.decode(body).uid == UID


def test_an_allowed_answer_holds_nothing_but_what_it_says() -> None:
    answer = json.loads(review.allowed(REQUEST))

    assert answer == {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "response": {"uid": UID, "allowed": True},
    }


def test_a_patch_comes_with_its_type_and_in_base64() -> None:
    operations: list[Json] = [{"op": "add", "path": "/spec/runtimeClassName", "value": "nvidiä"}]

    answered = read_answer(review.answer(REQUEST, review.allowance(encode(operations), ["w"], {"k": "v"})))

    assert answered.response["patchType"] == "JSONPatch"
    assert json.loads(base64.b64decode(answered.response["patch"])) == operations
    assert (answered.warnings, answered.annotations) == (["w"], {"k": "v"})


def test_without_operations_there_is_neither_patch_nor_type() -> None:
    answer = json.loads(review.answer(REQUEST, review.allowance(b"", [], {})))

    assert set(answer["response"]) == {"uid", "allowed"}


def test_a_refusal_tells_all_findings_in_one_message_and_each_as_a_cause() -> None:
    one = NOT_A_WHOLE_NUMBER.found("spec.containers[0]", "a", "b")
    other = PER_POD_LIMIT.found("spec", "c", "d")

    answered = read_answer(review.denied(REQUEST, (one, other), {"enforce-outcome": "denied"}))

    assert answered.message == "a; b; and c; d"
    assert answered.response["status"] == {
        "message": "a; b; and c; d",
        "reason": "Forbidden",
        "code": 403,
        "details": {
            "causes": [
                {"reason": "not-a-whole-number", "message": "a; b", "field": "spec.containers[0]"},
                {"reason": "per-pod-limit", "message": "c; d", "field": "spec"},
            ]
        },
    }
    assert answered.annotations == {"enforce-outcome": "denied"}


@pytest.mark.parametrize(
    ("count", "told", "end"),
    [(20, 20, "a19; b"), (21, 20, "; and 1 more like these"), (9000, 20, "8980 more like these")],
)
def test_of_very_many_findings_the_first_are_told_and_how_many_more_there_are(count: int, told: int, end: str) -> None:
    findings = tuple(NOT_A_WHOLE_NUMBER.found(f"spec.containers[{n}]", f"a{n}", "b") for n in range(count))

    answered = read_answer(review.denied(REQUEST, findings))

    assert len(answered.rules) == told
    assert answered.message.startswith("a0; b; and a1; b; and a2")
    assert answered.message.endswith(end)
    assert len(answered.message) < 1000


def test_an_object_that_cannot_be_read_is_refused_as_the_api_server_refuses_invalid_ones() -> None:
    problem = LabelProblem("metadata.labels[gpuwarden.io/enforce]", "mp", '"mp" is not a policy; did you mean "mps"?')

    status = read_answer(review.invalid(REQUEST, "all of it", [problem])).response["status"]

    cause = {"reason": "FieldValueInvalid", "message": problem.message, "field": problem.path}
    assert status == {"message": "all of it", "reason": "Invalid", "code": 422, "details": {"causes": [cause]}}


def test_an_object_that_is_missing_or_null_is_told_from_one_that_is_there() -> None:
    there = review.decode(encode(a_review({}, oldObject=0)))
    null, gone = (review.decode(encode(a_review(a_pod(), **more))) for more in ({}, {"object": None}))

    assert (there.has_object, there.has_old_object) == (True, True)
    assert (null.has_object, null.has_old_object) == (True, False)
    assert not gone.has_object


@pytest.mark.parametrize("uid", ["a", "0" * 128, 'quote " and \\ and \u2028', "\U0001f600", "null"])
def test_the_uid_comes_back_as_it_came(uid: str) -> None:
    read_answer(review.allowed(review.decode(encode(a_review(a_pod(), uid=uid)))), uid)
