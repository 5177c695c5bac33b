"""Writes docs/reference/workload-kinds.md from the table of workload kinds: `make docs`.

Run it as `python -m hack.workload_reference`; with `--check` it writes nothing and fails when the page differs.
"""

import sys
from collections.abc import Iterable, Iterator

from hack import generated
from hack.tools import ROOT
from webhook.application.operator_kinds import OPERATORS
from webhook.application.workload_kinds import BUILT_IN, WorkloadKind

PAGE = ROOT / "docs/reference/workload-kinds.md"
HEAD = """<!-- Written by `make docs` from webhook/application/workload_kinds.py; edit that, not this page. -->
# Workload kinds

A workload kind is a kind whose objects are pods or contain pod templates. In a path, `[*]` is every item of a list and `{*}`
every
value of a map. The number of pods is the product of the replicas. A count that is not set is 1.

## Built-in kinds

`check`, `rewrite` and `audit` evaluate the pods of these kinds, `kubectl apply` shows warnings for them, and a changed
namespace
label is previewed on them.
"""
OF_OPERATORS = """
## Operators' kinds

`check`, and `audit` of files, evaluate the pods of these kinds. gpuwarden rewrites their pods when they are created, and never
the
objects themselves: operators set their children's templates again and again, and some copy the number of GPUs from the template
into something else than the pod. `rewrite` leaves the objects as they are, unless `--kinds` names their kind
(`gpuwarden rewrite --kinds JobSet.jobset.x-k8s.io`). `audit` of a cluster asks which of these kinds
the cluster has, lists them, and evaluates their objects and the pods that exist. Cluster-scoped kinds and Kueue's copies are not
listed. What an object has made is counted with it.

`kubectl apply` shows warnings for objects of these kinds. Each warning names the path:

    Warning: spec.workerGroupSpecs[0].template (3 pods): would be denied: container "train": nvidia.com/gpu: 2 cannot be shared …

- The API server sends an object that names a GPU resource when it is created and when its fields outside of metadata and status
  change. It ignores the rules of API groups that the cluster does not have.
- Cluster-scoped objects are not sent, because no policy applies to them. Neither are objects that another object of these kinds
  controls, such as the RayCluster of a RayJob.
- The API server does not send objects with more than about 1,900 containers in lists of up to 500 each, because the search costs
  too much (objects with a longer list are sent without it), and gpuwarden does not read objects of more than 50,000 elements.
  They are created without a warning, and their pods are evaluated.
- Resource claims are evaluated with the pods, and so are pods that may reach GPUs without a request.
- `webhooks.advise.operators: false` in the chart turns these warnings off.

An operator or a queue may not handle the object as you expect. The warnings at `kubectl apply` report this, and so do `check` and
`audit` in every format (`operator-trap`, which never denies):

- Ray: the first container requests only names that Ray does not count (`nvidia.com/gpu.shared`, `nvidia.com/mig-….me`), so Ray
  starts with `num-gpus` 0.
- NVIDIA NIM: the operator adds `nvidia.com/gpu` alongside another name, and such pods are denied (`mixed-gpu-resources`).
- KServe with `workerSpec`: KServe denies a name that it does not know and that `serving.kserve.io/gpu-resource-types` does not
  list.
- Volcano, and Kueue if the object has the label `kueue.x-k8s.io/queue-name`: the queue counts the name in the template, but
  the pods are rewritten to another one.

Kinds with the same name differ in their group.
"""
RESOURCES = """
### Requests outside of pod templates

These fields request GPUs, and the pods that get them are not known until they are created. `check` reports the object as not
evaluated, with the decision on a pod that has the same request.

| kind | API group | fields | note |
|---|---|---|---|
"""
BY_SHAPE = """
### Kinds whose objects hold pods anywhere

Pods and GPU requests in objects of these kinds are found as in [other kinds](#other-kinds).

| kind | API group | note |
|---|---|---|
"""
TAIL = """
## Kinds of your own

List more kinds in `workloadKinds` in the configuration (in the chart: `config.workloadKinds`, which adds the webhook's rules).
`check`, `audit`, `rewrite --kinds` and the warnings of `kubectl apply` treat them as the kinds above.

```yaml
%s```

| field | meaning |
|---|---|
%s
A row for a kind in the table above replaces gpuwarden's own. Two rows with one kind or plural in a group are an error. `gpuwarden
doctor` lists the configured kinds, and warns if the webhook's rules do not cover them.

## Other kinds

In a custom resource of any other kind, pods are found by their shape: a list `containers` whose items have a name and an image.
The report says "by its shape". Requests elsewhere in the object, resource claims, and counts that a template engine has yet to
fill in (`{{inputs.parameters.gpus}}`) are reported as not evaluated. So are:

- Requests in text, whatever the key: embedded manifests (YAML, JSON, base64), Kustomize and JSON patches, Helm values and
  parameters, `podSpecPatch`, `sparkConf`, and options such as `--gpus=2` or `#SBATCH --gres=gpu:2` outside of a container.
- Fields that name no resource: a number (`gpuCount: 2`), a model (`gpuType: H100`, `accelerators: "A100:4"`), a switch
  (`gpu: true`).
- Annotations with a manifest, a resource name or a number of GPUs, and labels with a resource name and a number, of built-in
  kinds too. Annotations that record an object, such as `kubectl.kubernetes.io/last-applied-configuration`, are left out.

ConfigMaps and Secrets are searched for manifests, also in base64. Kinds that describe nodes (Karpenter, OpenShift machines) or
policies are not searched. NIMService, NIMPipeline and KAITO's kinds are reported even if an object names no GPU, because their
operators request `nvidia.com/gpu`.
"""
EXAMPLE = """\
workloadKinds:
  - group: example.com
    versions: [v1]
    kind: Training
    plural: trainings
    templates:
      - path: spec.workers[*].template.spec
        replicas: ["spec.workers[*].replicas"]
    suspend: spec.paused
"""
FIELDS = {
    "group": "API group; it must contain a dot, because Kubernetes' own kinds are built in",
    "versions": "served versions, the preferred one first",
    "kind": "kind",
    "plural": "name in URLs and rules",
    "templates[*].path": "path to the spec of the pods, of at most 12 steps",
    "templates[*].replicas": (
        "paths to counts, whose product is the number of pods; up to its last wildcard, each is the beginning of `path`"
    ),
    "resources": "paths to what is requested outside of templates: `limits` and `requests`, or `name` and `quantity`",
    "suspend": "path to the field that is true while there are no pods",
    "intermediate": "`true`: other kinds create its objects",
    "passive": "`true`: no pod is created from its objects alone",
    "clusterScoped": "`true`: its objects are in no namespace; `kubectl apply` shows no warnings for them",
    "note": "printed with every object that requests GPUs",
}
COLUMNS = """
| kind | API version | pod spec | replicas | suspended by | note |
|---|---|---|---|---|---|
"""


def page() -> str:
    """The whole page."""
    of_resources = (
        f"| `{kind.kind}` | `{kind.group}` | {', '.join(f'`{path}`' for path in kind.resources)} | {kind.note} |\n"
        for kind in OPERATORS
        if kind.resources
    )
    by_shape = (f"| `{kind.kind}` | `{kind.group}` | {kind.note} |\n" for kind in OPERATORS if kind.by_shape)
    tables = (*_table(BUILT_IN), OF_OPERATORS, *_table(OPERATORS), RESOURCES, *of_resources, BY_SHAPE, *by_shape)
    fields = "".join(f"| `{field}` | {meaning} |\n" for field, meaning in FIELDS.items())
    return "".join([HEAD, *tables, TAIL.replace("%s", EXAMPLE, 1).replace("%s", fields, 1)])


def _table(kinds: Iterable[WorkloadKind]) -> Iterator[str]:
    yield COLUMNS
    yield from (f"{line}\n" for kind in kinds for line in rows(kind))


def rows(kind: WorkloadKind) -> Iterator[str]:
    """A kind's rows, one for each template."""
    for number, template in enumerate(kind.templates):
        first = (f"`{kind.kind}`", f"`{kind.api_version}`") if number == 0 else ("", "")
        replicas = " * ".join(f"`{count}`" for count in template.replicas)
        last = (f"`{kind.suspend}`" if kind.suspend else "", kind.note) if number == 0 else ("", "")
        yield f"| {' | '.join((*first, f'`{template.path}`', replicas, *last))} |".replace("  ", " ")


if __name__ == "__main__":
    sys.exit(generated.write(PAGE, page(), "docs", sys.argv[1:]))
