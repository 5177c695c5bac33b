"""A cluster as it is before gpuwarden comes: teams with workloads, and what becomes of each when its pods are made anew."""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import yaml

from testing.control_plane.cluster import ControlPlane
from tests.e2e.objects import GPU, MIG, SHARED, daemon_set, deployment, job, pod, pod_spec, stateful_set
from webhook.engine.decision import POLICY

Json = dict[str, Any]

# What a cluster without the one who wrote a manifest lacks: admission would refuse the pod for another reason.
_FOREIGN = ("serviceAccountName", "serviceAccount", "priorityClassName", "runtimeClassName", "resourceClaims")
_COLLECTIONS = {
    ("v1", "Pod"): "/api/v1/namespaces/{}/pods",
    ("apps/v1", "Deployment"): "/apis/apps/v1/namespaces/{}/deployments",
    ("apps/v1", "StatefulSet"): "/apis/apps/v1/namespaces/{}/statefulsets",
    ("apps/v1", "DaemonSet"): "/apis/apps/v1/namespaces/{}/daemonsets",
    ("batch/v1", "Job"): "/apis/batch/v1/namespaces/{}/jobs",
}


def own_manifests() -> list[Json]:
    """Ten workloads, as teams write them: most ask for "a GPU", some for a form, some for too much, one for none."""
    gke = {"cloud.google.com/gke-gpu-partition-size": "1g.5gb"}
    return [
        deployment(pod_spec(GPU), "chat"),
        deployment(pod_spec(GPU, count=2), "train"),
        deployment(pod_spec(SHARED), "slot"),
        deployment(pod_spec(SHARED, count=2), "slots"),
        stateful_set(pod_spec(GPU), "notebook"),
        stateful_set(pod_spec(MIG), "slice"),
        job(pod_spec(GPU, selector=gke), "sweep"),
        daemon_set(pod_spec(GPU), "probe"),
        pod(pod_spec(GPU), "shell"),
        deployment(pod_spec("cpu"), "web"),
    ]


def manifests_in(folder: Path) -> list[Json]:
    """The workloads of a folder of real manifests, fit for a cluster that has nothing else of theirs."""
    found: list[Json] = []
    for path in sorted(folder.glob("*.y*ml")):
        for document in yaml.safe_load_all(path.read_text()):
            if isinstance(document, dict) and (document.get("apiVersion"), document.get("kind")) in _COLLECTIONS:
                found.append(_adapted(document, f"{len(found)}"))
    return found


def _adapted(document: Json, suffix: str) -> Json:
    document = copy.deepcopy(document)
    name = document["metadata"].get("name") or document["metadata"].get("generateName", "pod-")
    document["metadata"] = {**document["metadata"], "name": f"{name[:40].strip('-.')}-{suffix}"}
    document["metadata"].pop("namespace", None)
    document["metadata"].pop("generateName", None)
    spec = document["spec"] if document["kind"] == "Pod" else document["spec"]["template"]["spec"]
    for key in _FOREIGN:
        spec.pop(key, None)
    if document["kind"] == "Job":
        # A deleted pod counts as failed, and every pod here is deleted once.
        document["spec"]["backoffLimit"] = 6
        document["spec"].pop("suspend", None)  # there is no Kueue here that would let it run
    if document["kind"] == "DaemonSet":
        spec.pop("nodeSelector", None)  # no node here is theirs, and a DaemonSet without a node makes no pod
    return document


@dataclass
class Team:
    """A namespace with workloads."""

    namespace: str
    manifests: list[Json] = field(default_factory=list)


def deploy(control_plane: ControlPlane, namespace: str, manifests: Sequence[Json], count: int) -> Team:
    """Create the first so many workloads of these that the API server itself takes for valid."""
    team = Team(namespace)
    for manifest in manifests:
        if len(team.manifests) == count:
            break
        path = _COLLECTIONS[manifest["apiVersion"], manifest["kind"]].format(namespace)
        answer = control_plane.api.post(path, json=manifest)
        if answer.status_code in (httpx.codes.UNPROCESSABLE_ENTITY, httpx.codes.BAD_REQUEST):
            continue
        answer.raise_for_status()
        team.manifests.append(manifest)
    return team


class Cluster:
    """What can be asked of the teams' cluster."""

    def __init__(self, control_plane: ControlPlane, teams: Sequence[Team]) -> None:
        self._control_plane = control_plane
        self._teams = teams

    def restart(self) -> None:
        """Make every pod anew: those of controllers by deleting them, bare ones by hand."""
        for team in self._teams:
            pods = f"/api/v1/namespaces/{team.namespace}/pods"
            events = f"/api/v1/namespaces/{team.namespace}/events"
            self._control_plane.api.delete(events).raise_for_status()
            self._control_plane.api.request("DELETE", pods, json={"gracePeriodSeconds": 0}).raise_for_status()

    def outcomes(self) -> dict[str, str]:
        """What became of each workload's pods since the restart, as ``namespace/Kind/name``: rewritten, denied, unchanged.

        A workload of which no pod has been tried yet is missing.
        """
        return {name: outcome for team in self._teams for name, outcome in self._outcomes(team)}

    def _outcomes(self, team: Team) -> Iterator[tuple[str, str]]:
        namespace = team.namespace
        pods = self._control_plane.get(f"/api/v1/namespaces/{namespace}/pods")["items"]
        events = self._control_plane.get(f"/api/v1/namespaces/{namespace}/events", fieldSelector="reason=FailedCreate")
        sets = self._control_plane.get(f"/apis/apps/v1/namespaces/{namespace}/replicasets")["items"]
        owner = {("ReplicaSet", one["metadata"]["name"]): _controller(one) for one in sets}
        for one in pods:
            if "deletionTimestamp" not in one["metadata"]:
                of = _controller(one) or ("Pod", one["metadata"]["name"])
                kind, name = owner.get(of) or of
                yield f"{namespace}/{kind}/{name}", "rewritten" if _is_ours(one) else "unchanged"
        for event in events["items"]:
            if "denied the request" in event["message"]:
                of = (event["involvedObject"]["kind"], event["involvedObject"]["name"])
                kind, name = owner.get(of) or of
                yield f"{namespace}/{kind}/{name}", "denied"

    def create_bare_pods(self) -> dict[str, str]:
        """Create the bare pods again, as their owners would; what became of each."""
        outcomes = {}
        for team in self._teams:
            for manifest in (one for one in team.manifests if one["kind"] == "Pod"):
                answer = self._control_plane.api.post(f"/api/v1/namespaces/{team.namespace}/pods", json=manifest)
                name = f"{team.namespace}/Pod/{manifest['metadata']['name']}"
                if answer.status_code == httpx.codes.CREATED:
                    outcomes[name] = "rewritten" if _is_ours(answer.json()) else "unchanged"
                elif "denied the request" in answer.text:
                    outcomes[name] = "denied"
        return outcomes


def _controller(one: Json) -> tuple[str, str] | None:
    for owner in one["metadata"].get("ownerReferences", []):
        if owner.get("controller"):
            return owner["kind"], owner["name"]
    return None


def _is_ours(one: Json) -> bool:
    return POLICY in one["metadata"].get("annotations", {})


def asks_for_gpu(manifest: Json) -> bool:
    """Whether a workload asks for anything of NVIDIA's."""
    spec = manifest["spec"] if manifest["kind"] == "Pod" else manifest["spec"]["template"]["spec"]
    limits = [one.get("resources", {}).get("limits", {}) for one in spec["containers"]]
    return any(name.startswith("nvidia.com/") for of in limits for name in of)
