"""What differs between distributions and clouds: OpenShift's ids, AKS's enforcer, the host's network, address families."""

import pytest

from tests.deploy.argo import OPENSHIFT
from tests.deploy.chart import Chart, Json, RefusedError, Rendered
from tests.deploy.pod_security import violations

ON_OPENSHIFT = tuple(word for version in OPENSHIFT for word in ("--api-versions", version))
REPORTS: Json = {"audit": {"report": {"enabled": True}}}
IDS = {"runAsUser", "runAsGroup", "fsGroup"}


def pods(rendered: Rendered) -> list[Json]:
    """The specs of every pod that the chart makes."""
    return [rendered.pod, *(j["spec"]["jobTemplate"]["spec"]["template"]["spec"] for j in rendered.all("CronJob"))]


class TestSecurityContext:
    def test_the_ids_are_fixed(self, chart: Chart) -> None:
        for pod in pods(chart.render(REPORTS)):
            assert {name: pod["securityContext"][name] for name in IDS} == dict.fromkeys(IDS, 65532)

    def test_openshift_chooses_them_and_the_rest_stays(self, chart: Chart) -> None:
        """Its restricted-v2 refuses every id that is not of the namespace's range."""
        rendered = chart.render(REPORTS, more=ON_OPENSHIFT)
        for pod, elsewhere in zip(pods(rendered), pods(chart.render(REPORTS)), strict=True):
            kept = {name: value for name, value in elsewhere["securityContext"].items() if name not in IDS}
            assert pod["securityContext"] == kept
            assert violations(pod) == []

    def test_an_id_of_the_users_is_kept_there(self, chart: Chart) -> None:
        rendered = chart.render({"podSecurityContext": {"runAsUser": 1000650000}}, more=ON_OPENSHIFT)
        assert rendered.pod["securityContext"]["runAsUser"] == 1000650000
        assert "fsGroup" not in rendered.pod["securityContext"]

    def test_each_field_can_be_set_and_left_out(self, chart: Chart) -> None:
        values: Json = {
            **REPORTS,
            "podSecurityContext": {"runAsUser": 1000, "fsGroup": None, "supplementalGroups": [7]},
            "containerSecurityContext": {"seLinuxOptions": {"level": "s0"}},
        }
        for pod in pods(chart.render(values)):
            assert pod["securityContext"]["runAsUser"] == 1000
            assert pod["securityContext"]["supplementalGroups"] == [7]
            assert "fsGroup" not in pod["securityContext"]
            (container,) = pod["containers"]
            assert container["securityContext"]["seLinuxOptions"] == {"level": "s0"}
            assert container["securityContext"]["readOnlyRootFilesystem"] is True


class TestHostNetwork:
    def test_an_update_stops_a_replica_before_it_starts_the_next(self, chart: Chart, rendered: Rendered) -> None:
        """Its ports may be taken on every node: a surge would wait for ever."""
        for values, surge, unavailable in (({"hostNetwork": True}, 0, 1), ({}, 1, 0)):
            update = chart.render(values).the("Deployment")["spec"]["strategy"]["rollingUpdate"]
            assert update == {"maxSurge": surge, "maxUnavailable": unavailable}
        assert "hostNetwork" not in rendered.pod

    @pytest.mark.parametrize(("ports", "owner"), [
        ({"webhook": 10250}, "kubelet"), ({"ops": 10250}, "kubelet"), ({"ops": 10249}, "kube-proxy"),
        ({"webhook": 6443}, "kube-apiserver"),
    ])  # fmt: skip
    def test_a_port_of_the_nodes_own_is_refused(self, chart: Chart, ports: Json, owner: str) -> None:
        with pytest.raises(RefusedError, match=f"is the {owner}'s port"):
            chart.render({"hostNetwork": True, "ports": ports})
        chart.render({"ports": ports})  # in a network of the pod's own it is free

    def test_free_ports_are_taken(self, chart: Chart) -> None:
        rendered = chart.render({"hostNetwork": True, "ports": {"webhook": 18443, "ops": 18080}})
        assert [port["containerPort"] for port in rendered.container["ports"]] == [18443, 18080]


@pytest.mark.parametrize("host_network", [False, True])
def test_one_port_for_two_is_refused(chart: Chart, *, host_network: bool) -> None:
    with pytest.raises(RefusedError, match=r"ports\.webhook, ports\.ops: both are 8080"):
        chart.render({"hostNetwork": host_network, "ports": {"webhook": 8080}})


class TestEnforcerOfAks:
    KINDS = ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")

    def test_it_leaves_the_webhook_configurations_alone(self, rendered: Rendered) -> None:
        for kind in self.KINDS:
            assert rendered.the(kind)["metadata"]["annotations"]["admissions.enforcer/disabled"] == "true"

    def test_annotations_and_labels_can_be_added_to_both(self, chart: Chart) -> None:
        more = {"example.com/a": "b"}
        rendered = chart.render({"webhooks": {"annotations": more, "labels": more}})
        for kind in self.KINDS:
            metadata = rendered.the(kind)["metadata"]
            assert more.items() <= metadata["annotations"].items()
            assert more.items() <= metadata["labels"].items()
        others = [o for o in rendered.objects if o["kind"] not in self.KINDS]
        assert not [o for o in others if "example.com/a" in o["metadata"]["labels"]]


def test_a_service_has_the_families_that_are_asked_for(chart: Chart, rendered: Rendered) -> None:
    families: Json = {"ipFamilyPolicy": "PreferDualStack", "ipFamilies": ["IPv6", "IPv4"]}
    spec = chart.render({"service": families}).the("Service")["spec"]
    assert {name: spec[name] for name in families} == families
    assert not {"ipFamilyPolicy", "ipFamilies"} & set(rendered.the("Service")["spec"])


def test_no_variable_is_named_twice(chart: Chart) -> None:
    """Server-side apply, which Helm 4 uses, refuses it."""
    mine = [{"name": "GPUWARDEN_POD_NAMESPACE", "value": "elsewhere"}, {"name": "A", "value": "b"}]
    environment = chart.render({"extraEnv": mine}).container["env"]
    assert [variable["name"] for variable in environment] == ["A", "GPUWARDEN_POD_NAMESPACE"]
    assert "valueFrom" in environment[1]
