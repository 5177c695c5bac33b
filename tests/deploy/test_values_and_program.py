"""The schema of the values against the program that reads them: what one takes, the other takes.

A value that the schema lets through and the program does not is a replica that crashes, or a configuration that is never used.
"""

import json
import re
import shutil
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator
from kubernetes.utils.quantity import parse_quantity

from hack.chart_tables import TEMPLATE, policy_value, text
from hack.render_manifests import CHART
from tests.deploy.chart import Chart, Json, RefusedError
from webhook.adapters.configuration.file import ConfigurationError, parse
from webhook.adapters.logs import LogFormat, LogLevel
from webhook.application.assumptions import EvaluatedLabel
from webhook.application.configuration import Mode
from webhook.engine.forms import MAXIMUM_CLIENTS, MINIMUM_CLIENTS
from webhook.engine.mig_profiles import DOCUMENTED, PROFILE
from webhook.engine.policy import FindingAction, Mismatch, Prefer, built_in


def with_text_checks(schema: Any) -> Any:
    """The schema with what templates/_syntax.tpl checks of texts (hack/chart_tables.py) in the validator's own words."""
    if isinstance(schema, list):
        return [with_text_checks(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    checked = {key: with_text_checks(part) for key, part in schema.items() if key != "x-checks"}
    if "x-checks" in schema:
        checked["allOf"] = [
            {"if": {"pattern": check.get("of", "")}, "then": {"pattern": check["pattern"]}}
            for check in schema["x-checks"]
        ]
    return checked


# Helm's validator is Go's, where $ is the end; to Python's it is also the place before a line's end.
SCHEMA: Json = with_text_checks(json.loads((CHART / "values.schema.json").read_text().replace('$"', r'\\Z"')))


def at(*path: str) -> Json:
    """The part of the schema for a value; of "items" where the path says so."""
    found = SCHEMA
    for step in path:
        found = found["items"] if step == "items" else found["properties"][step]
    return found


def takes(schema: Json, value: object) -> bool:
    return _validator(json.dumps(schema)).is_valid(value)


@cache
def _validator(schema: str) -> Draft7Validator:
    return Draft7Validator({**json.loads(schema), "definitions": SCHEMA["definitions"]})


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        (at("install", "mode"), Mode),
        (at("log", "level"), LogLevel),
        (at("log", "format"), LogFormat),
        (at("audit", "report", "mode"), EvaluatedLabel),
        (SCHEMA["definitions"]["policy"]["properties"]["mismatch"], Mismatch),
        (SCHEMA["definitions"]["policy"]["properties"]["visibleDevices"], FindingAction),
        (SCHEMA["definitions"]["policy"]["properties"]["notOffered"], FindingAction),
        (SCHEMA["definitions"]["policy"]["properties"]["prefer"], Prefer),
    ],
    ids=[
        "install.mode",
        "log.level",
        "log.format",
        "audit.report.mode",
        "mismatch",
        "visibleDevices",
        "notOffered",
        "prefer",
    ],
)
def test_the_words_are_the_programs(schema: Json, words: type[StrEnum]) -> None:
    assert set(schema["enum"]) == {word.value for word in words}


def test_and_so_are_those_that_may_be_empty() -> None:
    assert set(at("config", "visibleDevices")["enum"]) == {None, *(word.value for word in FindingAction)}
    assert set(at("config", "notOffered")["enum"]) == {None, *(word.value for word in FindingAction)}


# Values of policies: from the grammar, and broken in the ways in which people break them.
PROFILES = st.sampled_from(DOCUMENTED) | st.from_regex(PROFILE, fullmatch=True)
CLIENTS = st.integers(0, 100).map(str) | st.sampled_from(["", "02", "4.0", "-4", " 4", "٤"])
WORDS = ["gke", "mig", "mps", "shared", "exclusive", "time-slicing", "time-sharing", "any", "none", "sharde", "mpss"]
PARTS = st.one_of(st.sampled_from(WORDS), PROFILES, CLIENTS)
SHARED_BY = st.sampled_from(["mps", "time-sharing"])
WELL_FORMED = st.one_of(
    st.sampled_from(["any", "none", "exclusive", "shared", "time-slicing", "mps", "gke-exclusive"]),
    st.builds("mig-{}{}".format, PROFILES, st.sampled_from(["", "-shared"])),
    st.builds("gke-mig-{}".format, PROFILES),
    st.builds("gke{}-{}-{}".format, st.just("") | PROFILES.map("-mig-{}".format), SHARED_BY, CLIENTS),
)
POLICY_VALUES = st.one_of(
    WELL_FORMED,
    st.lists(PARTS, min_size=1, max_size=4).map("-".join),
    st.builds("{}{}".format, WELL_FORMED, st.text(max_size=2)),
    WELL_FORMED.map(str.upper),
)


@settings(max_examples=500, deadline=None)
@given(POLICY_VALUES)
def test_a_form_is_one_to_both(value: str) -> None:
    assert bool(re.fullmatch(policy_value(), value)) is (built_in(value) is not None)


def test_every_client_count_is_one_to_both() -> None:
    for clients in range(130):
        for value in (f"gke-mps-{clients}", f"gke-mig-1g.5gb-time-sharing-{clients}"):
            assert bool(re.fullmatch(policy_value(), value)) is (MINIMUM_CLIENTS <= clients <= MAXIMUM_CLIENTS)


# Parts of a configuration: each as the program takes it, or not.
NAMES = st.sampled_from(
    ["team", "Team-a", "mps", "-team", "a" * 63, "a" * 64, "a b", "a.b_c", "gke-mps-4", "gke-mps-99", ""]
)
KEYS = st.sampled_from(["pool", "example.com/pool", "Example.com/pool", "a/b/c", "-a", "a" * 64, "", "nvidia.com/gpu"])
LABEL_VALUES = st.sampled_from(["", "a", "-a", "a" * 63, "a" * 64, "A_b", "a/b"])
TOLERATIONS = st.fixed_dictionaries(
    {},
    optional={
        "key": KEYS,
        "operator": st.sampled_from(["Exists", "Equal", "exists"]),
        "value": st.sampled_from(["", "x"]),
        "effect": st.sampled_from(["NoSchedule", "NoExecute", "PreferNoSchedule", "Never"]),
        "tolerationSeconds": st.integers(-1, 3),
    },
)
POLICIES = st.fixed_dictionaries(
    {"forms": st.lists(POLICY_VALUES, max_size=3) | st.lists(st.sampled_from(["mps", "gke-time-sharing-4"]), max_size=2)},
    optional={
        "mismatch": st.sampled_from(["reject", "rewrite", "deny"]),
        "maxPerContainer": st.integers(-1, 3),
        "maxPerPod": st.integers(-1, 3),
        "nodeSelector": st.dictionaries(KEYS, LABEL_VALUES, max_size=2),
        "tolerations": st.lists(TOLERATIONS, max_size=2),
        "runtimeClassName": st.sampled_from(["nvidia", "Nvidia", "", "a" * 253, "a" * 254, "a..b"]),
        "env": st.dictionaries(st.sampled_from(["A", "a.b", "A=B", "", "é", "A B"]), st.text("ab", max_size=2), max_size=2),
        "visibleDevices": st.sampled_from(["ignore", "warn", "deny", "Deny"]),
        "notOffered": st.sampled_from(["ignore", "warn", "deny", "Deny"]),
        "prefer": st.sampled_from(["first", "offered", "memory", "last"]),
        "shared": st.just(1),
    },
)  # fmt: skip
EXEMPT = (
    "a",
    "b",
    "",
    "Foo_",
    "kube-*",
    " a",
    "a.b",
    "system:serviceaccount:a:b.c",
    "system:serviceaccount:a",
    "x" * 64,
)
LISTS = st.lists(st.sampled_from(EXEMPT), max_size=2)
FIELD_PATHS = st.sampled_from(
    [
        "spec.x",
        "spec.w[*].spec",
        "spec.jobs{*}",
        "spec..x",
        "spec[0]",
        "[*]",
        "",
        "x.1",
        "a.b.c.d.e.f.g.h.i.j.k.l",
        "a{*}" * 7,
    ]
)
KINDS = st.fixed_dictionaries(
    {
        "group": st.sampled_from(["example.com", "apps", "", "Example.com", "a.b", f"{'a' * 252}.b"]),
        "versions": st.lists(st.sampled_from(["v1", "v1beta1", "V1", ""]), max_size=2),
        "kind": st.sampled_from(["Training", "training", "Train-ing", ""]),
        "plural": st.sampled_from(["trainings", "Trainings", ""]),
    },
    optional={
        "templates": st.lists(st.fixed_dictionaries({"path": FIELD_PATHS}), max_size=2),
        "resources": st.lists(FIELD_PATHS, max_size=2),
        "suspend": FIELD_PATHS,
        "passive": st.sampled_from([True, "yes"]),
        "note": st.just("x"),
        "replicas": st.just(1),
    },
)
CONFIGURATIONS = st.fixed_dictionaries(
    {},
    optional={
        "visibleDevices": st.sampled_from([None, "ignore", "warn", "deny", "always"]),
        "notOffered": st.sampled_from([None, "ignore", "warn", "deny", "always"]),
        "devicePlugin": st.fixed_dictionaries({}, optional={"renameByDefault": st.sampled_from([True, False, "true"])}),
        "defaults": st.dictionaries(st.sampled_from(["enforce", "warn", "audit", "advise"]), POLICY_VALUES | NAMES, max_size=2),
        "policies": st.dictionaries(NAMES, POLICIES, max_size=2),
        "workloadKinds": st.lists(KINDS, max_size=1),
        "exemptions": st.dictionaries(
            st.sampled_from(["namespaces", "usernames", "runtimeClasses", "schedulers", "pods"]), LISTS, max_size=2
        ),
    },
)  # fmt: skip


def program_takes(configuration: Json) -> bool:
    text = yaml.safe_dump({"apiVersion": "gpuwarden.io/v1", "kind": "Configuration", **configuration})
    try:
        parse(text)
    except ConfigurationError:
        return False
    return True


def chart_takes(chart: Chart, configuration: Json) -> bool:
    """Whether the schema takes it (asked here first, as it is quicker), and then helm, with templates/_checks.tpl."""
    if not takes(at("config"), configuration):
        return False
    try:
        chart.render({"config": configuration}, more=("--show-only", "templates/configmap.yaml"))
    except RefusedError:
        return False
    return True


def _single(*products: str) -> Json:
    return {"devicePlugin": {"migStrategy": "single", "products": [*products]}}


def _of_product(product: str, *forms: str) -> Json:
    return {"policies": {"t": {"forms": [*forms], "nodeSelector": {"nvidia.com/gpu.product": product}}}}


_KIND = {
    "group": "example.com",
    "versions": ["v1"],
    "kind": "Training",
    "plural": "trainings",
    "templates": [{"path": "spec.a[*].spec", "replicas": ["spec.replicas", "spec.a[*].replicas"]}],
}
GKE = "cloud.google.com/gke-"
SHARING, MIXED_SHARING = "nvidia.com/gpu.sharing-strategy", "nvidia.com/mig-1g.5gb.sharing-strategy"
MIXED: Json = {}
CONTRADICTED: list[tuple[Json, list[str], str, str]] = [
    (MIXED, ["mps"], SHARING, "time-slicing"),
    (MIXED, ["mps"], "nvidia.com/mps.capable", "false"),
    (MIXED, ["shared", "time-slicing"], "nvidia.com/mps.capable", "true"),
    (MIXED, ["mig-1g.5gb"], "nvidia.com/mps.capable", "true"),
    (MIXED, ["mps"], "nvidia.com/gpu.replicas", "1"),
    (MIXED, ["mig-1g.5gb-shared"], "nvidia.com/mig-1g.5gb.replicas", "0"),
    (_single(), ["mig-1g.5gb-shared"], "nvidia.com/gpu.replicas", "1"),
    (MIXED, ["exclusive"], "nvidia.com/mig.config", "all-7g.80gb"),
    (MIXED, ["mps"], "nvidia.com/mig.config", "all-balanced"),
    (MIXED, ["mig-1g.5gb"], "nvidia.com/mig.config", "all-disabled"),
    (MIXED, ["mig-1g.5gb", "mig-1g.5gb.me"], "nvidia.com/mig.config", "all-1g.5gb"),
    (_single(), ["mig-1g.5gb"], "nvidia.com/mig.config", "all-balanced"),
    (MIXED, ["shared", "exclusive"], SHARING, "mps"),
    (MIXED, ["mig-1g.5gb-shared"], MIXED_SHARING, "mps"),
    (MIXED, ["exclusive"], "nvidia.com/gpu.slices.gi", "1"),
    (MIXED, ["mig-1g.5gb"], "nvidia.com/gpu.slices.ci", "1"),
    (_single(), ["exclusive"], "nvidia.com/gpu.slices.ci", "1"),
    (MIXED, ["mig-1g.5gb"], "nvidia.com/mig.strategy", "single"),
    (MIXED, ["mig-1g.5gb"], "nvidia.com/mig.capable", "false"),
    (MIXED, ["exclusive"], f"{GKE}gpu-partition-size", "1g.5gb"),
    (MIXED, ["gke-mig-1g.5gb"], f"{GKE}gpu-partition-size", "2g.10gb"),
    (MIXED, ["gke-mig-1g.5gb"], f"{GKE}gpu-sharing-strategy", "mps"),
    (MIXED, ["gke-time-sharing-4"], f"{GKE}max-shared-clients-per-gpu", "8"),
    (MIXED, ["gke-exclusive"], SHARING, "none"),
    (_single(), ["mig-1g.5gb"], "nvidia.com/gpu.slices.gi", "2"),
    (_single("A"), ["mig-1g.5gb"], "nvidia.com/gpu.slices.ci", "2"),
    (_single(), ["mig-1g.5gb-shared"], SHARING, "none"),
    (_single(), ["mig-1g.5gb"], "nvidia.com/mig.strategy", "mixed"),
    (_single(), ["mig-1g.5gb"], "nvidia.com/mig-1g.5gb.count", "7"),
]


def test_the_charts_tables_are_what_the_schema_and_the_engine_say() -> None:
    assert TEMPLATE.read_text() == text(), "run `make manifests`"


def test_a_new_mig_suffix_is_one_change_of_the_tables(chart: Chart, tmp_path: Path) -> None:
    """The program's pattern reaches the chart in _tables.tpl alone: with a suffix there, all templates know the suffix."""
    folder = shutil.copytree(CHART, tmp_path / "chart")
    tables = folder / "templates/_tables.tpl"
    tables.write_text(tables.read_text().replace("-me)", r"-me|\.new)"))
    newer = Chart(chart.program, tmp_path, folder)
    form, resource = "mig-1g.5gb.new", "nvidia.com/mig-1g.5gb.new"
    product = {**_single("A"), **_of_product("A-MIG-1g.5gb.new", form)}
    on_gke = {"policies": {"t": {"forms": [f"gke-{form}"], "nodeSelector": {f"{GKE}gpu-partition-size": "1g.5gb.new"}}}}
    for config in ({"policies": {"t": {"forms": [form, f"gke-{form}"], "prefer": "memory"}}}, product, on_gke):
        assert newer.render({"config": config}).objects
        with pytest.raises(RefusedError, match="is not a form"):
            chart.render({"config": config})
    for config, said in (
        ({"resources": {"gpus": [resource]}}, "is a form"),
        ({**_single(), "policies": {"t": {"forms": [form]}}}, r"needs config\.devicePlugin\.products"),
    ):
        with pytest.raises(RefusedError, match=said):
            newer.render({"config": config})


@settings(max_examples=200, deadline=None)
@given(CONFIGURATIONS)
def test_a_configuration_is_one_to_both(chart: Chart, configuration: Json) -> None:
    assert chart_takes(chart, configuration) is program_takes(configuration), configuration


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"defaults": {"enforce": "sharde"}}, r'config\.defaults\.enforce: "sharde" is not a policy'),
        ({"defaults": {"audit": "a b"}}, r'config\.defaults\.audit: "a b" is not a policy'),
        (
            {"policies": {"t": {"forms": ["mpss"]}}},
            r'config\.policies\.t\.forms\[0\]: "mpss" is not a form; write one from',
        ),
        (
            {"policies": {"t": {"forms": ["gke-mps-49"]}}},
            r'config\.policies\.t\.forms\[0\]: "gke-mps-49" is not a form',
        ),
        ({"policies": {"t": {"forms": ["mps", "mps"]}}}, "config/policies/t/forms"),
        (
            {"policies": {"t": {"forms": ["mig-1g.5gb", "mig-1g.5gb-shared"], "prefer": "memory"}}},
            r"config\.policies\.t\.prefer: memory selects MIG slices by their memory, and forms\[1\] is not one; list only forms",
        ),
        (
            {"policies": {"t": {"forms": ["mig-1g.5gb", "gke-mig-1g.23gb"], "prefer": "memory"}}},
            r'config\.policies\.t\.prefer: memory can\'t select "gke-mig-1g\.23gb", because its memory is not measured',
        ),
        (
            {"policies": {"t": {"forms": ["mps", "any"]}}},
            r'config\.policies\.t\.forms\[1\]: "any" can\'t be combined with other forms; remove it, or the others',
        ),
        (
            {
                "policies": {
                    "t": {"forms": ["gke-mig-1g.5gb.me-time-sharing-4", "gke-time-sharing-2"], "maxPerContainer": 2}
                }
            },
            r"config\.policies\.t\.maxPerContainer: GKE denies more than 1 GPU per container for time-sharing, and it is 2",
        ),
        *(
            (
                {"policies": {"t": {"forms": ["any"], "nodeSelector": {key: value}}}},
                rf'config\.policies\.t\.nodeSelector.{key}.: "{value}" selects nodes that share GPUs',
            )
            for key, value in (
                (SHARING, "mps"),
                (f"{GKE}gpu-sharing-strategy", "time-sharing"),
                (f"{GKE}max-shared-clients-per-gpu", "4"),
                ("nvidia.com/gpu.product", "A-SHARED"),
            )
        ),
        (
            {"policies": {"mps": {"forms": ["shared"]}}},
            r'config\.policies\.mps: "mps" is a built-in value; choose another',
        ),
        (
            {"workloadKinds": [_KIND, {**_KIND, "plural": "others"}]},
            r'config\.workloadKinds\[1\]\.kind: "Training" of example\.com is also that of config\.workloadKinds\[0\]; remove',
        ),
        (
            {"workloadKinds": [_KIND, {**_KIND, "kind": "Other"}]},
            r'config\.workloadKinds\[1\]\.plural: "trainings" of example\.com is also that of config\.workloadKinds\[0\]; remove',
        ),
        (
            {
                "workloadKinds": [
                    {**_KIND, "templates": [{"path": "spec.a[*].spec", "replicas": ["spec.b[*].replicas"]}]}
                ]
            },
            r'config\.workloadKinds\[0\]\.templates\[0\]\.replicas\[0\]: "spec\.b\[\*\]\.replicas" does not count the pods of',
        ),
        (
            {"devicePlugin": {"products": ["A100"]}},
            r"config\.devicePlugin\.products: used with migStrategy: single only",
        ),
        (_single("A-SHARED"), r'config\.devicePlugin\.products\[0\]: "A-SHARED" names one form'),
        (
            _single("A", "A-MIG-1g.24gb.me.all"),
            r'config\.devicePlugin\.products\[1\]: "A-MIG-1g\.24gb\.me\.all" names one form',
        ),
        (
            {**_single(), "policies": {"t": {"forms": ["mps", "mig-1g.5gb.me"]}}},
            r'config\.policies\.t\.forms\[1\]: "mig-1g\.5gb\.me" needs config\.devicePlugin\.products',
        ),
        (
            {**_single(), "defaults": {"audit": "mig-1g.5gb-me-shared"}},
            r"config\.defaults\.audit: .* needs config\.devicePlugin",
        ),
        (_single("A-mig-1g.5gb"), r'config\.devicePlugin\.products\[0\]: "A-mig-1g\.5gb" names one form'),
        (_single("A-MIG-INVALID"), r'config\.devicePlugin\.products\[0\]: "A-MIG-INVALID" names one form'),
        (_single("x" * 53), r'config\.devicePlugin\.products\[0\]: "x+" is not a GPU model; write one'),
        *(
            ({**_single(*products), **_of_product(product, *forms)}, rf"config\.policies\.t\.nodeSelector.*{said}")
            for products, product, forms, said in (
                ((), "T4", ["mig-1g.5gb"], r"config\.devicePlugin\.products does not list T4"),
                (("A",), "T4-MIG-1g.5gb", ["mig-1g.5gb"], r"products does not list T4"),
                (("A",), "A-MIG-1g.5gb", ["mig-1g.5gb", "exclusive"], "the label of nodes with another form"),
                (("A",), "A-MIG-1g.5gb", ["mig-2g.10gb-shared"], "the label of nodes with another form"),
                (("A",), "A-SHARED", ["gke-exclusive"], "the label of nodes with another form"),
                (("A",), "Tesla-T4", ["mig-1g.5gb"], r"Tesla-T4 has no MIG profile 1g\.5gb \(it has none\)"),
                (("A",), "A-MIG-INVALID", ["exclusive"], "offer no GPU"),
                (("A",), "A-MIG-1c.2g.10gb", ["exclusive"], "write the model alone"),
                (("A",), "A-mig-1g.5gb", ["mig-1g.5gb"], "write the model alone"),
                (("A", "x" * 52), "x" * 52, ["mig-1g.5gb", "mig-1g.24gb"], "at most 63 characters"),
            )
        ),
        (
            {"devicePlugin": {"renameByDefault": False}, **_of_product("x" * 57, "exclusive", "shared")},
            r"config\.policies\.t\.nodeSelector.*at most 63 characters",
        ),
        (
            {"devicePlugin": {"renameByDefault": False}, **_of_product("A-SHARED", "shared", "exclusive")},
            "the label of nodes with another form",
        ),
        (
            _of_product("NVIDIA-A30", "mig-1g.5gb"),
            r"NVIDIA-A30 has no MIG profile 1g\.5gb \(it has 1g\.6gb 2g\.12gb 4g\.24gb\)",
        ),
        (
            {**_single("NVIDIA-A30", "H100-PCIe"), "policies": {"t": {"forms": ["mig-1g.6gb", "mig-1g.5gb"]}}},
            r'config\.policies\.t\.forms\[1\]: "mig-1g\.5gb" has no nodes',
        ),
        ({**_single("NVIDIA-A30"), "defaults": {"warn": "mig-1g.5gb.me"}}, r"config\.defaults\.warn: .* has no nodes"),
        *(
            (
                {**plugin, "policies": {"t": {"forms": [*forms], "nodeSelector": {key: value}}}},
                rf'config\.policies\.t\.nodeSelector.{key}.: "{value}" is not on nodes with form "{forms[-1]}"',
            )
            for plugin, forms, key, value in CONTRADICTED
        ),
        ({"resources": {"gpus": ["nvidia.com/mig-1g.5gb.shared"]}}, r"config\.resources\.gpus\[0\]: .* is a form"),
        ({"resources": {"notGPUs": ["a.com/x", "nvidia.com/gpu"]}}, r"config\.resources\.notGPUs\[1\]: .* is a form"),
        ({"resources": {"gpus": ["a.com/x"], "notGPUs": ["a.com/x"]}}, r"config\.resources: a\.com/x is in both"),
        *(
            (
                {"claims": {"deviceClasses": {"a.com": form}}},
                rf'config\.claims\.deviceClasses\.a\.com: "{form}" is not a form',
            )
            for form in ("any", "none", "mig-1g", "Mig", "gke-mps-1")
        ),
        ({"policies": {"t": {"forms": ["mps"]}}, "defaults": {"warn": "u"}}, r"or a name from config\.policies \(t\)"),
    ],
)
def test_helm_denies_what_the_program_would(chart: Chart, config: Json, said: str) -> None:
    assert not program_takes(config)
    with pytest.raises(RefusedError, match=said.replace("/", "[/.]")):
        chart.render({"config": config})


@pytest.mark.parametrize(
    "config",
    [
        {**_single(), "policies": {"t": {"forms": ["mig-1g.5gb", "gke-mig-1g.5gb.me", "mig-1g.5gb-shared"]}}},
        {**_single("A100"), "policies": {"t": {"forms": ["mig-1g.5gb.me"]}}, "defaults": {"warn": "mig-1g.5gb-me"}},
        {**_single(), "policies": {"mig-a.me": {"forms": ["mps"]}}, "defaults": {"warn": "mig-a.me"}},
        {"policies": {"t": {"forms": ["mig-1g.5gb.me"]}}},
        {"policies": {"t": {"forms": ["gke-time-sharing-4", "gke-mps-4"], "maxPerContainer": 2}}},
        {"policies": {"t": {"forms": ["any"], "nodeSelector": {SHARING: "none", "pool": "gpu"}}}},
        {"policies": {"t": {"forms": ["any"], "nodeSelector": {SHARING: "mps"}, "maxPerContainer": 1}}},
        {**_single("x" * 52), **_of_product("x" * 52, "mig-1g.5gb", "mig-1g.5gb-shared", "gke-mig-1g.24gb")},
        {**_single("A"), **_of_product("A-MIG-1g.5gb", "mig-1g.5gb-shared", "gke-mig-1g.5gb")},
        {**_single("NVIDIA-A30", "A"), **_of_product("A", "mig-1g.5gb", "exclusive")},
        _of_product("A100-SXM4-40GB", "mig-1g.5gb", "gke-mig-1g.5gb.me"),
        *(
            {**plugin, "policies": {"t": {"forms": [*forms], "nodeSelector": labels}}}
            for plugin, forms, labels in (
                (MIXED, ["shared", "mps"], {SHARING: "mps", "nvidia.com/mig.capable": "false", "pool": "gpu"}),
                (MIXED, ["mig-1g.5gb"], {MIXED_SHARING: "none", "nvidia.com/mig.strategy": "mixed", SHARING: "mps"}),
                (MIXED, ["gke-mps-4"], {f"{GKE}gpu-sharing-strategy": "mps", f"{GKE}max-shared-clients-per-gpu": "4"}),
                (_single(), ["mig-1g.5gb-shared"], {SHARING: "time-slicing", "nvidia.com/gpu.slices.gi": "1"}),
                (_single("A"), ["exclusive"], {SHARING: "none", "nvidia.com/mig.strategy": "single"}),
                (MIXED, ["shared", "mps"], {"nvidia.com/mps.capable": "true", "nvidia.com/gpu.replicas": "4"}),
                (MIXED, ["mig-1g.5gb"], {"nvidia.com/mig.config": "all-balanced", "nvidia.com/mps.capable": "false"}),
                (_single(), ["mig-1g.5gb-shared"], {"nvidia.com/mig.config": "all-1g.5gb"}),
                (MIXED, ["exclusive"], {"nvidia.com/mig.config": "custom", "nvidia.com/gpu.replicas": "1"}),
            )
        ),
        {**_single(), **_of_product("T4-shared", "exclusive", "shared", "gke-mig-1g.5gb")},
        {"devicePlugin": {"renameByDefault": False}, **_of_product("x" * 56, "mps", "mig-1g.5gb-shared")},
        _of_product("A-MIG-INVALID", "any"),
        {"resources": {"gpus": ["nvidia.com/mig-x", "nvidia.com/gpu*"], "notGPUs": ["nvidia.com/*"]}},
        {"claims": {"deviceClasses": {"a": "mig", "b.c": "gke-mps-4", "gpu.nvidia.com": "mig-1g.5gb.me"}}},
    ],
)
def test_helm_takes_what_the_program_does(chart: Chart, config: Json) -> None:
    assert program_takes(config)
    assert chart.render({"config": config}).objects


def test_a_configured_policy_may_be_a_default(chart: Chart) -> None:
    config = {
        "policies": {"team": {"forms": ["mps", "gke-mps-4"]}},
        "defaults": {"enforce": "team", "warn": "gke-mig-1g.5gb"},
    }
    parsed = parse(chart.render({"config": config}).configuration_file)
    assert parsed.policies.defaults.enforce == "team"


QUANTITIES = st.one_of(
    st.from_regex(r"[0-9]{1,4}(\.[0-9]{0,3})?([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]{1,2})?", fullmatch=True),
    st.from_regex(r"[0-9.+eEmkKMGi -]{0,6}", fullmatch=True),
)


@settings(max_examples=200, deadline=None)
@given(QUANTITIES)
def test_a_quantity_is_one_to_kubernetes(text: str) -> None:
    """Whatever the schema takes, the official client reads (which is laxer, and knows no sign in front)."""
    if takes(SCHEMA["definitions"]["quantity"], text):
        parse_quantity(text.lstrip("+").rstrip("."))  # type: ignore[no-untyped-call] # the client does not annotate it


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"log": {"level": "critical"}}, "log/level"),
        ({"resources": {"limits": {"memory": "256 MB"}}}, "resources/limits/memory"),
        ({"resources": {"requests": {"cpu": "-1"}}}, "resources/requests/cpu"),
        ({"image": {"repository": "ours/gpuwarden:v1"}}, "image/repository"),
        ({"image": {"tag": "v1@sha256"}}, "image/tag"),
        ({"audit": {"report": {"schedule": "61 * * * *"}}}, "schedule"),
        ({"audit": {"report": {"schedule": "a b c d e"}}}, "schedule"),
        ({"monitoring": {"serviceMonitor": {"interval": "30s1m"}}}, "interval"),
        ({"monitoring": {"prometheusRule": {"runbookUrl": "wiki/gpu"}}}, "runbookUrl"),
        ({"priorityClassName": "System_Critical"}, "priorityClassName"),
        ({"commonLabels": {"team": "a b"}}, "commonLabels"),
        ({"podAnnotations": {"a/b/c": "x"}}, "a/b/c"),
        ({"nodeSelector": {"pool": "a b"}}, "nodeSelector"),
        ({"podSecurityContext": {"runAsUser": "nobody"}}, "runAsUser"),
        ({"service": {"ipFamilies": ["IPv5"]}}, "ipFamilies"),
        ({"clientAuth": {"caSecret": "Our_CA"}}, "caSecret"),
        ({"topologySpreadConstraints": [{"maxSkew": 0, "topologyKey": "a", "whenUnsatisfiable": "DoNotSchedule"}]}, "maxSkew"),
        ({"tolerations": [{"effect": "NoSchedule"}]}, "tolerations"),
        ({"tolerations": [{"key": "a", "operator": "Exists", "value": "b"}]}, "tolerations"),
        ({"tolerations": [{"key": "a", "value": "b", "tolerationSeconds": 5}]}, "tolerations"),
        ({"replicas": 1.5}, "replicas"),
        ({"ports": {"ops": 70000}}, "ports/ops"),
    ],
)  # fmt: skip
def test_a_value_that_the_api_server_or_a_replica_would_deny_is_denied_before(
    chart: Chart, values: Json, named: str
) -> None:
    with pytest.raises(RefusedError, match=named.replace("/", "[/.]")):
        chart.render(values)


@pytest.mark.parametrize(
    "values",
    [
        {"resources": {"limits": {"memory": "0.5Gi", "cpu": 2, "example.com/a": "1e3"}}},
        {"image": {"repository": "localhost:5000/a/gpu-warden_x/b.c", "tag": "V1_x"}},
        {"image": {"repository": "registry.example.com/gpuwarden"}},
        {"audit": {"report": {"enabled": True, "schedule": "*/5 0-6,22 1,15 jan-mar MON-FRI"}}},
        {"audit": {"report": {"enabled": True, "schedule": "@hourly", "activeDeadlineSeconds": 10000000}}},
        {"monitoring": {"serviceMonitor": {"create": True, "interval": "1m30s"}}},
        {"tolerations": [{"operator": "Exists"}, {"key": "a", "effect": "NoExecute", "tolerationSeconds": 5}]},
    ],
)
def test_what_kubernetes_takes_is_taken(chart: Chart, values: Json) -> None:
    rendered = chart.render(values)
    for job in rendered.all("CronJob"):
        assert isinstance(job["spec"]["jobTemplate"]["spec"]["activeDeadlineSeconds"], int)
