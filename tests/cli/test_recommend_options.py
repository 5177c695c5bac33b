"""``gpuwarden recommend``: options that do not go together, formats, and where Prometheus is found."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from testing.stand_in.http_side import Seen
from testing.stand_in.kubeconfig import write_kubeconfig
from tests.adapters.prometheus.test_client import VECTOR, Liar, fails, serving, succeeds
from tests.application.recommendation.cases import DAY, END, series, template, workload
from tests.builders import Json
from tests.cli.commands import run
from tests.cli.test_doctor import Cluster, ClusterHandler
from tests.cli.test_fleet_option import NODES, a_node
from webhook.adapters.kubernetes.errors import ApiError, Fault
from webhook.adapters.usage_file import SavedUsage, parsed, written
from webhook.application.recommendation.recommend import Recommendation
from webhook.application.recommendation.usage import Usage
from webhook.cli.cluster_options import unreadable

EVIL = "=cmd|' /C calc'!A1\x1b[31m|<b>"


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A file with two workloads that use little of their GPUs, and one with a name that means harm."""
    amounts = {"nvidia.com/mig-1g.10gb": "7"}
    node = a_node(labels={"nvidia.com/gpu.product": "NVIDIA-A100-SXM4-80GB"})
    for part in ("capacity", "allocatable"):
        node["status"][part] |= amounts
    usage = Usage(END, 14 * DAY, series=[series(), series("x-1", uuid="GPU-2")], warnings=["partial answer"])
    file = tmp_path / "usage.json"
    workloads = [workload(), workload("x"), workload(EVIL, pods=[])]
    file.write_bytes(written(SavedUsage(at="2027-01-15T08:00:00Z", usage=usage, workloads=workloads, nodes=[node])))
    return file


def test_the_table_fits_80_columns(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("FORCE_COLOR", "1")
    ran = run("recommend", "--usage", saved)
    assert ran.code == 0
    monkeypatch.delenv("FORCE_COLOR")
    plain = run("recommend", "--usage", saved).out
    for text in ("Deployment w: mig-1g.10gb", "keeps memory isolation", "policy mig-1g.10gb: 2 of 3 workloads fit"):
        assert text in plain
    assert "Prometheus: partial answer" in plain
    assert "\x1b" not in plain
    assert "\\x1b[31m" in plain


def test_the_policies_of_the_configuration_count(saved: Path, tmp_path: Path) -> None:
    head = "apiVersion: gpuwarden.io/v1\nkind: Configuration\n"
    for policies, policy, is_set in (
        ("defaults: {enforce: slices}\npolicies: {slices: {forms: [mig-1g.10gb]}}", "slices", True),
        ("defaults: {enforce: exclusive}", "mig-1g.10gb", False),
    ):
        file = tmp_path / "configuration.yaml"
        file.write_text(head + policies)
        out = run("recommend", "--usage", saved, "--config", file).out
        assert f"policy {policy}: 2 of 3 workloads fit" in out
        assert ("the default of the configuration already names it" in out) is is_set
        assert ("kubectl label" in out) is not is_set
        # The audit must evaluate by the same policies and names.
        previews = run("recommend", "--usage", saved, "--config", file, "-o", "markdown").out
        assert (f"gpuwarden audit -n a --assume a={policy} --fleet live --config {file}\n" in previews) is not is_set


def test_the_printed_preview_names_the_configuration_and_that_of_reports_does_not(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "my configuration.yaml"
    file.write_text("apiVersion: gpuwarden.io/v1\nkind: Configuration\n")
    reported: list[str] = []

    def write(found: Recommendation, *_: object) -> None:
        reported.extend(one.preview for one in found.namespaces)

    monkeypatch.setattr("webhook.cli.recommend.from_cluster", lambda *_: parsed(saved.read_bytes()))
    monkeypatch.setattr("webhook.cli.recommend._write_reports", write)
    ran = run("recommend", "--config", file, "--write-reports", "-o", "markdown")
    preview = "gpuwarden audit -n a --assume a=mig-1g.10gb --fleet live"
    assert preview in reported
    assert f"{preview} --config '{file}'\n" in ran.out


def test_the_printed_commands_are_for_the_cluster_that_was_read(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webhook.cli.recommend.from_cluster", lambda *_: parsed(saved.read_bytes()))
    label = "kubectl label namespace a gpuwarden.io/enforce=mig-1g.10gb"
    preview = "gpuwarden audit -n a --assume a=mig-1g.10gb --fleet live"
    plain = run("recommend", "-o", "markdown").out
    assert f"\n{preview}\n{label}\n" in plain
    of_cluster = "--kubeconfig 'of two clusters' --context east"
    ran = run("recommend", "-o", "markdown", "--kubeconfig", "of two clusters", "--context", "east").out
    assert f"\n{preview} {of_cluster}\n{label} {of_cluster}\n" in ran
    # kubectl does not read gpuwarden's variables.
    monkeypatch.setenv("GPUWARDEN_CONTEXT", "east")
    assert f"{label} --context east\n" in run("recommend", "-o", "markdown").out
    # A saved file may be of another cluster.
    assert f"\n{preview}\n{label}\n" in run("recommend", "--usage", saved, "-o", "markdown").out


def test_device_classes_with_a_resource_name_offer_forms_and_give_those_of_claim_templates(
    saved: Path, tmp_path: Path
) -> None:
    def device_class(name: str, resource: str, attribute: str, value: str) -> Json:
        equal = f"device.driver == 'gpu.nvidia.com' && device.attributes['gpu.nvidia.com'].{attribute} == '{value}'"
        spec = {"extendedResourceName": resource, "selectors": [{"cel": {"expression": equal}}]}
        return {"apiVersion": "resource.k8s.io/v1", "kind": "DeviceClass", "metadata": {"name": name}, "spec": spec}

    attributes = {"type": "mig", "profile": "1g.10gb", "productName": "NVIDIA A100-SXM4-80GB"}
    device = {"name": "gpu-0-mig-0", "attributes": {name: {"string": text} for name, text in attributes.items()}}
    spec = {"driver": "gpu.nvidia.com", "nodeName": "node-a", "pool": {"name": "node-a"}, "devices": [device]}
    content = json.loads(saved.read_bytes())
    content["nodes"] = [
        {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-a"}},
        device_class("small.example.com", "nvidia.com/mig-1g.10gb", "profile", "1g.10gb"),
        {"apiVersion": "resource.k8s.io/v1", "kind": "ResourceSlice", "spec": spec},
    ]
    saved.write_text(json.dumps(content))
    assert "policy mig-1g.10gb: 2 of 3 workloads fit" in run("recommend", "--usage", saved).out
    file = tmp_path / "configuration.yaml"
    file.write_text(
        "apiVersion: gpuwarden.io/v1\nkind: Configuration\ndefaults: {enforce: small}\n"
        "policies: {small: {forms: [{claimTemplate: one, deviceClass: small.example.com}]}}"
    )
    assert "policy small: 2 of 3 workloads fit" in run("recommend", "--usage", saved, "--config", file).out
    # No device is a slice of that class.
    content["nodes"][1] = device_class("small.example.com", "nvidia.com/mig-1g.10gb", "profile", "1g.20gb")
    saved.write_text(json.dumps(content))
    assert "no node offers MIG slices" in " ".join(run("recommend", "--usage", saved).out.split())


def test_a_workload_that_the_policy_would_deny_does_not_fit_in_any_format(saved: Path) -> None:
    content = parsed(saved.read_bytes())
    names = workload("names", templates=(template("mig-2g.20gb"),))
    # It claims two forms of GPUs at once, which is kept as it was read.
    claims = workload("claims", pods=[], templates=(template("exclusive", claimed=True), template("mps", memory=9)))
    content.workloads += [names, claims, workload("y"), workload("z")]
    content.usage.series += [series(f"{name}-1", uuid=name) for name in ("names", "y", "z")]
    saved.write_bytes(written(content))
    assert parsed(saved.read_bytes()) == content
    fits = "policy mig-1g.10gb: 4 of 7 workloads fit"
    denied = "would deny Deployment names: container"
    for output in ("table", "markdown", "html"):
        out = " ".join(run("recommend", "--usage", saved, "-o", output).out.split())
        assert fits in out
        assert denied in out
        assert "form-not-permitted" not in out
    advice = json.loads(run("recommend", "--usage", saved, "-o", "json").out)["namespaces"][0]
    assert (advice["fits"], [one["workload"] for one in advice["denies"]]) == (
        4,
        ["Deployment claims", "Deployment names"],
    )
    assert advice["denies"][1]["why"].startswith(
        'container "train": nvidia.com/mig-2g.20gb: 1 requests form "mig-2g.20gb", which namespace policy "mig-1g.10gb"'
    )


def test_a_file_of_an_older_version_is_rejected(saved: Path) -> None:
    content = json.loads(saved.read_bytes())
    del content["workloads"][1]["templates"]
    saved.write_text(json.dumps(content))
    ran = run("recommend", "--usage", saved)
    assert (ran.code, ran.out) == (2, "")
    assert "workloads have no pod templates" in " ".join(ran.err.split())
    assert "save it again with this version of gpuwarden" in " ".join(ran.err.split())


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        (("workloads", 1, "gpus"), 0, "Expected `int` >= 1 - at `$.workloads[1].gpus`"),
        (("usage", "end"), 1e300, "- at `$.usage.end`"),
    ],
)
def test_a_number_that_can_not_be_in_a_file_is_named(
    saved: Path, path: tuple[str | int, ...], value: float, says: str
) -> None:
    content = json.loads(saved.read_bytes())
    part = content
    for each in path[:-1]:
        part = part[each]
    part[path[-1]] = value
    saved.write_text(json.dumps(content))
    ran = run("recommend", "--usage", saved, "-o", "html")
    assert (ran.code, ran.out) == (2, "")
    assert says in " ".join(ran.err.split())


def test_csv_has_a_line_for_each_workload_and_computes_nothing(saved: Path) -> None:
    ran = run("recommend", "--usage", saved, "-o", "csv")
    rows = list(csv.DictReader(io.StringIO(ran.out)))
    assert ran.err == "note: Prometheus: partial answer\n"
    assert [row["fits"] for row in rows] == ["unknown", "mig-1g.10gb", "mig-1g.10gb"]
    assert rows[1]["compute_p95"] == "0.1"
    assert rows[1]["memory_max_mib"] == "5120"
    assert "configuration complexity: low → high" in rows[1]["criteria"]
    assert rows[0]["name"].startswith("'=cmd")
    assert all(None not in row for row in rows)


def test_markdown_and_html_take_text_as_text(saved: Path) -> None:
    markdown = run("recommend", "--usage", saved, "-o", "markdown").out
    assert "| Deployment w | nvidia.com/gpu: 1 | compute p95 10 %, max 20 %<br>" in markdown
    assert "\\|\\<b\\>" in markdown
    assert "```sh\ngpuwarden audit -n a --assume a=mig-1g.10gb --fleet live\nkubectl label namespace a " in markdown
    html = run("recommend", "--usage", saved, "-o", "html").out
    assert "&lt;b&gt;" in html
    assert "<b>" not in html
    assert "mig-1g.10gb" in html
    assert "script" not in html
    # On narrow screens each row is a block with the workload's name as its heading; nothing scrolls sideways.
    assert '<tr><th scope="row"><bdi>Deployment w</bdi></th>' in html
    assert ".fits, .fits tbody, .fits tr" in html


@pytest.mark.parametrize("output", ["markdown", "html"])
def test_the_sum_of_the_cluster_states_how_it_is_packed(saved: Path, output: str) -> None:
    out = run("recommend", "--usage", saved, "-o", output).out
    assert "running pods request: exclusive 2 → 0, mig-1g.10gb 0 → 2" in out
    packed = "packed onto the 9 GPUs of the nodes (first fit decreasing; GPUs with MIG may be partitioned again): "
    assert f"{packed}2 → 1 in use, 7 → 8 free" in out


def test_what_nodes_state_of_their_slices_is_saved_and_counts(saved: Path, cluster: Cluster, tmp_path: Path) -> None:
    node = a_node(
        labels={
            "nvidia.com/gpu.product": "NVIDIA-A100-SXM4-80GB",
            "nvidia.com/mig-1g.10gb.memory": "9856",
            "nvidia.com/mig-1g.10gb.multiprocessors": "8",
        }
    )
    for part in ("capacity", "allocatable"):
        node["status"][part] |= {"nvidia.com/mig-1g.10gb": "7"}
    cluster.lists(NODES, node)
    with serving(succeeds([])) as server:
        found(cluster, server, tmp_path, "--save", str(tmp_path / "read.json"))
    content = json.loads(saved.read_bytes())
    content["nodes"] = json.loads((tmp_path / "read.json").read_text())["nodes"]
    saved.write_text(json.dumps(content))
    reasons = json.loads(run("recommend", "--usage", saved, "-o", "json").out)["workloads"][1]["verdict"]["reasons"]
    assert reasons[-1].endswith("has enough compute for it: mig-1g.10gb has 7.4 % of a GPU's")


def test_other_thresholds_and_offers_change_the_answer(saved: Path) -> None:
    def kind(*options: str) -> str:
        found = json.loads(run("recommend", "--usage", saved, "-o", "json", *options).out)
        verdict: str = found["workloads"][1]["verdict"]["kind"]
        return verdict

    assert kind() == "MIG slice"
    assert kind("--threshold", "minimum-days=20") == "unknown"
    assert kind("--threshold", "memory-headroom=9") == "exclusive"
    assert kind("-n", "a") == "MIG slice"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--usage", "{saved}", "--kubeconfig", "x"], "--kubeconfig can't be combined with --usage"),
        (
            ["--usage", "{saved}", "--prometheus", "http://a", "--save", "x"],
            "--prometheus and --save can't be combined",
        ),
        (["--usage", "{saved}", "--prometheus-user", "me"], "--prometheus-user can't be combined with --usage"),
        (["--usage", "{saved}", "--prometheus-label", "a=b"], "--prometheus-label can't be combined with --usage"),
        (["--usage", "{saved}", "--window", "3d"], "--window can't be combined with --usage"),
        (["--prometheus", "http://a", "--prometheus-label", "a"], '--prometheus-label: "a" is not a label'),
        (["--usage", "{saved}", "--trusted", "team=a"], "--trusted team=a: a saved file has no labels of namespaces"),
        (["--usage", "{saved}", "--offer", "mig-9"], '--offer: "mig-9" is not a form'),
        (["--usage", "{saved}", "--threshold", "x=1"], '--threshold "x=1": there is no threshold "x"'),
        (["--usage", "{saved}x"], "there is no such file"),
        (["--usage", "{kubeconfig}"], "not a file that gpuwarden recommend --save wrote"),
        (["--window", "14"], '--window: "14" is not a time from 1h to 366d'),
        (
            ["--prometheus", "http://127.0.0.1:9", "--save", "gone/u.json"],
            "error: --save gone/u.json: there is no such folder; ",
        ),
        (["--window", "30m"], "is not a time from 1h to 366d"),
        (["--prometheus", "a:1"], '--prometheus: "a:1" is not a URL'),
        (["--prometheus-user", "me", "--prometheus-password-file", "x"], "can be used only with --prometheus URL"),
        (["--prometheus", "http://a", "--prometheus-user", "me"], "set --prometheus-password-file, too"),
        (["--prometheus", "http://a", "--prometheus-client-key", "k"], "set --prometheus-client-cert, too"),
        (
            ["--prometheus", "http://a", "--prometheus-token-file", "x", "--prometheus-kubernetes-token"],
            "are different ways to log in; leave out all but one",
        ),
        (["--prometheus", "http://a", "--prometheus-header", "X"], '"X" is not a header; write "NAME: VALUE"'),
        (["--prometheus", "http://a", "--prometheus-header", "X: a\nY: b"], "is not a header"),
        (["--prometheus", "http://a", "--prometheus-kubernetes-token"], "a token is not sent in the clear"),
        (["--prometheus", "https://a", "--prometheus-kubernetes-token"], "the kubeconfig logs in without a token"),
        (
            ["--prometheus", "https://a", "--prometheus-ca-file", "gone"],
            "--prometheus-ca-file gone: there is no such file",
        ),
        (["--prometheus", "http://[::1"], '--prometheus: "http://[::1" is not a URL'),
        (
            ["--prometheus", "http://a", "--prometheus-token-file", "gone"],
            "error: --prometheus-token-file gone: there is no such file or folder",
        ),
        (
            ["--prometheus", "http://a", "--prometheus-token-file", "/dev/null"],
            "/dev/null: it is empty; write the secret",
        ),
        (
            ["--prometheus", "http://a", "--prometheus-user", "me", "--prometheus-password-file", "gone"],
            "error: --prometheus-password-file gone: there is no such file or folder",
        ),
        (
            ["--prometheus", "http://a", "--prometheus-user", "a:b", "--prometheus-password-file", "x"],
            '--prometheus-user: "a:b" contains a colon',
        ),
        ([], "no Service of a Prometheus was found in the cluster; name it with --prometheus URL"),
    ],
)
def test_what_does_not_go_together_is_explained(options: list[str], says: str, saved: Path, kubeconfig: Path) -> None:
    ran = run("recommend", *(one.format(saved=saved, kubeconfig=kubeconfig) for one in options))
    assert (ran.code, ran.out) == (2, "")
    assert says in ran.err


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """A cluster with a node, a pod and no Prometheus."""
    with Cluster() as there:
        there.lists("/api/v1/services")
        there.lists(NODES, a_node())
        owner = {
            "ownerReferences": [{"apiVersion": "ray.io/v1", "kind": "RayCluster", "name": "r", "controller": True}]
        }
        limits = {"resources": {"limits": {"nvidia.com/gpu": "1"}}}
        pod = {
            "metadata": {"name": "r-1", "namespace": "a", **owner},
            "spec": {"containers": [{"name": "c", **limits}]},
        }
        no_gpu = {"metadata": {"name": "web", "namespace": "a"}, "spec": {"containers": [{"name": "c"}]}}
        there.lists("/api/v1/pods", {**pod, "status": {"phase": "Pending"}}, no_gpu)
        for path in ("apps/v1/replicasets", "apps/v1/deployments", "apps/v1/statefulsets", "apps/v1/daemonsets"):
            there.lists(f"/apis/{path}")
        for path in ("/apis/batch/v1/jobs", "/apis/batch/v1/cronjobs", "/api/v1/replicationcontrollers"):
            there.lists(path)
        there.set_namespace("a", tenancy="internal")
        yield there


@pytest.fixture
def kubeconfig(cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cluster's kubeconfig, which commands find by themselves."""
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    return write_kubeconfig(tmp_path / "kubeconfig", cluster.url)


def found(cluster: Cluster, server: Liar | None, folder: Path, *more: str, **user: Any) -> Any:
    kubeconfig = write_kubeconfig(folder / "kubeconfig", cluster.url, **user)
    where = ["--prometheus", server.url] if server else []
    return run("recommend", "--kubeconfig", kubeconfig, *where, "-o", "json", *more)


def test_without_series_the_answer_says_what_is_missing(cluster: Cluster, tmp_path: Path) -> None:
    with serving(succeeds([])) as server:
        ran = found(cluster, server, tmp_path, token="hush")  # noqa: S106 - not a secret
    assert (ran.code, ran.err) == (0, "")
    answer = json.loads(ran.out)
    assert answer["notes"][0].startswith("there are no series of dcgm-exporter")
    (line,) = answer["workloads"]
    assert (line["kind"], line["name"], line["running"]) == ("RayCluster", "r", 0)
    # The token of the kubeconfig was sent to the cluster, and to nobody else.
    assert all("Authorization" not in headers for _, headers, _ in server.seen)
    assert any(seen.headers.get("Authorization") == "Bearer hush" for seen in cluster.requests)


def test_series_without_pods_are_explained(cluster: Cluster, tmp_path: Path) -> None:
    of_exporter = {"UUID": "GPU-1", "pod": "dcgm-exporter-x", "namespace": "gpu-operator", "container": "exporter"}
    with serving(succeeds([of_exporter])) as server:
        ran = found(cluster, server, tmp_path)
    assert "NVIDIA_RESOURCE_NAMES" in json.loads(ran.out)["notes"][0]


def test_an_error_of_prometheus_is_quoted(cluster: Cluster, tmp_path: Path) -> None:
    with serving(fails(400, "bad_data", "no such tenant")) as server:
        ran = found(cluster, server, tmp_path)
    assert (ran.code, ran.out) == (2, "")
    assert "usage can't be read: http://127.0.0.1:" in ran.err
    assert "bad_data: no such tenant" in ran.err


def test_queries_that_are_too_much_are_split_and_what_remains_unread_is_said(cluster: Cluster, tmp_path: Path) -> None:
    labels = [{"UUID": f"GPU-{n}", "exported_pod": f"p{n}", "exported_namespace": "a"} for n in range(4)]
    too_much = fails(422, "execution", "too many samples")
    with serving(*[succeeds(labels)] * 4, *[too_much] * 100) as server:
        ran = found(cluster, server, tmp_path)
    assert ran.code == 0
    notes = json.loads(ran.out)["notes"]
    url = server.url
    unread = "of a/p0, a/p1, a/p2 and 1 more can't be read"
    assert f"memory {unread}: {url}: execution: too many samples" in notes
    assert len([note for note in notes if "a/p" in note]) == len([note for note in notes if unread in note])


def test_nodes_that_may_not_be_listed_are_a_note(cluster: Cluster, tmp_path: Path) -> None:
    cluster.forbidden.add(NODES)
    with serving(succeeds([])) as server:
        ran = found(cluster, server, tmp_path)
    assert ran.code == 0
    assert any("the forms that nodes offer are not known" in note for note in json.loads(ran.out)["notes"])


def test_an_object_that_does_not_exist_is_not_taken_for_another_kind_of_server() -> None:
    missing = ApiError(Fault.NOT_FOUND, 'GET /api/v1/namespaces/a: 404 namespaces "a" not found', missing="a")
    assert unreadable(missing).endswith("; check the name")
    assert "is a Kubernetes API server" in unreadable(ApiError(Fault.NOT_FOUND, "GET /api/v1/namespaces: 404"))


def test_services_that_may_not_be_listed_lead_to_the_url(cluster: Cluster, tmp_path: Path) -> None:
    cluster.forbidden.add("/api/v1/services")
    ran = found(cluster, None, tmp_path)
    assert ran.code == 2
    assert ran.err.startswith("error: no Prometheus can be found in the cluster: GET /api/v1/services: 403 ")
    assert ran.err.endswith("; name it with --prometheus URL\n")


def test_namespaces_with_a_label_are_trusted_and_saved_as_such(cluster: Cluster, tmp_path: Path) -> None:
    with serving(succeeds([])) as server:
        ran = found(
            cluster,
            server,
            tmp_path,
            "--trusted",
            "gpuwarden.io/tenancy=internal",
            "--save",
            str(tmp_path / "usage.json"),
        )
    assert ran.code == 0
    assert json.loads((tmp_path / "usage.json").read_text())["trusted"] == ["a"]
    assert run("recommend", "--usage", tmp_path / "usage.json", "-o", "json").out == ran.out


def test_the_clusters_own_prometheus_is_reached_through_its_api_server(cluster: Cluster, tmp_path: Path) -> None:
    def service(name: str, port: int, **labels: str) -> dict[str, Any]:
        ports = [{"name": "reloader", "port": 8080}, {"name": "http-web", "port": port}]
        return {"metadata": {"name": name, "namespace": "monitoring", "labels": labels}, "spec": {"ports": ports}}

    cluster.lists(
        "/api/v1/services",
        service("other", 1, app="web"),
        service("kps-prometheus", 9090, app="kube-prometheus-stack-prometheus"),
        service("thanos", 10902, app="thanos-query"),
    )
    cluster._server.RequestHandlerClass = Proxy
    ran = found(cluster, None, tmp_path, token="hush")  # noqa: S106 - not a secret
    assert ran.code == 0
    assert ran.err == (
        "note: reading monitoring/thanos:10902; there are also monitoring/kps-prometheus:9090: name one with --prometheus URL\n"
    )
    assert json.loads(ran.out)["notes"][0].startswith("there are no series of dcgm-exporter")
    passed = [seen for seen in cluster.requests if "/proxy/" in seen.path]
    assert {unquote(seen.path) for seen in passed} == {
        "/api/v1/namespaces/monitoring/services/thanos:10902/proxy/api/v1/series"
    }
    assert {seen.headers["Authorization"] for seen in passed} == {"Bearer hush"}


class Proxy(ClusterHandler):
    """An API server with a Prometheus behind it that has no series."""

    def _object(self, path: str, seen: Seen) -> None:
        if "/proxy/" in path:
            return self.say(200, {"status": "success", "data": []})
        return super()._object(path, seen)


def test_the_vector_of_a_liar_is_no_list_of_series(cluster: Cluster, tmp_path: Path) -> None:
    with serving(succeeds(VECTOR)) as server:
        ran = found(cluster, server, tmp_path)
    assert ran.code == 2
    assert "is not what the API promises" in ran.err


def test_what_is_trusted_and_selects_nothing_is_a_note(cluster: Cluster, saved: Path, tmp_path: Path) -> None:
    with serving(succeeds([])) as server:
        ran = found(cluster, server, tmp_path, "--trusted", "team=nobody", "--trusted", "gpuwarden.io/tenancy=internal")
    assert "--trusted team=nobody: no namespace has this label" in json.loads(ran.out)["notes"]
    assert "internal" not in str(json.loads(ran.out)["notes"])
    offline = run("recommend", "--usage", saved, "--trusted", "b*", "--trusted", "a", "-o", "json").out
    notes = [one for one in json.loads(offline)["notes"] if "--trusted" in one]
    assert notes == ["--trusted b*: no namespace with workloads that request GPUs has this name"]


def test_a_namespace_without_workloads_that_request_gpus_is_a_note(saved: Path) -> None:
    found = json.loads(run("recommend", "--usage", saved, "-n", "nosuch", "-n", "a", "-o", "json").out)
    assert [one["namespace"] for one in found["namespaces"]] == ["a"]
    notes = [one for one in found["notes"] if one.startswith("-n ")]
    assert notes == ["-n nosuch: no workload in this namespace requests GPUs"]
