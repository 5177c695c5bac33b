"""The chart's part of the admission policies: what Helm can't derive from the values, as a value of the chart itself.

Helm adds what it knows: names of namespaces, exemptions, bindings, metadata. So a change of those needs no new compilation.
"""

from typing import Any

import msgspec

from ..engine.common_case_pods import condition
from .configuration import Configuration, Exemptions, Mode
from .in_tree_compiler import ANNOTATION, OTHERS, WARNS, CompiledPolicies, compiled, object_name

Json = dict[str, Any]

DIGEST = "gpuwarden.io/configuration"
"""Annotation of the chart's ConfigMap: a digest of the values that the admission policies depend on."""


def for_chart(configuration: Configuration, values: tuple[str, ...], digest: str) -> tuple[Json, CompiledPolicies]:
    """The chart's value ``inTree.compiled``, and what it is made from.

    Args:
        configuration: the configuration; its mode and its exemptions are left to Helm.
        values: built-in policy values that namespaces are labelled with.
        digest: the digest by which the chart recognises the configuration (`DIGEST`).
    """
    plain = msgspec.structs.replace(configuration, mode=Mode.ENFORCE, exemptions=Exemptions())
    made = compiled(plain, values, deny_others=True)
    policies = []
    for case in made.cases:
        policy = case.policy.name
        name = object_name(policy)
        specs = {
            (each["kind"], each["metadata"]["name"]): each["spec"]
            for each in made.objects
            if each["metadata"]["annotations"][ANNOTATION] == policy and not each["kind"].endswith("Binding")
        }
        kinds = {
            "mutating": specs.get(("MutatingAdmissionPolicy", name)),
            "validating": specs.get(("ValidatingAdmissionPolicy", name)),
            "warns": specs.get(("ValidatingAdmissionPolicy", f"{name}{WARNS}")),
            "others": specs.get(("ValidatingAdmissionPolicy", f"{name}{OTHERS}")),
        }
        written = {kind: spec for kind, spec in kinds.items() if spec}
        policies.append({"policy": policy, "name": name, "commonCase": condition(case), **written})
    return {"configuration": digest, "policies": policies}, made
