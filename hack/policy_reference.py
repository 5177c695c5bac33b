"""Write docs/reference/policies.md from the engine, so that the page and the code can't drift apart.

The engine decides every example when the page is written.
"""

import sys
from collections.abc import Iterable, Iterator

import msgspec

from hack import generated
from hack.tools import ROOT
from webhook.application.operator_traps import OPERATOR_TRAP
from webhook.application.rule_texts import INEFFECTIVE_LABEL, NOT_EVALUATED, REWRITTEN, RULE_TEXTS, UNREADABLE_LABEL
from webhook.engine.decision import decide
from webhook.engine.edits import AddNeed, RenameResource
from webhook.engine.other_gpus import GPUS, NEVER_SENT, NOT_GPUS
from webhook.engine.pods import Pod
from webhook.engine.policy import PolicyBook
from webhook.engine.rules.catalog import RULES
from webhook.engine.spelling import DevicePlugin, MigStrategy

PAGE = ROOT / "docs/reference/policies.md"
VALUES = (
    "exclusive",
    "shared",
    "time-slicing",
    "mps",
    "mig-1g.5gb",
    "mig-1g.5gb-shared",
    "gke-exclusive",
    "gke-time-sharing-4",
    "gke-mps-4",
    "gke-mig-1g.5gb",
    "gke-mig-1g.5gb-time-sharing-4",
    "gke-mig-1g.5gb-mps-4",
    "any",
    "none",
)
HEAD = """<!-- Written by `make docs` from the code; edit hack/policy_reference.py, not this page. -->
# Policies and rules

## Labels

| label on a namespace | effect |
|---|---|
| `gpuwarden.io/enforce: <policy>` | pods are rewritten, or denied |
| `gpuwarden.io/warn: <policy>` | warnings to the user: what would happen |
| `gpuwarden.io/audit: <policy>` | audit annotations, metrics and log: what would happen |

A policy is one of the values below, or a name from the configuration file. A missing label takes the configuration's default,
which is `any`. An invalid label never permits more: an invalid `enforce` denies every pod that requests a GPU, an invalid
`warn` or `audit` counts as `any`. If only `enforce` is set, warnings about the templates of workloads use it too.

A mistyped key (`gpuwarden.io/enfroce`, `gpu-warden.io/enforce`), an annotation instead of a label, and a label on anything other
than a namespace have no effect. `kubectl label` shows a warning, and `check`, `audit` and `doctor` report them.

## Values

The table shows what a container's `nvidia.com/gpu: 1` becomes. `1g.5gb` stands for any MIG profile (`<N>g.<M>gb`, with `.me`,
`.me.all`, `.gfx` or `-me` after it if NVIDIA has it), 4 for any number of clients from 2 to 48.
"""

SINGLE = """
On GKE Autopilot (`gke.autopilot: true` in the configuration) only the node selectors are written, because Autopilot permits
node affinity on only a few labels. A pod for slices can then also be scheduled to nodes that share slices, where the kubelet
rejects a request above 1. A pod for shared GPUs can also be scheduled to nodes with shared slices.

### MIG strategy single

If the NVIDIA device plugin's MIG strategy is *single*, the GPU operator's default, MIG slices are called
`nvidia.com/gpu`, like whole GPUs, and `nvidia.com/mig-<profile>` does not exist. In this case, set `devicePlugin.migStrategy:
single` in the configuration. `gpuwarden doctor` fails if it differs from the nodes' label `nvidia.com/mig.strategy`.

Under *single* only node labels select slices:

- With `devicePlugin.products`, the list of GPU models that have MIG, slices are selected by the product name of their nodes.
- Without it, they are selected by size: the number of GPU and compute instance slices, and a range of memory around the
  profile's. Profiles with a suffix (`.me`, `.gfx`) are as large as those without one, and the memory of profiles of different
  models can overlap (`1g.23gb` and `1g.24gb`). Only `products` distinguishes these.
- If a pod selects listed products itself, they get the slices' suffix, and nothing else is added. A model in `NotIn` gets the
  suffix too, whether it is listed or not, so that its slices are excluded.
- A product that already has a suffix names a form and is never changed to another form, unless the policy has
  `mismatch: rewrite`. If a pod selects several products, it is narrowed to those that nodes of the form have. For example, a pod
  with `In [A100-SXM4-40GB-MIG-2g.10gb, Tesla-T4]` gets a requirement `In [A100-SXM4-40GB-MIG-2g.10gb]` under `mig-2g.10gb` and
  `In [Tesla-T4]` under `exclusive`. Under `mig-1g.5gb` it is denied (`form-not-permitted`).
- A pod is denied (`selector-conflict`) if it selects only products that nodes of the form do not have: models that `products`
  does not list, `…-MIG-INVALID` (the label of nodes whose MIG configuration is invalid), and products that would have more than
  63 characters with the suffix. If the pod also selects other products, these are left as they are, and the added requirement
  excludes them.
- A MIG profile that a model does not have is never written for it (`1g.5gb` for an H100 with 80 GB). A policy value is invalid if
  no listed model has its profile. A pod that selects such a model is denied under *mixed* as well. The profiles are those of
  NVIDIA's MIG user guide. A model that gpuwarden does not know may have any profile.

The configuration is invalid if a `nodeSelector` of a policy contradicts one of the policy's forms, under any MIG strategy: a
product that nodes of the form do not have, or another value of a label by which the form is selected or known, such as
`nvidia.com/gpu.sharing-strategy`, `nvidia.com/gpu.memory`, `nvidia.com/gpu.slices.gi`, `nvidia.com/mig.strategy`,
`nvidia.com/mig.config`, `nvidia.com/mps.capable`, `nvidia.com/gpu.replicas` and the
`cloud.google.com/gke-…` labels in the table above.

With `renameByDefault: true` (under `false`, each form gets a requirement on `nvidia.com/gpu.sharing-strategy` as well):
"""

REPORTED = """
### Only in reports

`check`, `audit` and their reports also use these ids, which are not rules for pods.
"""
OTHER_NAMES = """
## Other names for GPUs

Only the policy `any` permits a resource that provides GPUs but is not one of the forms above. Under every other policy a pod
that requests it is denied (`other-gpu-resource`), even if it also requests a permitted form. These count as GPUs (`*` matches
any suffix):

{gpus}

These do not:

{not_gpus}

A name that a DeviceClass for GPUs sets (`extendedResourceName`) counts as a GPU, too, and is evaluated
[like a claim for the class](claims.md#resource-names-of-deviceclasses).

A name that looks like a misspelt form, such as `nvidia.com/gpus` or `nvidia.com/gpu-shared`, is denied too, and the message names
the nearest form. Under `any` it causes a warning (`unknown-gpu-resource`), because no node offers it. List it in
`resources.gpus` or `resources.notGPUs` if a device plugin or a DeviceClass does offer it.

Every name under `nvidia.com/` counts as a GPU unless it is known to be something else. KubeVirt's device plugin takes names from
the PCI database, so no list of GPU names is complete. The drawback: a network resource with your own name under
`nvidia.com/` is denied under such a policy until you add it to `notGPUs`. GPUs of other vendors do not count unless you add them
to `gpus`, so pods for AMD's or Intel's GPUs are not affected.

```yaml
resources:
  gpus: [amd.com/gpu, example.com/h100-*]     # these hand out GPUs too
  notGPUs: [nvidia.com/my-network]            # these do not; nvidia.com/* permits all that are not listed above
```

A whole name takes precedence over a prefix, a longer prefix over a shorter one, and the configuration over the lists above.
A pod that requests HAMi's resources is exempt if `hami-scheduler` is ([Trust](guard.md#trust)).

### Other devices

Pods that request only these devices (other vendors' accelerators, network devices, FPGAs, enclaves and others) are not sent to
gpuwarden, so they do not depend on it. No DeviceClass makes these names those of GPUs, only `resources.gpus` does:

{never}\
"""
TAIL = """
## GPUs without a request

`visibleDevices` decides about pods that reach GPUs without requesting them: `ignore`, `warn` or `deny`, at the top level of the
configuration file for all policies, or in one policy. If unset, it is `ignore` under the policy `any` and `warn` under all
others. [GPUs without a request](guard.md) lists what is detected, and what can't be.

## What nodes offer

`notOffered` decides about pods that no node can run (`form-not-offered`, `count-above-any-node`): `ignore`, `warn` (the default)
or `deny`, at the top level of the configuration file for all policies, or in one policy. Both rules check the rewritten pod. The
webhook reports them if it [watches nodes](nodes.md), and `check` and `audit` with [`--fleet`](cli.md#nodes). In a policy of
several forms, `prefer: offered` gives a plain request [the first one that nodes offer](nodes.md#prefer-offered).

- A node offers what its status has as allocatable, or as capacity while allocatable is 0, as it is when a device plugin restarts.
- A node whose label `nvidia.com/mig.config.state` is `pending` or `rebooting` may offer other forms afterwards, so nothing is
  reported about [forms that it may offer then](nodes.md#nodes-that-go-away).
- Nodes that offer the form and are cordoned, not ready or tainted are named, with their number. They never lead to a denial.
  A pod that tolerates the taint `node.kubernetes.io/unschedulable`, as those of a DaemonSet do, runs on a cordoned node. One
  that tolerates `node.kubernetes.io/not-ready` and `node.kubernetes.io/unreachable` runs on a node that is not ready.
- On GKE, EKS and AKS the API server lets a pod tolerate taints with the name of a resource that it requests
  (ExtendedResourceToleration).
- A pod that requests several resources, in one container or another, needs one node with all of them.
- Of a pod's node selectors, only those on labels of GPU nodes (`nvidia.com/…`, `cloud.google.com/gke-…`) and on labels that a
  policy selects by are compared. Any other, such as a host name or a node pool of your cloud, is assumed to fit.
- A resource that a DeviceClass offers (`extendedResourceName`), whose driver has a ResourceSlice, counts as offered.
- Forms in `fleet.expected` count as offered, because an autoscaler adds their nodes: `fleet: {expected: [mig-1g.5gb]}`.

## MIG slices by memory

```yaml
policies:
  inference:
    forms: [mig-1g.10gb, mig-2g.20gb, mig-3g.40gb]
    prefer: memory
```

A pod states how much memory each of its GPUs needs, and gets the first listed slice that has as much:

```yaml
metadata:
  annotations:
    gpuwarden.io/gpu-memory: 12Gi       # of the pod: in a Deployment, below spec.template
```

- What counts is the lowest [measured memory](forms.md#memory-of-mig-slices), which is less than the name says: 10Gi do not fit
  into `1g.10gb`. If there are several GPU models, the lowest memory of all counts. The models are that of the
  `nodeSelector` (`nvidia.com/gpu.product`), else those of `devicePlugin.products`, else all that were measured. What nodes
  offer has no influence.
- Without the annotation, a plain request becomes the first listed form.
- A pod is denied if no listed slice has as much (`gpu-memory-too-large`; the message has the memory of each), if the annotation
  is not a quantity of at least 1Mi (`gpu-memory-invalid`), or if it requests a listed slice by name that has less
  (`form-not-permitted`).
- All forms must be MIG slices that are not shared and whose memory was measured.
- The annotation is read when a pod is created. A change on an existing pod has no effect and is not evaluated: Kubernetes lets
  neither an update nor a resize change which GPU a pod has. A change in a template counts for the pods that are created from
  it, and is reported when the template is written. A manifest applied again with an amount that selects another slice is
  denied by Kubernetes; delete the pod first.
- Under other policies, the annotation causes a warning (`gpu-memory-ignored`). Under `any` and `none` it is not read.\
"""


def becomes(value: str, plugin: DevicePlugin) -> str:
    """The resource and node labels of a plain request under a policy value, or the rule that denies it."""
    policy = PolicyBook().resolve(value)
    if policy is None:
        raise SystemExit(f"{value} is not a policy")
    manifest = {"metadata": {}, "spec": {"containers": [{"name": "c", "resources": {"limits": {"nvidia.com/gpu": 1}}}]}}
    decision = decide(msgspec.convert(manifest, Pod), policy, plugin)
    if decision.denials:
        return f"denied: `{decision.denials[0].rule.id}`"
    renamed = [edit.new for edit in decision.edits if isinstance(edit, RenameResource)]
    needs = [str(edit.need) for edit in decision.edits if isinstance(edit, AddNeed)]
    return "<br>".join(f"`{part}`" for part in (f"{(renamed or ['nvidia.com/gpu'])[0]}: 1", *needs))


def names(patterns: Iterable[str]) -> str:
    """Names of resources as a sentence has them."""
    return ", ".join(f"`{pattern}`" for pattern in sorted(patterns))


def page() -> Iterator[str]:
    """The page's lines."""
    yield HEAD
    yield "| policy | under `renameByDefault: true` (the default here) | under `renameByDefault: false` |"
    yield "|---|---|---|"
    for value in VALUES:
        cells = (becomes(value, DevicePlugin(rename_by_default=renamed)) for renamed in (True, False))
        yield f"| `{value}` | {' | '.join(cells)} |"
    yield SINGLE
    yield "| policy | no `products` | `products: [NVIDIA-A100-SXM4-40GB]` |"
    yield "|---|---|---|"
    for value in VALUES[: VALUES.index("gke-exclusive")]:
        models: tuple[tuple[str, ...], ...] = ((), ("NVIDIA-A100-SXM4-40GB",))
        cells = (becomes(value, DevicePlugin(mig_strategy=MigStrategy.SINGLE, products=each)) for each in models)
        yield f"| `{value}` | {' | '.join(cells)} |"
    yield ""
    yield "## Rules"
    yield ""
    yield "The rules are listed in the order of evaluation. Rules that do not depend on the policy apply in every namespace"
    yield "that is not exempt, even under `any`."
    yield ""
    yield "| rule | under enforce | when | why, and what to do |"
    yield "|---|---|---|---|"
    for rule in RULES:
        text = RULE_TEXTS[rule.id]
        setting = "visibleDevices" if rule.access else "notOffered" if rule.fleet else None
        effect = f"as `{setting}` says" if setting else text.severity
        yield f"| `{rule.id}` | {effect} | {text.title} | {text.help} |"
    yield REPORTED
    yield "| id | severity | when | why, and what to do |"
    yield "|---|---|---|---|"
    for of_reports in (OPERATOR_TRAP.id, UNREADABLE_LABEL, INEFFECTIVE_LABEL, NOT_EVALUATED, REWRITTEN):
        text = RULE_TEXTS[of_reports]
        yield f"| `{text.id}` | {text.severity or 'none'} | {text.title} | {text.help} |"
    yield OTHER_NAMES.format(gpus=names(GPUS), not_gpus=names(NOT_GPUS), never=names(NEVER_SENT))
    yield TAIL


if __name__ == "__main__":
    sys.exit(generated.write(PAGE, "\n".join(page()) + "\n", "docs", sys.argv[1:]))
