"""The ConfigMap: the file that gpuwarden reads, as it would read it."""

import json
from typing import Any

import pytest
from pydantic import BaseModel

from hack.render_manifests import CHART
from tests.deploy.chart import Chart, Json, Rendered
from webhook.adapters.configuration.file import parse
from webhook.adapters.configuration.model import ConfigurationFile, PolicySection, TolerationSection
from webhook.application.configuration import Configuration, Mode
from webhook.engine.other_gpus import GpuNames
from webhook.engine.policy import ClaimForm
from webhook.engine.spelling import DevicePlugin, MigStrategy

SCHEMA: Json = json.loads((CHART / "values.schema.json").read_text())

EVERY_FIELD: Json = {
    "forms": ["mps", "mig-1g.5gb"],
    "mismatch": "rewrite",
    "maxPerContainer": 2,
    "maxPerPod": 4,
    "nodeSelector": {"pool": "gpu"},
    "tolerations": [{"key": "gpu", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 31536000}],
    "runtimeClassName": "nvidia",
    "env": {"CUDA_MPS_ACTIVE_THREAD_PERCENTAGE": "25"},
    "visibleDevices": "deny",
    "adminAccess": True,
    "notOffered": "deny",
    "prefer": "offered",
}


EMPTY = "apiVersion: gpuwarden.io/v1\nkind: Configuration\n"


def parts(configuration: Configuration) -> list[Any]:
    """What a configuration consists of; a book of policies is not equal to another."""
    book = configuration.policies
    return [
        configuration.mode,
        configuration.plugin,
        configuration.exemptions,
        configuration.names,
        configuration.device_classes,
        configuration.expected,
        book.configured,
        book.defaults,
    ]


def test_the_charts_defaults_are_gpuwardens(rendered: Rendered) -> None:
    assert parts(parse(rendered.configuration_file)) == parts(parse(EMPTY))


def test_forms_may_be_claims(chart: Chart) -> None:
    forms = ["mig-1g.5gb", {"claimTemplate": "one", "deviceClass": "gpu.nvidia.com"}]
    rendered = chart.render({"backstop": {"enabled": True}, "config": {"policies": {"team": {"forms": forms}}}})
    assert parse(rendered.configuration_file).policies.configured["team"].claim_forms == (
        ClaimForm("one", "gpu.nvidia.com"),
    )


def test_audit_mode_is_the_files_mode(chart: Chart) -> None:
    audit = chart.render({"install": {"mode": "audit"}}).configuration_file
    assert parts(parse(audit)) == parts(parse(f"{EMPTY}mode: audit\n"))
    assert parse(audit).mode is Mode.AUDIT


def test_every_field_of_a_policy_arrives_as_it_was_written(chart: Chart) -> None:
    values = {
        "config": {
            "devicePlugin": {"renameByDefault": False, "migStrategy": "single", "products": ["NVIDIA-A100-SXM4-40GB"]},
            "gke": {"autopilot": True},
            "defaults": {"enforce": "team"},
            "policies": {"team": EVERY_FIELD},
            "exemptions": {"schedulers": []},
            "resources": {"gpus": ["amd.com/gpu"]},
            "claims": {"deviceClasses": {"gpu.nvidia.com": "time-slicing", "slices.example.com": "mig"}},
        }
    }
    configuration = parse(chart.render(values).configuration_file)
    expected = PolicySection.model_validate(EVERY_FIELD).policy("team")
    assert configuration.policies.configured["team"] == expected
    assert configuration.policies.defaults.enforce == "team"
    assert configuration.plugin == DevicePlugin(
        rename_by_default=False,
        mig_strategy=MigStrategy.SINGLE,
        products=("NVIDIA-A100-SXM4-40GB",),
        gke_autopilot=True,
    )
    assert configuration.exemptions.schedulers == frozenset()
    assert configuration.names == GpuNames(gpus=("amd.com/gpu",))
    assert configuration.device_classes == {"gpu.nvidia.com": "time-slicing", "slices.example.com": "mig"}
    assert configuration.exemptions.namespaces == Configuration().exemptions.namespaces


def fields(model: type[BaseModel]) -> set[str]:
    return {field.alias or name for name, field in model.model_fields.items()}


def properties(schema: Json) -> set[str]:
    return set(schema["properties"])


def test_the_schema_of_the_values_has_the_files_fields() -> None:
    config = SCHEMA["properties"]["config"]
    assert properties(config) == fields(ConfigurationFile) - {"apiVersion", "kind", "mode"}
    for name in ("devicePlugin", "gke", "defaults", "exemptions", "resources", "claims"):
        section: Any = next(f.annotation for n, f in ConfigurationFile.model_fields.items() if (f.alias or n) == name)
        assert properties(config["properties"][name]) == fields(section)
    assert properties(SCHEMA["definitions"]["policy"]) == fields(PolicySection)
    assert properties(SCHEMA["definitions"]["toleration"]) == fields(TolerationSection)
    assert set(EVERY_FIELD) == fields(PolicySection)


def test_a_change_of_the_configuration_restarts_nothing(chart: Chart, rendered: Rendered) -> None:
    changed = chart.render({"config": {"policies": {"team": EVERY_FIELD}}})
    assert changed.the("ConfigMap") != rendered.the("ConfigMap")
    assert changed.the("Deployment") == rendered.the("Deployment")


@pytest.mark.parametrize("mode", ["audit", "enforce"])
def test_nor_does_a_change_of_the_mode(chart: Chart, rendered: Rendered, mode: str) -> None:
    assert chart.render({"install": {"mode": mode}}).the("Deployment") == rendered.the("Deployment")
