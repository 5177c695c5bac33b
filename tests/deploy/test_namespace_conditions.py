"""The CEL of ``validate-namespace.gpuwarden.io``, evaluated: changes of our labels, and nothing else that befalls a namespace."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.deploy.chart import Chart, Json, Rendered
from tests.deploy.conditions import Asks, conditions_of
from webhook.engine.label_problems import intended
from webhook.engine.namespace_labels import AUDIT, ENFORCE, WARN, NamespaceLabels

NAMESPACES = "validate-namespace.gpuwarden.io"
OURS = (ENFORCE, WARN, AUDIT)


@pytest.fixture(scope="session")
def asks(rendered: Rendered) -> Asks:
    return conditions_of(rendered.webhooks[NAMESPACES])


def a_namespace(plain: Mapping[str, str] | None, **metadata: object) -> Json:
    found = {} if plain is None else {"labels": dict(plain)}
    return {"kind": "Namespace", "metadata": {"name": "x", **found, **metadata}, "spec": {"finalizers": ["kubernetes"]}}


@pytest.mark.parametrize("key", OURS)
def test_each_label_is_asked_about_when_it_comes_goes_or_changes(asks: Asks, key: str) -> None:
    mps, shared, other = a_namespace({key: "mps"}), a_namespace({key: "shared"}), a_namespace({"team": "a"})
    assert asks(mps, None)
    assert asks(mps, shared)
    assert asks(mps, other)
    assert asks(other, mps)
    assert asks(a_namespace({key: ""}), other), "an empty value is one that can't be read"
    assert asks(a_namespace({key: ""}), None)
    assert asks(a_namespace(None), mps)


@pytest.mark.parametrize(
    ("new", "old"),
    [
        (a_namespace({"team": "a"}), None),
        (a_namespace(None), None),
        (a_namespace({"team": "b"}), a_namespace({"team": "a"})),
        (a_namespace({"team": "b"}), a_namespace(None)),
        (a_namespace(None), a_namespace({"team": "b"})),
        (a_namespace({ENFORCE: "shraed", "team": "b"}), a_namespace({ENFORCE: "shraed"})),
        (a_namespace({ENFORCE: "mps"}, finalizers=[]), a_namespace({ENFORCE: "mps"}, finalizers=["x"])),
        (a_namespace({ENFORCE: "mps"}, deletionTimestamp="2026-01-01T00:00:00Z"), a_namespace({ENFORCE: "mps"})),
        (a_namespace({"gpuwarden.io/enforced": "b"}), a_namespace({"gpuwarden.io/enforced": "b"})),
        (a_namespace({}), a_namespace({"gpuwarden.io/enforced": "b"})),
        (
            a_namespace({}, annotations={"gpuwarden.io/enforce": "b"}),
            a_namespace({}, annotations={"gpuwarden.io/enforce": "b"}),
        ),
        # Somebody else's.
        (a_namespace({"pod-security.kubernetes.io/enforce": "baseline"}), None),
        (
            a_namespace(
                {"kubewarden.io/enforce": "a", "gpu-worker.example.com/audit": "a", "nvidia.com/gpu.present": "a"}
            ),
            None,
        ),
        (a_namespace({"gpuwarden.example.com/owner": "a", "enforce": "a"}), None),
        (
            a_namespace({"enforce.kubewarden.io": "a", "audit.gpu-worker.example.com": "a", "guard.gpuwarden.io": "a"}),
            None,
        ),
        (
            a_namespace({}, annotations={"kubectl.kubernetes.io/last-applied-configuration": "gpuwarden.io/enforce"}),
            None,
        ),
    ],
)
def test_nothing_else_of_a_namespace_is_asked_about(asks: Asks, new: Json, old: Json | None) -> None:
    assert not asks(new, old)


@pytest.mark.parametrize("section", ["labels", "annotations"])
@pytest.mark.parametrize(
    "key",
    [
        *(
            "gpuwarden.io/enfroce",
            "gpuwarden.io/Enforce",
            "gpuwarden.io/mode",
            "gpu-warden.io/enforce",
            "gpuwarden/enforce",
        ),
        *(
            "gpuwarden.k8s.io/warn",
            "policy.gpuwarden.io/audit",
            "gpuwarder.io/enforce",
            "gpuwraden.io/warn",
            "GPUWarden.io/audit",
        ),
        *("gpuwarden-enforce", "gpuwarden.com/enforce", "mygpuwarden.io/enforce"),
        *("enforce.gpuwarden.io", "enfroce.gpuwarden.io", "audit-gpu-warden.io", "enforce/gpuwarden.io"),
        *("warn.gpuwarder.io", "enforce.gpuwarden.io/policy", "Enforce.GPUWarden.io"),
        *("enforcegpuwarden.io", "nvidia.com/gpuwarden.enforce", "kubernetes.io/gpuwarden-audit", "gpuwarden.io"),
        *("gpuwarden.ioenforce", "gpuwarden.io/enforce/v1", "gpwarden.io/enforce", "gpuwardn.io.enforce"),
    ],
)
def test_a_mistyped_key_is_asked_about_when_it_comes_or_changes(asks: Asks, section: str, key: str) -> None:
    assert intended(key) is not None, "what the webhook would warn of"
    with_key = a_namespace(None, **{section: {key: "mps"}})
    assert asks(with_key, None)
    assert asks(with_key, a_namespace({"team": "a"}))
    assert asks(with_key, a_namespace(None, **{section: {key: "shared"}}))
    assert not asks(with_key, with_key)


@pytest.mark.parametrize("labels", [{ENFORCE: "shraed"}, {ENFORCE: "mps"}, {}, {"gpuwarden.io/enfroce": "mps"}])
def test_nothing_is_asked_while_a_namespace_is_being_deleted(asks: Asks, labels: dict[str, str]) -> None:
    ending = a_namespace(labels, deletionTimestamp="2026-01-01T00:00:00Z")
    assert not asks(ending, a_namespace({ENFORCE: "mps"}, deletionTimestamp="2026-01-01T00:00:00Z"))


def test_it_covers_the_subresources_that_labels_can_be_written_through(rendered: Rendered) -> None:
    rules = rendered.webhooks[NAMESPACES]["rules"]
    covered = {(operation, name) for rule in rules for operation in rule["operations"] for name in rule["resources"]}
    written = {("UPDATE", name) for name in ("namespaces", "namespaces/status", "namespaces/finalize")}
    assert covered == {("CREATE", "namespaces"), *written}


some_labels = st.none() | st.dictionaries(
    st.sampled_from([*OURS, "team"]), st.sampled_from(["", "mps", "shared", "x"]), max_size=4
)


@given(new=some_labels, old=some_labels)
def test_exactly_what_the_webhook_would_look_at_is_asked_about(
    asks: Asks, new: dict[str, str] | None, old: dict[str, str] | None
) -> None:
    assert asks(a_namespace(new), a_namespace(old)) is (NamespaceLabels.of(new) != NamespaceLabels.of(old))


@pytest.mark.parametrize(("mode", "policy"), [("enforce", "Fail"), ("audit", "Ignore")])
def test_it_fails_closed_where_anything_is_enforced(chart: Chart, mode: str, policy: str) -> None:
    assert chart.render({"install": {"mode": mode}}).webhooks[NAMESPACES]["failurePolicy"] == policy
