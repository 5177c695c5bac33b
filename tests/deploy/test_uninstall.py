"""Uninstalling, as far as it can be read: what the hooks remove, and that they touch nothing otherwise.

tests/deploy/test_on_a_cluster.py lets Helm run them.
"""

from tests.deploy.chart import A_CLUSTER, MODES, Chart, Json, Rendered

KINDS = ("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration")
DELETES = {"before-hook-creation", "hook-succeeded"}  # what is there before, and what it made itself


def hook(document: Json) -> tuple[str, set[str]]:
    annotations = document["metadata"]["annotations"]
    return annotations["helm.sh/hook"], set(annotations["helm.sh/hook-delete-policy"].split(","))


def test_the_webhook_configurations_are_removed_first_the_validating_one_before_the_other(chart: Chart) -> None:
    rendered = chart.render(more=A_CLUSTER)
    weights = []
    assert rendered.the(KINDS[0])["metadata"]["name"] != rendered.the(KINDS[1])["metadata"]["name"]
    for kind in KINDS:
        (document,) = rendered.all(kind, hooks=True)
        assert hook(document) == ("pre-delete", DELETES)
        assert document["metadata"]["name"] == rendered.the(kind)["metadata"]["name"]
        assert document["webhooks"] == []  # for the moment that it exists, it asks about nothing
        weights.append(int(document["metadata"]["annotations"]["helm.sh/hook-weight"]))
    assert weights == sorted(set(weights))


def test_the_secrets_that_are_made_at_run_time_are_removed_last(chart: Chart) -> None:
    made = {
        "self-managed": {"gpuwarden-ca"},
        "cert-manager": {"gpuwarden-tls", "gpuwarden-issuer"},
        "provided": set[str](),
    }
    for mode, names in made.items():
        secrets = chart.render(MODES[mode], more=A_CLUSTER).all("Secret", hooks=True)
        assert {document["metadata"]["name"] for document in secrets} == names
        assert all(hook(document) == ("post-delete", DELETES) for document in secrets)
        assert not [document for document in secrets if {"data", "stringData"} & set(document)]


def test_they_are_the_secrets_of_the_command_line_and_of_the_certificates(in_each_mode: dict[str, Rendered]) -> None:
    assert "--ca-secret=gpuwarden-ca" in in_each_mode["self-managed"].arguments
    issued = {c["spec"]["secretName"] for c in in_each_mode["cert-manager"].all("Certificate")}
    assert issued == {"gpuwarden-tls", "gpuwarden-issuer"}


def test_a_secret_of_the_users_is_never_removed_whatever_its_name(chart: Chart) -> None:
    for name in ("gpuwarden-tls", "gpuwarden-ca"):
        values = {"certificates": {"mode": "provided", "provided": {"secretName": name}}}
        assert chart.render(values, more=A_CLUSTER).all("Secret", hooks=True) == []


def test_without_a_cluster_no_hook_is_printed(in_each_mode: dict[str, Rendered], mode: str) -> None:
    """`helm template | kubectl apply` would replace the real configurations by the empty ones."""
    assert not [o for o in in_each_mode[mode].objects if "helm.sh/hook" in str(o["metadata"].get("annotations"))]
