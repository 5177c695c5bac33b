"""The Deployment and what belongs to it: the command line, ports, probes, volumes, room, and how it is replaced."""

from decimal import Decimal
from pathlib import PurePosixPath

import pytest
import typer
from kubernetes.utils.quantity import parse_quantity
from typer.core import TyperOption

from tests.deploy.chart import MODES, Chart, Json, Rendered, merged
from webhook.adapters.asgi.application import application
from webhook.adapters.http.listeners import GRACE_SECONDS
from webhook.cli.serve import serve


@pytest.fixture(scope="session")
def options() -> dict[str, TyperOption]:
    """Every option of ``gpuwarden serve``, by its name on the command line."""
    app = typer.Typer()
    app.command()(serve)
    options = [option for option in typer.main.get_command(app).params if isinstance(option, TyperOption)]
    return {name: option for option in options for name in option.opts}


def read_quantity(text: str) -> Decimal:
    """Read a quantity as the official client does, which raises ValueError for what is none."""
    quantity: Decimal = parse_quantity(text)  # type: ignore[no-untyped-call] # the client does not annotate it
    return quantity


def given(rendered: Rendered) -> dict[str, str]:
    """The options of the container's command line."""
    program, *words = rendered.arguments
    assert program == "serve"
    return {name: value for name, _, value in (word.partition("=") for word in words)}


def test_every_option_on_the_command_line_is_one_of_serve(
    in_each_mode: dict[str, Rendered], mode: str, options: dict[str, TyperOption]
) -> None:
    for name, value in given(in_each_mode[mode]).items():
        assert name in options
        assert bool(value) is not options[name].is_flag, name


def test_the_environment_has_one_more_of_them(rendered: Rendered, options: dict[str, TyperOption]) -> None:
    (variable,) = rendered.container["env"]
    assert variable["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.namespace"}}
    assert options["--pod-namespace"].envvar == variable["name"]


def test_the_ports_are_serves_own(rendered: Rendered, options: dict[str, TyperOption]) -> None:
    named = {port["name"]: port["containerPort"] for port in rendered.container["ports"]}
    assert named == {"https": options["--port"].default, "ops": options["--ops-port"].default}
    assert [given(rendered)[name] for name in ("--port", "--ops-port")] == [str(port) for port in named.values()]


def test_other_ports_are_the_same_everywhere(chart: Chart) -> None:
    rendered = chart.render({"ports": {"webhook": 10250, "ops": 9090}})
    named = {port["name"]: port["containerPort"] for port in rendered.container["ports"]}
    assert named == {"https": 10250, "ops": 9090}
    assert (given(rendered)["--port"], given(rendered)["--ops-port"]) == ("10250", "9090")
    service = {port["name"]: (port["port"], port["targetPort"]) for port in rendered.the("Service")["spec"]["ports"]}
    assert service == {"https": (443, "https"), "metrics": (9090, "ops")}


def test_the_probes_ask_what_the_operations_port_answers(rendered: Rendered) -> None:
    answered = {route.path for route in application(list, bytes).routes}  # type: ignore[attr-defined] # all of ours have one
    for probe, path in (("startupProbe", "/healthz"), ("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")):
        assert rendered.container[probe]["httpGet"] == {"path": path, "port": "ops"}
        assert path in answered


@pytest.mark.parametrize("delay", [0, 10, 300])
def test_a_replica_has_the_time_that_it_takes_to_stop(chart: Chart, delay: int) -> None:
    rendered = chart.render({"shutdownDelaySeconds": delay})
    assert given(rendered)["--shutdown-delay"] == str(delay)
    assert rendered.pod["terminationGracePeriodSeconds"] > delay + GRACE_SECONDS


def test_replicas_are_replaced_without_a_gap(rendered: Rendered) -> None:
    spec = rendered.the("Deployment")["spec"]
    assert spec["replicas"] == 2
    assert spec["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
    assert {c["topologyKey"] for c in rendered.pod["topologySpreadConstraints"]} == {"topology.kubernetes.io/zone"}
    (apart,) = rendered.pod["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
    assert apart["podAffinityTerm"]["topologyKey"] == "kubernetes.io/hostname"


def test_a_disruption_budget_keeps_one_replica_and_never_blocks_the_only_one(chart: Chart, rendered: Rendered) -> None:
    budget = rendered.the("PodDisruptionBudget")
    assert budget["spec"]["minAvailable"] == 1
    assert budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
    assert chart.render({"replicas": 1}).all("PodDisruptionBudget") == []


def test_everything_that_selects_pods_selects_these(in_each_mode: dict[str, Rendered], mode: str) -> None:
    rendered = in_each_mode[mode]
    labels = rendered.the("Deployment")["spec"]["template"]["metadata"]["labels"]
    selectors = [
        rendered.the("Deployment")["spec"]["selector"]["matchLabels"],
        rendered.the("Service")["spec"]["selector"],
        rendered.the("PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        rendered.the("NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
        *(c["labelSelector"]["matchLabels"] for c in rendered.pod["topologySpreadConstraints"]),
        *(
            preferred["podAffinityTerm"]["labelSelector"]["matchLabels"]
            for preferred in rendered.pod["affinity"]["podAntiAffinity"][
                "preferredDuringSchedulingIgnoredDuringExecution"
            ]
        ),
    ]
    assert all(selector and selector.items() <= labels.items() for selector in selectors)


def test_labels_of_users_reach_pods_and_leave_selectors_alone(chart: Chart, rendered: Rendered) -> None:
    labelled = chart.render({"commonLabels": {"team": "gpu", "tier": "a"}, "podLabels": {"tier": "b"}})
    deployment, plain = labelled.the("Deployment"), rendered.the("Deployment")
    assert deployment["spec"]["selector"] == plain["spec"]["selector"]
    assert deployment["metadata"]["labels"] == plain["metadata"]["labels"] | {"team": "gpu", "tier": "a"}
    added = {"team": "gpu", "tier": "b"}
    template = plain["spec"]["template"]["metadata"]["labels"]
    assert deployment["spec"]["template"]["metadata"]["labels"] == template | added
    assert all(o["metadata"]["labels"]["team"] == "gpu" for o in labelled.objects)


def test_volumes_are_mounted_whole_and_not_into_each_other(in_each_mode: dict[str, Rendered], mode: str) -> None:
    rendered = in_each_mode[mode]
    mounts = {mount["name"]: mount for mount in rendered.container["volumeMounts"]}
    assert set(mounts) == {volume["name"] for volume in rendered.pod["volumes"]}
    folders = [PurePosixPath(mount["mountPath"]) for mount in mounts.values()]
    assert not [folder for folder in folders if set(folder.parents) & set(folders)]
    assert not [mount for mount in mounts.values() if "subPath" in mount]  # such a file is never updated
    files = [PurePosixPath(value) for value in given(rendered).values() if value.startswith("/")]
    assert all(file.parent in folders for file in files)


def test_resources_are_quantities_and_the_processor_is_not_limited(rendered: Rendered) -> None:
    resources = rendered.container["resources"]
    read = {kind: {name: read_quantity(value) for name, value in resources[kind].items()} for kind in resources}
    assert set(read["limits"]) == {"memory"}
    assert read["requests"] == {"cpu": Decimal("0.1"), "memory": Decimal(128 << 20)}
    assert read["limits"]["memory"] >= read["requests"]["memory"]


@pytest.mark.parametrize(
    ("image", "reference"),
    [
        ({}, "gpuwarden/gpuwarden:0.1.0"),
        ({"tag": "main"}, "gpuwarden/gpuwarden:main"),
        ({"tag": "main", "digest": f"sha256:{'0' * 64}"}, f"gpuwarden/gpuwarden@sha256:{'0' * 64}"),
    ],
)
def test_the_image_is_a_version_a_tag_or_a_digest(chart: Chart, image: Json, reference: str) -> None:
    assert chart.render({"image": image}).container["image"] == reference


def test_pods_of_a_critical_class_get_the_quota_that_admits_them(chart: Chart, rendered: Rendered) -> None:
    assert rendered.pod["priorityClassName"] == "system-cluster-critical"
    quota = rendered.the("ResourceQuota")["spec"]
    assert int(quota["hard"]["pods"]) > rendered.the("Deployment")["spec"]["replicas"] + 1  # an update is under way
    (scope,) = quota["scopeSelector"]["matchExpressions"]
    assert scope == {"scopeName": "PriorityClass", "operator": "In", "values": ["system-cluster-critical"]}
    for values in ({"priorityClassName": ""}, {"priorityClassName": "ours"}, {"criticalPodsQuota": {"create": False}}):
        assert chart.render(values).all("ResourceQuota") == []
    assert "priorityClassName" not in chart.render({"priorityClassName": ""}).pod
    assert chart.render(namespace="kube-system").all("ResourceQuota") == []


def test_the_network_policy_lets_in_reviews_and_lets_out_to_the_api_server_and_dns(chart: Chart) -> None:
    peers = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]
    rendered = chart.render({"networkPolicy": {"opsFrom": peers, "apiServerPorts": [6443]}})
    policy = rendered.the("NetworkPolicy")["spec"]
    named = {port["name"] for port in rendered.container["ports"]}
    reviews, ops = policy["ingress"]
    assert reviews == {"ports": [{"port": "https", "protocol": "TCP"}]}
    assert ops == {"ports": [{"port": "ops", "protocol": "TCP"}], "from": peers}
    assert named == {"https", "ops"}
    assert [[p["port"] for p in rule["ports"]] for rule in policy["egress"]] == [[6443], [53, 53]]
    assert chart.render({"networkPolicy": {"create": False}}).all("NetworkPolicy") == []


def test_what_users_expect_to_set_on_pods_is_set(chart: Chart) -> None:
    values: Json = {
        "nodeSelector": {"pool": "system"},
        "affinity": {"nodeAffinity": {}},
        "tolerations": [{"key": "CriticalAddonsOnly", "operator": "Exists"}],
        "imagePullSecrets": [{"name": "pull"}],
        "podAnnotations": {"example.com/a": "b"},
        "topologySpreadConstraints": [],
        "resources": {"limits": {"memory": "1Gi"}},
        "extraEnv": [{"name": "GPUWARDEN_HOST", "value": "0.0.0.0"}],  # noqa: S104 - not listened on here
        "service": {"annotations": {"example.com/c": "d"}},
    }
    rendered = chart.render(values)
    pod = rendered.pod
    assert pod["nodeSelector"] == {"kubernetes.io/os": "linux", "pool": "system"}
    for field in ("affinity", "tolerations", "imagePullSecrets"):
        assert pod[field] == values[field]
    assert "topologySpreadConstraints" not in pod
    assert rendered.container["resources"]["limits"] == {"memory": "1Gi"}
    assert rendered.container["env"][0] == values["extraEnv"][0]
    template = rendered.the("Deployment")["spec"]["template"]["metadata"]
    assert template["annotations"] == {"example.com/a": "b"}
    assert rendered.the("Service")["metadata"]["annotations"] == {"example.com/c": "d"}


@pytest.mark.parametrize(
    ("release", "values", "name"),
    [
        ("gpuwarden", {}, "gpuwarden"),
        ("prod-gpuwarden", {}, "prod-gpuwarden"),
        ("prod", {}, "prod-gpuwarden"),
        ("prod", {"nameOverride": "warden"}, "prod-warden"),
        ("prod", {"fullnameOverride": "zz-gpuwarden"}, "zz-gpuwarden"),
        ("r" * 53, {}, "r" * 50),
    ],
)
def test_one_name_runs_through_all_objects(chart: Chart, release: str, values: Json, name: str) -> None:
    rendered = chart.render(values, release=release)
    mutating = f"zz-{name}"  # after the webhooks that add GPUs
    assert {o["metadata"]["name"] for o in rendered.objects} == {name, mutating, f"{name}-critical-pods"}
    assert rendered.the("MutatingWebhookConfiguration")["metadata"]["name"] == mutating
    options = given(rendered)
    assert (options["--service"], options["--webhook-configuration"], options["--ca-secret"]) == (
        name, name, f"{name}-ca",
    )  # fmt: skip
    assert {w["clientConfig"]["service"]["name"] for w in rendered.webhooks.values()} == {name}


def test_an_existing_service_account_is_used_and_granted_the_same(chart: Chart, mode: str) -> None:
    values = merged(MODES[mode], {"serviceAccount": {"create": False, "name": "existing"}})
    rendered = chart.render(values)
    assert rendered.all("ServiceAccount") == []
    assert rendered.pod["serviceAccountName"] == "existing"
    bindings = [*rendered.all("ClusterRoleBinding"), *rendered.all("RoleBinding")]
    assert {s["name"] for b in bindings for s in b["subjects"]} == {"existing"}


def test_nodes_are_watched_unless_that_is_switched_off(chart: Chart, rendered: Rendered) -> None:
    def rights(found: Rendered) -> set[tuple[str, str]]:
        rules = found.the("ClusterRole")["rules"]
        return {(resource, verb) for rule in rules for resource in rule["resources"] for verb in rule["verbs"]}

    of_nodes = {("nodes", "list"), ("nodes", "watch"), ("resourceslices", "list")}
    assert rights(rendered) >= of_nodes
    off = chart.render({"nodes": {"watch": False}})
    assert rights(rendered) - rights(off) == of_nodes
    assert "--no-watch-nodes" in off.container["args"]
    uncounted = chart.render({"nodes": {"countPods": False}})
    assert "--no-count-pods" in uncounted.container["args"]
    assert not {"--no-count-pods", "--no-watch-nodes"} & set(rendered.container["args"])
    assert "--no-count-pods" not in off.container["args"], "it needs the nodes"
    assert not [one for one in rendered.container["args"] if "node" in one]
    others = chart.render({"nodes": {"selectors": ["gpu in (a, b)", "pool=gpu"]}}).container["args"]
    assert [one for one in others if "node" in one] == ["--node-selector=gpu in (a, b)", "--node-selector=pool=gpu"]
