"""Pods too large to evaluate: denied by an error, so that each webhook's failurePolicy decides, and where that begins."""

import pytest

from testing.reviews import Webhook, a_container, a_gpu_container, a_pod
from webhook.application.pod_review import MOST_GPU_CONTAINERS
from webhook.application.review import ReviewError


def with_gpus(count: int) -> dict[str, object]:
    return a_pod(*(a_gpu_container(name=f"c{number}") for number in range(count)))


def test_as_many_containers_with_gpus_as_are_evaluated_are_evaluated() -> None:
    webhook = Webhook("mps")

    assert webhook.mutate(with_gpus(MOST_GPU_CONTAINERS)).patch
    assert webhook.validate(with_gpus(MOST_GPU_CONTAINERS)).rules == ["not-rewritten"]


@pytest.mark.parametrize("policy", ["mps", "any", "none"])
def test_one_more_is_evaluated_by_nobody(policy: str) -> None:
    webhook = Webhook(policy)

    for evaluate in (webhook.mutate, webhook.validate):
        with pytest.raises(ReviewError, match=f"{MOST_GPU_CONTAINERS + 1} containers request GPUs") as refused:
            evaluate(with_gpus(MOST_GPU_CONTAINERS + 1))
        assert refused.value.field == "request.object.spec"
    assert webhook.notes == []


def test_any_number_of_containers_without_gpus_passes() -> None:
    pod = a_pod(*(a_container(f"c{number}") for number in range(5_000)))

    assert Webhook("mps").validate(pod).allowed
