"""deploy/gpuwarden.yaml: what the chart renders, in an order that installs and uninstalls well."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from hack import tools
from hack.render_manifests import CHART, MANIFEST, NAMESPACE, render
from hack.tools import ROOT
from tests.deploy.chart import SUPPORTED, TOO_OLD, Chart, RefusedError, Rendered, is_hook
from webhook.application.diagnosis.api_server import OLDEST


def test_it_is_what_the_chart_renders(chart: Chart) -> None:
    assert MANIFEST.read_text() == render(chart.program), "run `make manifests`"


def test_the_check_of_the_script_says_so_too(chart: Chart) -> None:
    script = [sys.executable, "-m", "hack.render_manifests", "--check"]
    assert subprocess.run(script, cwd=ROOT, capture_output=True, check=False).returncode == 0


def test_the_script_says_what_it_lacks(tmp_path: Path) -> None:
    environment = {"GPUWARDEN_CACHE": str(tmp_path), "PATH": ""}
    script = [sys.executable, "-m", "hack.render_manifests"]
    done = subprocess.run(script, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "manifests: no helm: run `make tools`, or set GPUWARDEN_HELM\n"


def test_the_webhook_configurations_go_first_and_the_namespace_comes_before_what_is_in_it() -> None:
    kinds = [o["kind"] for o in Rendered.of(MANIFEST.read_text()).objects]
    assert kinds[:3] == ["ValidatingWebhookConfiguration", "MutatingWebhookConfiguration", "Namespace"]
    assert kinds.index("ServiceAccount") < kinds.index("Deployment")
    assert kinds.index("ResourceQuota") < kinds.index("Deployment")


def test_it_makes_its_namespace_which_holds_pods_to_the_restricted_standard() -> None:
    labels = Rendered.of(MANIFEST.read_text()).the("Namespace", NAMESPACE)["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


@pytest.mark.parametrize("kubernetes", SUPPORTED)
def test_it_is_the_same_for_every_kubernetes_that_is_supported(chart: Chart, kubernetes: str) -> None:
    everything = {"backstop": {"enabled": True}, "audit": {"report": {"enabled": True}}}
    assert chart.render(everything, kubernetes=kubernetes) == chart.render(everything)


@pytest.mark.parametrize("kubernetes", TOO_OLD)
def test_an_older_kubernetes_is_refused_by_name(chart: Chart, kubernetes: str) -> None:
    with pytest.raises(RefusedError, match=r"kubeVersion: >=1\.30\.0-0 .*incompatible with Kubernetes v?1\.2"):
        chart.render(kubernetes=kubernetes)


def test_doctor_and_the_chart_have_the_same_oldest_version() -> None:
    oldest = ".".join(map(str, OLDEST))
    assert yaml.safe_load((CHART / "Chart.yaml").read_text())["kubeVersion"] == f">={oldest}.0-0"
    assert f"# For Kubernetes {oldest} or newer" in MANIFEST.read_text()


def test_it_has_match_conditions_and_nothing_that_only_helm_understands() -> None:
    manifest = Rendered.of(MANIFEST.read_text())
    assert all("matchConditions" in webhook for webhook in manifest.webhooks.values())
    assert not [o for o in manifest.objects if is_hook(o)]
    assert all(o["metadata"]["labels"].get("app.kubernetes.io/managed-by") is None for o in manifest.objects)


def test_it_is_a_kustomize_base_whose_image_can_be_set(tmp_path: Path) -> None:
    kubectl = tools.find("kubectl", os.environ)
    overlay = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [os.path.relpath(MANIFEST.parent, tmp_path)],
        "images": [{"name": "gpuwarden/gpuwarden", "newName": "registry.example.com/gpuwarden", "newTag": "1"}],
    }
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(overlay))
    built = subprocess.run([kubectl, "kustomize", tmp_path], check=True, capture_output=True, text=True).stdout
    plain = Rendered.of(MANIFEST.read_text())
    set_image = Rendered.of(built)
    assert {(o["kind"], o["metadata"]["name"]) for o in set_image.objects} == {
        (o["kind"], o["metadata"]["name"]) for o in plain.objects
    }
    assert set_image.container["image"] == "registry.example.com/gpuwarden:1"
    assert {**set_image.container, "image": ""} == {**plain.container, "image": ""}
