"""The ways to certificates: which objects, options and rights each brings, and that it brings no other's."""

import pytest

from tests.deploy.chart import MODES, Chart, Json, Rendered, merged

OPTIONS = {
    "self-managed": {"--manage-certificates", "--ca-secret=gpuwarden-ca", "--service=gpuwarden"},
    "cert-manager": {
        "--tls-cert-file=/etc/gpuwarden/tls/tls.crt", "--tls-private-key-file=/etc/gpuwarden/tls/tls.key",
    },
    "provided": {
        "--tls-cert-file=/etc/gpuwarden/tls/tls.crt", "--tls-private-key-file=/etc/gpuwarden/tls/tls.key",
        "--ca-bundle-file=/etc/gpuwarden/tls/ca.crt",
    },
}  # fmt: skip


def test_each_way_has_its_own_options(in_each_mode: dict[str, Rendered], mode: str) -> None:
    arguments = set(in_each_mode[mode].arguments)
    assert arguments >= OPTIONS[mode]
    others = set.union(*OPTIONS.values()) - OPTIONS[mode]
    assert not arguments & others
    assert "--webhook-configuration=gpuwarden" in arguments  # readiness asks whether it trusts what is served


def test_cert_managers_objects_come_with_cert_manager_only(in_each_mode: dict[str, Rendered]) -> None:
    kinds = {mode: {o["kind"] for o in rendered.objects} for mode, rendered in in_each_mode.items()}
    assert kinds["cert-manager"] >= {"Issuer", "Certificate"}
    assert not (kinds["self-managed"] | kinds["provided"]) & {"Issuer", "Certificate"}
    # The CA's Secret is gpuwarden's own: made at run time, in this mode alone.
    assert kinds["self-managed"] >= {"Role", "RoleBinding"}
    assert not (kinds["cert-manager"] | kinds["provided"]) & {"Role", "RoleBinding"}


def test_without_an_issuer_the_chart_makes_a_ca_that_outlives_its_leaves(in_each_mode: dict[str, Rendered]) -> None:
    rendered = in_each_mode["cert-manager"]
    self_signed, by_ca = (rendered.the("Issuer", name) for name in ("gpuwarden-self-signed", "gpuwarden"))
    ca, leaf = (rendered.the("Certificate", name)["spec"] for name in ("gpuwarden-issuer", "gpuwarden"))
    assert self_signed["spec"] == {"selfSigned": {}}
    assert ca["issuerRef"]["name"] == self_signed["metadata"]["name"]
    assert by_ca["spec"]["ca"]["secretName"] == ca["secretName"]
    assert leaf["issuerRef"]["name"] == by_ca["metadata"]["name"]
    assert ca["isCA"] is True
    assert "isCA" not in leaf
    assert int(ca["duration"].removesuffix("h")) > 10 * int(leaf["duration"].removesuffix("h"))


@pytest.mark.parametrize("release", ["gpuwarden", "prod"])
def test_the_leaf_is_for_the_name_that_the_api_server_dials(chart: Chart, release: str) -> None:
    rendered = chart.render(MODES["cert-manager"], release=release)
    (service,) = {
        (w["clientConfig"]["service"]["name"], w["clientConfig"]["service"]["namespace"])
        for w in rendered.webhooks.values()
    }
    leaf = rendered.the("Certificate", service[0])["spec"]
    assert leaf["dnsNames"] == [f"{service[0]}.{service[1]}.svc"]
    (volume,) = (v for v in rendered.pod["volumes"] if v["name"] == "tls")
    assert volume["secret"]["secretName"] == leaf["secretName"]


def test_an_issuer_of_the_users_signs_instead(chart: Chart) -> None:
    issuer: Json = {"name": "our-ca", "kind": "ClusterIssuer", "group": "cert-manager.io"}
    values = merged(
        MODES["cert-manager"],
        {"certificates": {"certManager": {"issuerRef": issuer, "duration": "48h", "renewBefore": "16h"}}},
    )
    rendered = chart.render(values)
    assert rendered.all("Issuer") == []
    assert rendered.the("Certificate")["spec"]["issuerRef"] == issuer
    assert rendered.the("Certificate")["spec"]["duration"] == "48h"
