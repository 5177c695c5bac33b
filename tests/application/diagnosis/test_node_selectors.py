"""The check of node selectors: nodes with GPUs that gpuwarden does not see."""

from tests.application.diagnosis.test_replicas_and_rights import with_arguments
from tests.application.diagnosis.world import GPU, a_node, healthy, the_result
from webhook.application.diagnosis.results import CheckStatus

BARE, LABELLED = a_node("bare", {GPU: 8}), a_node("labelled", {GPU: 8})
LABELS_ONLY = a_node("without-devices", {}, **{"nvidia.com/gpu.present": "true"})


def test_all_are_selected() -> None:
    facts = healthy(nodes=[LABELLED, LABELS_ONLY], selected_nodes=frozenset({"labelled", "cpu"}))
    assert the_result(facts, "node-selectors").observed == "the node selectors select every node with GPUs (1)"


def test_some_are_not() -> None:
    facts = healthy(nodes=[BARE, LABELLED], selected_nodes=frozenset({"labelled"}))
    result = the_result(facts, "node-selectors")
    assert (result.status, result.observed) == (CheckStatus.WARN, "no node selector selects node bare, which has GPUs")
    assert "denied under notOffered: deny" in result.impact


def test_none_is() -> None:
    result = the_result(healthy(nodes=[BARE, LABELLED]), "node-selectors")
    assert (result.status, result.observed) == (
        CheckStatus.WARN,
        "no node selector selects node bare, labelled, which has GPUs",
    )
    assert "reads all nodes every 5 minutes instead" in result.impact


def test_no_node_is_watched() -> None:
    facts = healthy(nodes=[BARE], deployment=with_arguments("serve", "--no-watch-nodes"))
    assert the_result(facts, "node-selectors").status is CheckStatus.SKIPPED
    assert the_result(healthy(nodes=[BARE], deployment=None), "node-selectors").status is CheckStatus.SKIPPED


def test_every_selector_is_used() -> None:
    deployment = with_arguments("serve", "--node-selector=a=1", "--port=1", "--node-selector", "b")
    assert deployment.options("--node-selector") == ["a=1", "b"]
    assert deployment.options("--config") == []
