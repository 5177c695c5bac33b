"""LimitRanges: what their defaults add is removed beside a request of the container's own, or named in the denial."""

import pytest

from tests.builders import (
    GPU,
    GPU_TOLERATION,
    MIG,
    SHARED,
    Json,
    a_container,
    a_pod,
    a_policy,
    applied,
    evaluate,
    messages,
    rewritten,
    rules,
)
from webhook.engine.limit_range_defaults import ANNOTATION, additions_in
from webhook.engine.rules.not_rewritten import not_rewritten
from webhook.engine.summary import changes, requests

ORIGINAL, POLICY = "gpuwarden.io/original-request", "gpuwarden.io/policy"
FIX = 'limit GPUs by a ResourceQuota instead, or set its default for nvidia.com/gpu to "0"'


def set_by(*entries: str) -> Json:
    """The annotation as LimitRanger writes it."""
    return {ANNOTATION: "LimitRanger plugin set: " + "; ".join(entries)}


def added(resource: str = GPU, name: str = "train", kind: str = "container") -> tuple[str, str]:
    """The entries for one resource of a container."""
    return f"{resource} request for {kind} {name}", f"{resource} limit for {kind} {name}"


def both(amounts: Json, name: str = "train") -> Json:
    """A container as the API server stores it: requests like limits."""
    return a_container(name, dict(amounts), dict(amounts))


def again(amounts: Json, *entries: str, **more: str) -> Json:
    """A pod whose one container was rewritten, and was then given more."""
    annotations = {**set_by(*entries), POLICY: "shared", ORIGINAL: '{"train":{"nvidia.com/gpu":"1"}}', **more}
    return a_pod(both(amounts), annotations=annotations, tolerations=[GPU_TOLERATION])


REWRITTEN_AND_ADDED = {SHARED: "1", GPU: "4"}


@pytest.mark.parametrize(
    "pod",
    [
        again({SHARED: "1"}, *added()),
        again({SHARED: "1", GPU: "0"}, *added()),
        again({SHARED: "1", "cpu": "1"}, *added("cpu")),
        again({SHARED: "1"}, *added(SHARED)),
    ],
    ids=["nothing left", "zero", "cpu", "the default is the only request"],
)
def test_these_stay_untouched(pod: Json) -> None:
    decision = evaluate(pod, "shared")
    assert (decision.edits, decision.findings) == ((), ())


@pytest.mark.parametrize(
    "annotations",
    [
        None,
        {},
        {ANNOTATION: ""},
        {ANNOTATION: "nvidia.com/gpu limit for container train; nvidia.com/gpu request for container train"},
        set_by(*added(name="other")),
        set_by(*added(name="train-2")),
        set_by(*added("nvidia.com/gpu-x")),
        set_by(*added("cpu")),
        set_by("nvidia.com/gpu limit for container train"),
        set_by("nvidia.com/gpu request for container train"),
        set_by("nvidia.com/gpu limit for container", "nvidia.com/gpu request for"),
        set_by(*added(), *added(SHARED)),
    ],
)
def test_what_is_not_known_to_be_added_beside_a_request_is_refused_as_ever(annotations: Json | None) -> None:
    decision = evaluate(a_pod(both(REWRITTEN_AND_ADDED), annotations=annotations), "shared")
    assert rules(decision) == ["mixed-gpu-resources"]
    assert decision.edits == ()


@pytest.mark.parametrize(
    "entries",
    [
        added(),
        (f"cpu, memory, {GPU} limit for container train", f"{GPU} request for container train"),
        (*added("cpu", "init", "init container"), *added(), *added(name="other")),
    ],
)
def test_what_was_added_after_the_rewrite_is_removed_again(entries: tuple[str, ...]) -> None:
    pod = again(REWRITTEN_AND_ADDED, *entries)
    result = rewritten(pod, "shared")
    assert result["spec"]["containers"][0]["resources"] == {"limits": {SHARED: "1"}, "requests": {SHARED: "1"}}
    assert result["metadata"]["annotations"] == pod["metadata"]["annotations"], (
        "the original request is still the user's"
    )


def test_an_init_container_is_told_apart_and_its_default_removed_too() -> None:
    pod = a_pod(
        both(REWRITTEN_AND_ADDED),
        initContainers=[both({MIG: "1", GPU: "2"}, "load")],
        annotations=set_by(*added(), *added(name="load", kind="init container")),
    )
    result = rewritten(pod, a_policy("shared", "mig-1g.5gb"))["spec"]
    assert result["initContainers"][0]["resources"] == {"limits": {MIG: "1"}, "requests": {MIG: "1"}}
    assert result["containers"][0]["resources"] == {"limits": {SHARED: "1"}, "requests": {SHARED: "1"}}


def test_a_limit_range_on_the_forms_own_name_gives_way_to_the_users_request() -> None:
    """Before the first call already: the container names ``nvidia.com/gpu``, so the default for the other name is added."""
    result = rewritten(a_pod(both({GPU: "1", SHARED: "2"}), annotations=set_by(*added(SHARED))), "shared")
    assert result["spec"]["containers"][0]["resources"] == {"limits": {SHARED: "1"}, "requests": {SHARED: "1"}}
    assert result["metadata"]["annotations"][ORIGINAL] == '{"train":{"nvidia.com/gpu":"1"}}'


def test_a_user_limit_beside_a_default_in_both_sections() -> None:
    pod = a_pod(a_container("train", {GPU: 1, SHARED: 2}, {SHARED: 2}), annotations=set_by(*added(SHARED)))
    assert rewritten(pod, "shared")["spec"]["containers"][0]["resources"] == {"limits": {SHARED: 1}, "requests": {}}


def test_a_min_alone_adds_a_request_without_a_limit_and_that_is_removed_too() -> None:
    container = a_container("train", {SHARED: "1"}, {SHARED: "1", GPU: "1"})
    result = rewritten(a_pod(container, annotations=set_by(f"{GPU} request for container train")), "shared")
    assert result["spec"]["containers"][0]["resources"] == {"limits": {SHARED: "1"}, "requests": {SHARED: "1"}}


def test_the_removal_is_told_with_what_may_follow() -> None:
    decision = evaluate(again(REWRITTEN_AND_ADDED, *added()), "shared")
    assert messages(decision) == [
        (
            'container "train": a LimitRange added nvidia.com/gpu: 4 alongside nvidia.com/gpu.shared: 1, and it is removed; '
            f"if the LimitRange has a max or min for nvidia.com/gpu, it then denies the pod; {FIX}"
        )
    ]
    assert rules(decision) == ["limit-range-default"]
    assert requests(decision) == ["train: nvidia.com/gpu.shared: 1"]
    assert list(changes(decision)) == ['container "train": nvidia.com/gpu, which a LimitRange added, is removed']
    assert list(changes(decision, would=True)) == [
        'container "train": nvidia.com/gpu, which a LimitRange added, would be removed'
    ]


def test_on_the_final_pod_it_is_an_edit_that_is_missing() -> None:
    """The webhook was not called again, or not at all."""
    decision = evaluate(again(REWRITTEN_AND_ADDED, *added()), "shared")
    missing = not_rewritten(decision.edits, a_policy("shared"))
    assert missing
    assert "(spec.containers[0]: without nvidia.com/gpu, which a LimitRange added)" in missing.reason


@pytest.mark.parametrize("policy", ["any", "none", "exclusive", "shared", "mig-1g.5gb"])
@pytest.mark.parametrize(
    ("own", "second"),
    [
        (own, second)
        for own in ({GPU: "1"}, {SHARED: "1"}, {SHARED: "2"}, {MIG: "1"}, {GPU: "0.5"})
        for second in (GPU, SHARED, MIG)
        if second not in own
    ],
)
def test_a_forged_annotation_gains_no_more_than_not_writing_the_second_request(
    policy: str, own: Json, second: str
) -> None:
    forged = evaluate(a_pod(both({**own, second: "1"}), annotations=set_by(*added(second))), policy)
    honest = evaluate(a_pod(both(own)), policy)
    if policy == "any":
        assert set(rules(forged)) <= {"mixed-gpu-resources", "not-a-whole-number"}
        assert forged.denials, "nothing is rewritten there"
    else:
        assert [rule for rule in rules(forged) if rule != "limit-range-default"] == rules(honest)
        assert bool(forged.denials) == bool(honest.denials)


def test_containers_that_ask_for_nothing_have_the_default_for_their_request() -> None:
    """Whoever writes ``default: {nvidia.com/gpu: 1}`` asks for one GPU for each container: each gets it."""
    pod = a_pod(both({GPU: "1"}), both({GPU: "1"}, "proxy"), annotations=set_by(*added(name="proxy")))
    containers = rewritten(pod, "shared")["spec"]["containers"]
    assert [one["resources"]["limits"] for one in containers] == [{SHARED: "1"}, {SHARED: "1"}]


FROM_A_DEFAULT = a_pod(both({GPU: "4"}, "proxy"), annotations=set_by(*added(name="proxy")))
BESIDE_A_DEFAULT = a_pod(both({SHARED: "1", GPU: "4"}, "proxy"), annotations=set_by(*added(name="proxy")))
LIMIT_ALONE = a_pod(
    a_container("proxy", {GPU: "4"}, {GPU: "1"}), annotations=set_by("nvidia.com/gpu limit for container proxy")
)
REQUEST_ALONE = a_pod(
    a_container("proxy", None, {GPU: "1"}), annotations=set_by("nvidia.com/gpu request for container proxy")
)


@pytest.mark.parametrize(
    ("pod", "policy", "rule"),
    [
        (FROM_A_DEFAULT, "shared", "shared-request-above-one"),
        (FROM_A_DEFAULT, "none", "gpu-not-permitted"),
        (BESIDE_A_DEFAULT, "any", "mixed-gpu-resources"),
        (LIMIT_ALONE, "exclusive", "limits-requests-differ"),
        (REQUEST_ALONE, "exclusive", "limits-requests-differ"),
        (FROM_A_DEFAULT, a_policy("exclusive", max_per_pod=2), "per-pod-limit"),
        (FROM_A_DEFAULT, a_policy("exclusive", max_per_container=2), "per-container-limit"),
    ],
)
def test_a_denial_of_what_a_limit_range_added_names_it_and_not_the_user(pod: Json, policy: str, rule: str) -> None:
    decision = evaluate(pod, policy)
    assert rules(decision) == [rule]
    assert messages(decision)[0].endswith(
        f'. A LimitRange of the namespace, not the pod, set nvidia.com/gpu for container "proxy"; {FIX}'
    )


@pytest.mark.parametrize(
    ("annotations", "told"),
    [(set_by(*added("cpu")), True), (set_by(*added(name="other")), True), ({}, False), (None, False)],
)
def test_two_resources_may_come_from_a_limit_range_that_another_has_hidden(
    annotations: Json | None, *, told: bool
) -> None:
    """LimitRanger overwrites its annotation: what it set before another LimitRange changed the pod is no longer there."""
    decision = evaluate(a_pod(both({GPU: "1", SHARED: "1"}), annotations=annotations), "shared")
    assert rules(decision) == ["mixed-gpu-resources"]
    assert ("a LimitRange of the namespace set the other; limit GPUs by" in messages(decision)[0]) is told


def test_a_denial_of_another_container_does_not_name_it() -> None:
    pod = a_pod(both({GPU: "1"}), both({GPU: "2"}, "greedy"), annotations=set_by(*added()))
    assert [("LimitRange" in said) for said in messages(evaluate(pod, "shared"))] == [False]


def test_warnings_do_not_name_it() -> None:
    pod = a_pod(both({MIG: "2"}), annotations=set_by(*added(MIG)))
    decision = evaluate(pod, "mig-1g.5gb")
    assert rules(decision) == ["mig-count-above-one"]
    assert "LimitRange" not in messages(decision)[0]


@pytest.mark.parametrize("metadata", [None, {}, {"annotations": {"a": "b"}}])
def test_without_the_annotation_nothing_was_added(metadata: Json | None) -> None:
    assert rules(evaluate({**a_pod(both(REWRITTEN_AND_ADDED)), "metadata": metadata}, "shared")) == [
        "mixed-gpu-resources"
    ]


def test_an_annotation_that_limit_ranger_did_not_write_adds_nothing() -> None:
    assert not additions_in("").entries
    assert not additions_in("nvidia.com/gpu limit for container train").entries


def test_a_huge_annotation_and_a_thousand_containers_take_no_more_than_they_are_long() -> None:
    names = [f"c{number}" for number in range(1000)]
    entries = [entry for name in names for entry in added(name=name)]
    pod = a_pod(*(both(REWRITTEN_AND_ADDED, name) for name in names), annotations=set_by(*entries, "x " * 50_000))
    decision = evaluate(pod, "shared")
    assert len(decision.warnings) == len(names)
    result = applied(pod, decision)
    assert {str(one["resources"]["limits"]) for one in result["spec"]["containers"]} == {str({SHARED: "1"})}
