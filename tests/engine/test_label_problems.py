"""Labels and annotations: what is wrong with them is found, and those of other projects are left alone."""

import pytest

from webhook.engine.label_problems import ignored, intended, misplaced, of_namespace, relevant
from webhook.engine.namespace_labels import AUDIT, ENFORCE, WARN, NamespaceLabels
from webhook.engine.policy import PolicyBook

BOOK = PolicyBook()


@pytest.mark.parametrize(
    "key",
    [
        *(
            "app.kubernetes.io/name",
            "kubernetes.io/metadata.name",
            "team",
            "",
            "/",
            "/enforce",
            "enforce",
            "warn",
            "audit",
        ),
        *("pod-security.kubernetes.io/enforce", "pod-security.kubernetes.io/warn", "pod-security.kubernetes.io/audit"),
        *(
            "kubewarden.io/enforce",
            "kube-warden.io/audit",
            "warden.io/enforce",
            "garden.io/warn",
            "gatekeeper.sh/enforce",
        ),
        *("nvidia.com/gpu.present", "gpu.io/enforce", "gpu-operator.example.com/audit", "nvidia.com/enforce"),
        *(
            "gpuwarden",
            "gpuwarden-team",
            "gpuwarden.example.com/owner",
            "gpu-warden.io/owner",
            "policy.gpuwarden.io/reason",
            "guard.gpuwarden.io",
        ),
        *("enforce.kubewarden.io", "audit.gatekeeper.sh", "enforce.example.com/gpu", "warn-garden.io", "audit/owner"),
        *("nvidia.com/gpuwarden", "app.kubernetes.io/gpuwarden", "enforcewarden.io", "kubewarden.io.enforce"),
        "x" * 300 + "/gpuwarden.io/enforce",
    ],
)
def test_keys_of_others_are_left_alone(key: str) -> None:
    assert intended(key) is None
    assert of_namespace(BOOK, {key: "shared"}, {key: "shared"}) == ()
    assert list(misplaced({key: "shared"}, {key: "shared"}, "Pod")) == []
    assert relevant({key: "shared"}) == {}


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        *((key, key) for key in (ENFORCE, WARN, AUDIT)),
        ("gpuwarden.io/enfroce", ENFORCE),
        ("gpuwarden.io/Enforce", ENFORCE),
        ("gpuwarden.io/enforced", ENFORCE),
        ("gpuwarden.io/enforce-version", ENFORCE),
        ("gpuwarden.io/wran", WARN),
        ("gpuwarden.io/warning", WARN),
        ("gpuwarden.io/adit", AUDIT),
        ("gpu-warden.io/enforce", ENFORCE),
        ("gpuwarden/enforce", ENFORCE),
        ("gpuwarden.com/audit", AUDIT),
        ("gpuwarden.k8s.io/enforce", ENFORCE),
        ("policy.gpuwarden.io/enforce", ENFORCE),
        ("gpuwarder.io/warn", WARN),
        ("gpuwraden.io/enfroce", ENFORCE),
        ("gpwarden.io/enforce", ENFORCE),
        ("GPUWarden.io/enforce", ENFORCE),
        ("gpuwarden-enforce", ENFORCE),
        ("gpuwarden.io.enforce", ENFORCE),
        ("gpuwarden.io_warn", WARN),
        ("enforce.gpuwarden.io", ENFORCE),
        ("enfroce.gpuwarden.io", ENFORCE),
        ("enforce.gpu-warden.io", ENFORCE),
        ("enforce.gpuwarder.io", ENFORCE),
        ("warn.gpuwarden", WARN),
        ("audit-gpuwarden.io", AUDIT),
        ("enforce_gpuwarden", ENFORCE),
        ("enforce/gpuwarden.io", ENFORCE),
        ("enforce.gpuwarden.io/policy", ENFORCE),
        ("warn.gpuwarden.io/", WARN),
        ("team.gpuwarden.io/enforce", ENFORCE),
        ("mygpuwarden.io/enforce", ENFORCE),
        # Glued, or at another place in the key.
        ("enforcegpuwarden.io", ENFORCE),
        ("gpuwardenenforce", ENFORCE),
        ("gpuwardenenfroce", ENFORCE),
        ("gpuwarden.ioenforce", ENFORCE),
        ("gpuwarden.io.enfroce", ENFORCE),
        ("gpuwardn.io.enforce", ENFORCE),
        ("gpuwardn.io.enfroce", ENFORCE),
        ("gpuwarden.io/enforce/v1", ENFORCE),
        ("gpuwarden.io//enforce", ENFORCE),
        ("io.gpuwarden/warn", WARN),
        # Another's domain.
        ("nvidia.com/gpuwarden.enforce", ENFORCE),
        ("nvidia.com/gpuwarden-audit", AUDIT),
        ("kubernetes.io/gpuwarden.warn", WARN),
        ("GPUWARDEN.io/enforce", ENFORCE),
        ("GPUWARDEN.IO/ENFORCE", ENFORCE),
        ("gpuwarnden.io/audit", AUDIT),
        ("gpuwarden.io", ""),
        ("gpuwarden.io/policy", ""),
        ("gpuwarden.io/mode", ""),
        ("gpuwarden.io/", ""),
    ],
)
def test_a_mistyped_key_leads_to_the_one_that_was_meant(key: str, meant: str) -> None:
    assert intended(key) == meant
    assert relevant({key: "shared", "team": "a"}) == {key: "shared"}


@pytest.mark.parametrize("labels", [None, {}, {"team": "a"}, {ENFORCE: "shared", WARN: "any", AUDIT: "mps"}])
def test_labels_that_are_as_they_should_be_have_no_problem(labels: dict[str, str] | None) -> None:
    assert of_namespace(BOOK, labels, labels if labels is None else {"team": "a"}) == ()


def test_a_value_that_names_no_policy_comes_with_the_nearest_and_is_read() -> None:
    (problem,) = of_namespace(BOOK, {ENFORCE: "sharde"})
    assert (problem.path, problem.value, problem.ignored) == ("metadata.labels[gpuwarden.io/enforce]", "sharde", False)
    assert problem.message == '"sharde" is not a policy; did you mean "shared"?'


def test_a_default_that_names_no_policy_is_no_fault_of_a_namespace_s() -> None:
    book = PolicyBook(defaults=NamespaceLabels(enforce="sharde"))
    assert of_namespace(book, {WARN: "shared"}) == ()
    assert len(of_namespace(book, {ENFORCE: "shrd"})) == 1


def test_a_mistyped_key_has_no_effect_and_the_message_says_which_was_meant() -> None:
    (problem,) = of_namespace(BOOK, {"gpuwarden.io/enfroce": "shared"})
    assert (problem.path, problem.value, problem.ignored) == ("metadata.labels[gpuwarden.io/enfroce]", "shared", True)
    assert problem.message == (
        'gpuwarden does not read this label, so it has no effect; did you mean "gpuwarden.io/enforce"?'
    )


def test_a_key_of_ours_that_is_like_none_of_the_labels_comes_with_all_of_them() -> None:
    (problem,) = ignored({"gpuwarden.io/policy": "shared"}, None)
    assert problem.message.endswith("; it reads gpuwarden.io/enforce, gpuwarden.io/warn, gpuwarden.io/audit")


@pytest.mark.parametrize("key", [ENFORCE, "gpuwarden.io/enfroce", "gpu-warden.io/enforce"])
def test_an_annotation_has_no_effect(key: str) -> None:
    (problem,) = of_namespace(BOOK, None, {key: "shared"})
    assert (problem.path, problem.ignored) == (f"metadata.annotations[{key}]", True)
    assert problem.message == (
        'gpuwarden reads labels, not annotations, so this annotation has no effect; set the label "gpuwarden.io/enforce"'
    )


def test_annotations_that_gpuwarden_writes_are_no_mistyped_labels() -> None:
    written = {"gpuwarden.io/original-request": "{}", "gpuwarden.io/policy": "shared"}
    assert list(misplaced(None, written, "Pod")) == []
    assert of_namespace(BOOK, None, written) == ()


def test_a_label_of_a_namespace_has_no_effect_on_anything_else() -> None:
    on_it, in_it = misplaced({ENFORCE: "shared"}, {"gpuwarden.io/wran": "mps"}, "Deployment", "spec.template.")
    assert (on_it.path, on_it.value) == ("spec.template.metadata.labels[gpuwarden.io/enforce]", "shared")
    assert (in_it.path, in_it.value) == ("spec.template.metadata.annotations[gpuwarden.io/wran]", "mps")
    assert on_it.ignored
    assert on_it.message == (
        'it has no effect on a Deployment; gpuwarden reads the label "gpuwarden.io/enforce" of namespaces; set it there'
    )


def test_everything_that_is_wrong_is_told_at_once() -> None:
    labels = {ENFORCE: "sharde", WARN: "mps", AUDIT: "x", "gpuwarden.io/enfroce": "mps"}
    paths = [problem.path for problem in of_namespace(BOOK, labels, {WARN: "mps"})]
    assert paths == [
        "metadata.labels[gpuwarden.io/enforce]",
        "metadata.labels[gpuwarden.io/audit]",
        "metadata.labels[gpuwarden.io/enfroce]",
        "metadata.annotations[gpuwarden.io/warn]",
    ]


def test_a_label_value_longer_than_kubernetes_keeps_is_kept_as_its_beginning_and_names_no_policy() -> None:
    labels = NamespaceLabels.of({ENFORCE: "x" * 1000, WARN: "x" * 63})

    assert labels == NamespaceLabels("x" * 63 + "…", "x" * 63)
    assert PolicyBook().select(labels).enforce.unreadable
