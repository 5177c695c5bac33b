"""What the pod may do on its node: the restricted Pod Security Standard, and what goes beyond it."""

import copy

import pytest

from tests.deploy.chart import MODES, Chart, Rendered, merged
from tests.deploy.pod_security import violations


def test_the_pod_keeps_the_restricted_pod_security_standard(in_each_mode: dict[str, Rendered], mode: str) -> None:
    assert violations(in_each_mode[mode].pod) == []


def test_so_does_the_audits_which_mounts_its_own_accounts_token(chart: Chart, mode: str) -> None:
    rendered = chart.render(merged(MODES[mode], {"audit": {"report": {"enabled": True}}}))
    pod = rendered.the("CronJob")["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    assert violations(pod) == []
    (container,) = pod["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert pod["automountServiceAccountToken"] is True
    account = rendered.the("ServiceAccount", pod["serviceAccountName"])
    assert account["automountServiceAccountToken"] is False
    assert pod["serviceAccountName"] != rendered.pod["serviceAccountName"]


@pytest.mark.parametrize(
    ("section", "field", "broken"),
    [
        ("pod", "runAsNonRoot", "runAsNonRoot"),
        ("pod", "seccompProfile", "seccompProfile"),
        ("container", "allowPrivilegeEscalation", "allowPrivilegeEscalation"),
        ("container", "capabilities", "capabilities"),
    ],
)
def test_and_would_not_without_any_of_its_settings(rendered: Rendered, section: str, field: str, broken: str) -> None:
    pod = copy.deepcopy(rendered.pod)
    context = (pod if section == "pod" else pod["containers"][0])["securityContext"]
    del context[field]
    assert violations(pod) == [broken]


def test_the_hosts_network_breaks_it_so_the_namespace_does_not_ask_for_it(chart: Chart) -> None:
    rendered = chart.render({"hostNetwork": True, "namespace": {"create": True}})
    assert violations(rendered.pod) == ["hostNetwork"]
    assert rendered.pod["dnsPolicy"] == "ClusterFirstWithHostNet"  # or the Service of DNS could not be reached
    assert "pod-security.kubernetes.io/enforce" not in rendered.the("Namespace")["metadata"]["labels"]


def test_nothing_can_be_written_and_the_user_has_a_number(rendered: Rendered) -> None:
    assert rendered.container["securityContext"]["readOnlyRootFilesystem"] is True
    assert rendered.pod["securityContext"]["runAsUser"] == 65532
    assert rendered.container["terminationMessagePolicy"] == "FallbackToLogsOnError"


def test_the_token_is_mounted_where_it_is_needed_only(rendered: Rendered) -> None:
    assert rendered.the("ServiceAccount")["automountServiceAccountToken"] is False
    assert rendered.pod["automountServiceAccountToken"] is True
    assert rendered.pod["serviceAccountName"] == rendered.the("ServiceAccount")["metadata"]["name"]


def test_the_key_of_a_mounted_secret_is_readable_for_the_pods_group_only(in_each_mode: dict[str, Rendered]) -> None:
    for mode, secret in (("cert-manager", "gpuwarden-tls"), ("provided", "our-tls")):
        (volume,) = (v for v in in_each_mode[mode].pod["volumes"] if v["name"] == "tls")
        assert volume["secret"] == {"secretName": secret, "defaultMode": 0o440}
        assert in_each_mode[mode].pod["securityContext"]["fsGroup"] == 65532
    assert [v["name"] for v in in_each_mode["self-managed"].pod["volumes"]] == ["config"]
