"""Rewriting into claims (DRA): a plain request becomes a reference to the ResourceClaimTemplate that the policy lists first.

gpuwarden creates nothing: the template exists in the pod's namespace, and Kubernetes creates the pod's claim from it.
"""

from collections.abc import Iterable
from itertools import count

import msgspec

from .claims import TEMPLATE, Reference, Resolved
from .edits import ClaimInstead
from .findings import Finding
from .form_selection import Statements
from .node_constraints import NodeConstraints
from .pods import PodSpec, containers
from .policy import ClaimForm, Policy
from .requests import GpuContainer
from .resources import GPU
from .rules import plain_claims
from .rules.permission import per_container_limit, per_pod_limit
from .spelling import DevicePlugin

OWN = "gpuwarden-"
"""The prefix of a pod's names for claims that are added here; a number follows."""


class Rewriting(msgspec.Struct, frozen=True):
    """The outcome for a pod's plain requests: the other requests, the edits, and the findings that prevent them."""

    others: list[GpuContainer]
    edits: tuple[ClaimInstead, ...] = ()
    findings: tuple[Finding, ...] = ()


def references(policies: Iterable[Policy]) -> list[Reference]:
    """The templates that plain requests become claims of, each once."""
    listed = (policy.plain_claim for policy in policies)
    return list(dict.fromkeys(Reference(TEMPLATE, form.template) for form in listed if form))


def rewritten(  # noqa: PLR0913, PLR0917 - what a decision knows
    gpu_containers: list[GpuContainer],
    spec: PodSpec,
    policy: Policy,
    form: ClaimForm,
    nodes: NodeConstraints,
    plugin: DevicePlugin,
    resolved: Resolved,
) -> Rewriting:
    """Rewrite a pod's plain requests under a policy that turns them into claims.

    A request that names a form is not plain. An unknown template is assumed to claim what is requested.
    """
    statements = Statements(nodes, plugin, policy.forms)
    plain = [gpu_container for gpu_container in gpu_containers if gpu_container.amounts[0].resource.name == GPU]
    if not plain or statements.of(plain[0].amounts[0].resource) or statements.in_part(plain[0].amounts[0].resource):
        return Rewriting(gpu_containers)
    findings = [finding for gpu_container in plain if (finding := _prevented(gpu_container, policy, form, resolved))]
    findings += plain_claims.one_after_another(plain, policy)
    others = [gpu_container for gpu_container in gpu_containers if gpu_container not in plain]
    if (limit := policy.max_per_pod) is not None and not any(per_pod_limit(spec, others, policy, limit)):
        findings += per_pod_limit(spec, gpu_containers, policy, limit)
    # If a container uses a name that the pod does not define, the pod is invalid. Adding the name would make it valid.
    used = (each for _, _, one in containers(spec) for each in (one.resources and one.resources.claims) or ())
    taken = {claim.name for claim in (*(spec.resource_claims or ()), *used)}
    names = (name for number in count() if (name := f"{OWN}{number}") not in taken)
    edits = [
        ClaimInstead(gpu_container.place, GPU, gpu_container.amounts[0].sections, name, form.template)
        for gpu_container, name in zip(plain, names, strict=False)
    ]
    return Rewriting(others, tuple(edits), tuple(findings))


def _prevented(gpu_container: GpuContainer, policy: Policy, form: ClaimForm, resolved: Resolved) -> Finding | None:
    found = per_container_limit(gpu_container, gpu_container.amounts[0], policy) or plain_claims.beside_claims(
        gpu_container, policy
    )
    reference = Reference(TEMPLATE, form.template)
    if found or reference not in resolved:
        return found
    return plain_claims.template_mismatch(gpu_container, form, resolved[reference], policy)
