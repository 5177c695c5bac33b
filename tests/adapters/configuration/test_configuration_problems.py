"""What is wrong with a configuration file: everything at once, each with its path and what to write instead."""

import copy
import datetime as dt
import re
from collections.abc import Iterator
from typing import Any, get_args

import pytest
import yaml
from pydantic_core import ErrorDetails
from pydantic_core.core_schema import ErrorType

from webhook.adapters.configuration.error_messages import problem as sentence
from webhook.adapters.configuration.file import ConfigurationError, parse

HEAD = "apiVersion: gpuwarden.io/v1\nkind: Configuration\n"


def problems(text: str) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as caught:
        parse(text)
    assert str(caught.value).splitlines() == list(caught.value.problems)
    return caught.value.problems


NO_VARIABLE = 'is not the name of an environment variable; use ASCII characters other than "="'
NO_RUNTIME_CLASS = (
    'is not the name of a RuntimeClass; use at most 253 lower-case letters, digits, "-" and ".", such as nvidia'
)
LABEL = 'at most 63 letters, digits, ".", "_" and "-", beginning and ending with a letter or digit'
NO_LABEL_KEY = (
    f"is not a key of labels; write <name> or <domain>/<name>, such as example.com/team; the name has {LABEL}"
)
NO_LABEL_VALUE = f"is not a value of labels; use {LABEL}"
BUILT_IN = "is a built-in policy value and can't be given another meaning; choose another name"
NO_LABEL = (
    'can\'t be the value of a namespace label; use at most 63 letters, digits, ".", "_" and "-", '
    "beginning and ending with a letter or digit"
)
SHARES = (
    "selects nodes that share GPUs, where a request above 1 is denied, and forms: [any] permits whole GPUs; list the shared form "
    "in forms, remove the label, or set maxPerContainer"
)
ALONE = "mixes any or none with other forms; remove one of them"
AMBIGUOUS = (
    '"mig-1g.6gb.me" needs devicePlugin.products under migStrategy single: only product names distinguish slices of 1g.6gb.me '
    "from those of 1g.6gb"
)
NO_PRODUCT = (
    "can't be the beginning of a label value; write the value of nvidia.com/gpu.product on nodes, without -MIG-…, of at "
    "most 52 characters"
)
OF_PRODUCT = "policies: {media: {forms: [exclusive, %s], nodeSelector: {nvidia.com/gpu.product: %s}}}"
NO_SLICES = (
    'is not a product of nodes with form "mig-1g.6gb": devicePlugin.products does not list NVIDIA-X1; if nodes of this model '
    "have MIG, ask an administrator to add it there, in gpuwarden's configuration, or remove it"
)
NO_MIG = (
    '"Tesla-T4" is not a product of nodes with form "mig-1g.6gb": Tesla-T4 has no MIG profile 1g.6gb (it has no MIG); select '
    "another product, or remove it"
)
LACKING = (
    '"mig-1g.6gb" has no nodes under migStrategy single: NVIDIA-H100-PCIe has no MIG profile 1g.6gb (its profiles are 1g.10gb, '
    "1g.20gb, 2g.20gb, 3g.40gb, 4g.40gb, 7g.80gb), nor has any other model that devicePlugin.products lists; use a profile of "
    "a listed model, or add the model that has it to devicePlugin.products"
)
H100_AND_A100 = "devicePlugin: {migStrategy: single, products: [NVIDIA-H100-PCIe, NVIDIA-A100-SXM4-40GB]}"
ANOTHER_FORM = (
    'is not a product of nodes with form "exclusive": it is the label of nodes with another form; select NVIDIA-A30 alone, or '
    "remove it"
)
REMOVE_IT = "remove it, or list only forms that have it"
NO_GPU = (
    'is not a product of nodes with form "exclusive": nodes have this label while their MIG configuration is invalid under '
    "MIG strategy single, and offer no GPU; select NVIDIA-A30, or remove it"
)
ALL_FIELDS = (
    "apiVersion, kind, mode, visibleDevices, notOffered, fleet, devicePlugin, gke, defaults, policies, "
    "exemptions, resources, claims, workloadKinds"
)


A_FORM = "is a GPU form, which policies permit or deny; remove it"


def no_resource(name: str, example: str = "example.com/gpu") -> str:
    return (
        f'"{name}" is not the name of an extended resource; write <domain>/<name>, such as {example}, or a '
        "prefix that ends in *"
    )


@pytest.mark.parametrize(
    ("text", "path", "problem"),
    [
        # A field that is not known.
        ("polices: {}", "polices", 'unknown field; did you mean "policies"?'),
        ("flavour: vanilla", "flavour", f"unknown field; remove it, or write one of {ALL_FIELDS}"),
        ("defaults: {warm: any}", "defaults.warm", 'unknown field; did you mean "warn"?'),
        ("exemptions: {scheduler: []}", "exemptions.scheduler", 'unknown field; did you mean "schedulers"?'),
        *(
            (
                f"devicePlugin: {{{key}: true}}",
                f"devicePlugin.{key}",
                'unknown field; did you mean "renameByDefault"?',
            )
            for key in ("renamebyDefault", "rename_by_default", "RenameByDefault")
        ),
        # A value that is none.
        ("mode: Audit", "mode", '"Audit" is not valid; write "enforce" or "audit"'),
        ("mode: 5", "mode", '5 is not valid; write "enforce" or "audit"'),
        (
            "devicePlugin: {renameByDefault: 'no'}",
            "devicePlugin.renameByDefault",
            '"no" is neither true nor false; write true or false, without quotes',
        ),
        (
            "defaults: {enforce: infrence}\npolicies: {inference: {forms: [mps]}}",
            "defaults.enforce",
            '"infrence" is not a policy; did you mean "inference"?',
        ),
        ("defaults: {warn: mps2}", "defaults.warn", '"mps2" is not a policy; did you mean "mps"?'),
        ("defaults: {audit: 5}", "defaults.audit", '5 is not text; put it in quotes: "5"'),
        ("defaults: {audit: null}", "defaults.audit", "null is not text; write text, or remove the field"),
        ("exemptions: {usernames: bob}", "exemptions.usernames", '"bob" is not a list; write ["bob"]'),
        (
            "exemptions: {namespaces: ['']}",
            "exemptions.namespaces[0]",
            '"" is empty; write a name, or remove it',
        ),
        (
            "exemptions: {namespaces: [Foo_]}",
            "exemptions.namespaces[0]",
            (
                '"Foo_" can\'t be the name of a namespace, and names are matched exactly; use at most 63 lowercase letters, '
                'digits and "-", beginning and ending with a letter or digit'
            ),
        ),
        (
            "exemptions: {runtimeClasses: [Kata]}",
            "exemptions.runtimeClasses[0]",
            (
                '"Kata" can\'t be the name of a runtime class, and names are matched exactly; use at most 253 lowercase letters, '
                'digits, "-" and ".", each part beginning and ending with a letter or digit'
            ),
        ),
        (
            'exemptions: {usernames: ["system:serviceaccount:*:builder"]}',
            "exemptions.usernames[0]",
            (
                '"system:serviceaccount:*:builder" can\'t be a service account, and names are matched exactly; write '
                "system:serviceaccount:<namespace>:<name>"
            ),
        ),
        *(
            (
                f'exemptions: {{{key}: ["{value}"]}}',
                f"exemptions.{key}[0]",
                f'"{value}" would match no name: names are matched exactly; write each without * and spaces around it',
            )
            for key, value in (("usernames", "ci-*"), ("usernames", " bob"), ("schedulers", "kai-*"))
        ),
        # Names of resources.
        ("resources: {notGpus: []}", "resources.notGpus", 'unknown field; did you mean "notGPUs"?'),
        ("resources: {GPUs: []}", "resources.GPUs", 'unknown field; did you mean "gpus"?'),
        ("resources: {gpus: nvidia.com/a}", "resources.gpus", '"nvidia.com/a" is not a list; write ["nvidia.com/a"]'),
        ("resources: {gpus: [5]}", "resources.gpus[0]", '5 is not text; put it in quotes: "5"'),
        ("resources: {gpus: [vgpu]}", "resources.gpus[0]", no_resource("vgpu", "nvidia.com/vgpu")),
        *(
            (f"resources: {{notGPUs: ['{name}']}}", "resources.notGPUs[0]", no_resource(name))
            for name in (
                "",
                "/gpu",
                "a/b/c",
                "A.com/gpu",
                "*/gpu",
                "a.com/*gpu",
                "a.com/g*u",
                "a.com/**",
                "a.com/-",
                "a.com/",
            )
        ),
        ("resources: {gpus: ['*']}", "resources.gpus[0]", no_resource("*", "nvidia.com/*")),
        *(
            (f"resources: {{{key}: [{name}]}}", f"resources.{key}[0]", f'"{name}" {A_FORM}')
            for key in ("gpus", "notGPUs")
            for name in ("nvidia.com/gpu", "nvidia.com/mig-1g.5gb.shared")
        ),
        (
            "resources: {gpus: [a.com/x, a.com/y*], notGPUs: [a.com/y*, a.com/z]}",
            "resources",
            '"a.com/y*" is listed in gpus and in notGPUs; remove it from one of them',
        ),
        (
            "resources: {gpus: [a.com/x, a.com/x]}",
            "resources.gpus",
            '"a.com/x" is listed more than once; remove the repetition',
        ),
        *(
            (
                f"claims: {{deviceClasses: {{'{name}': exclusive}}}}",
                f"claims.deviceClasses.{name}",
                f"{told} can't be the name of a DeviceClass, and names are matched exactly; write one such as gpu.nvidia.com",
            )
            for name, told in (
                *((name, f'"{name}"') for name in ("GPU.nvidia.com", "gpu*", "a/b")),
                ("a" * 254, f'"{"a" * 80}…"'),
            )
        ),
        *(
            (
                f"claims: {{deviceClasses: {{a: '{form}'}}}}",
                "claims.deviceClasses.a",
                (
                    f'"{form}" is not a form; write one such as exclusive or mig-1g.5gb, or "mig" for MIG slices whose profile '
                    "the selectors of a claim name"
                ),
            )
            for form in ("any", "none", "", "mig-1g", "Exclusive")
        ),
        ("claims: {deviceClass: {}}", "claims.deviceClass", 'unknown field; did you mean "deviceClasses"?'),
        ("policies: []", "policies", "a list is not a mapping; write names with values"),
        ("policies: null", "policies", "null is not a mapping; write names with values, or remove the field"),
        # MIG strategy single, and the models that tell slices there.
        (
            "devicePlugin: {migStrategy: none}",
            "devicePlugin.migStrategy",
            '"none" is not valid; write "mixed" or "single"',
        ),
        (
            "devicePlugin: {products: [NVIDIA-A30]}",
            "devicePlugin",
            "products is set, but is read with migStrategy: single only; remove products, or set migStrategy as on the nodes",
        ),
        (
            "devicePlugin: {migStrategy: single, products: [NVIDIA-A30-MIG-1g.6gb]}",
            "devicePlugin.products[0]",
            '"NVIDIA-A30-MIG-1g.6gb" names one form of a model; write the model alone: NVIDIA-A30',
        ),
        (
            "devicePlugin: {migStrategy: single, products: [NVIDIA-A30-MIG-INVALID]}",
            "devicePlugin.products[0]",
            '"NVIDIA-A30-MIG-INVALID" names one form of a model; write the model alone: NVIDIA-A30',
        ),
        (
            "devicePlugin: {migStrategy: single, products: [NVIDIA-A30-mig-1g.6gb]}",
            "devicePlugin.products[0]",
            '"NVIDIA-A30-mig-1g.6gb" names one form of a model; write the model alone',
        ),
        # A policy's own product.
        *(
            (
                f"devicePlugin: {{migStrategy: single, products: [{products}]}}\n"
                + OF_PRODUCT.replace("exclusive, ", "") % ("mig-1g.6gb", product),
                "policies.media.nodeSelector[nvidia.com/gpu.product]",
                f'"{product}" {NO_SLICES}',
            )
            for products in ("", "NVIDIA-A30")
            for product in ("NVIDIA-X1", "NVIDIA-X1-MIG-1g.6gb")
        ),
        (
            "devicePlugin: {migStrategy: single, products: [NVIDIA-A30]}\n" + OF_PRODUCT % ("mig-1g.6gb", "Tesla-T4"),
            "policies.media.nodeSelector[nvidia.com/gpu.product]",
            NO_MIG,
        ),
        *(
            (
                f"devicePlugin: {{migStrategy: {strategy}}}\n" + OF_PRODUCT % ("shared", f"NVIDIA-A30{suffix}"),
                "policies.media.nodeSelector[nvidia.com/gpu.product]",
                f'"NVIDIA-A30{suffix}" {ANOTHER_FORM}',
            )
            for strategy in ("single", "mixed")
            for suffix in ("-SHARED", "-MIG-1g.6gb", "-MIG-1g.6gb-SHARED")
        ),
        # A form whose profile no listed model has.
        (
            f"{H100_AND_A100}\npolicies: {{media: {{forms: [mig-1g.5gb, mig-1g.6gb]}}}}",
            "policies.media.forms[1]",
            LACKING,
        ),
        (
            "devicePlugin: {migStrategy: single, products: [NVIDIA-H100-PCIe]}\ndefaults: {enforce: mig-1g.6gb}",
            "defaults.enforce",
            LACKING,
        ),
        # A policy's own labels against its forms.
        *(
            (
                f"devicePlugin: {{{plugin}}}\npolicies: {{media: {{forms: [{forms}], nodeSelector: {{{key}: '{value}'}}}}}}",
                f"policies.media.nodeSelector[{key}]",
                f'"{value}" is not on nodes with form "{form}" ({has}); {REMOVE_IT}',
            )
            for plugin, forms, key, value, form, has in (
                (
                    "",
                    "mps",
                    "nvidia.com/gpu.sharing-strategy",
                    "time-slicing",
                    "mps",
                    "nvidia.com/gpu.sharing-strategy: mps",
                ),
                (
                    "",
                    "shared, exclusive",
                    "nvidia.com/gpu.sharing-strategy",
                    "mps",
                    "exclusive",
                    "nvidia.com/gpu.sharing-strategy NotIn [time-slicing, mps]",
                ),
                (
                    "",
                    "exclusive",
                    "cloud.google.com/gke-gpu-partition-size",
                    "1g.5gb",
                    "exclusive",
                    "cloud.google.com/gke-gpu-partition-size DoesNotExist",
                ),
                (
                    "",
                    "gke-mps-4",
                    "cloud.google.com/gke-max-shared-clients-per-gpu",
                    "8",
                    "gke-mps-4",
                    "cloud.google.com/gke-max-shared-clients-per-gpu: 4",
                ),
                ("", "mps", "nvidia.com/mps.capable", "false", "mps", "nvidia.com/mps.capable NotIn [false]"),
                (
                    "",
                    "mig-1g.5gb",
                    "nvidia.com/mig.strategy",
                    "single",
                    "mig-1g.5gb",
                    "nvidia.com/mig.strategy NotIn [single, none]",
                ),
                (
                    "migStrategy: single",
                    "mig-1g.5gb",
                    "nvidia.com/mig.strategy",
                    "mixed",
                    "mig-1g.5gb",
                    "nvidia.com/mig.strategy: single",
                ),
                (
                    "migStrategy: single",
                    "mig-1g.5gb",
                    "nvidia.com/mig.capable",
                    "false",
                    "mig-1g.5gb",
                    "nvidia.com/mig.capable: true",
                ),
                (
                    "migStrategy: single",
                    "mig-1g.5gb",
                    "nvidia.com/gpu.memory",
                    "40536",
                    "mig-1g.5gb",
                    "nvidia.com/gpu.memory Lt [5350]",
                ),
                (
                    "migStrategy: single, products: [NVIDIA-A100-SXM4-40GB]",
                    "mig-1g.5gb",
                    "nvidia.com/gpu.slices.gi",
                    "2",
                    "mig-1g.5gb",
                    "nvidia.com/gpu.slices.gi In [1]",
                ),
                (
                    "migStrategy: single",
                    "exclusive",
                    "nvidia.com/gpu.slices.gi",
                    "1",
                    "exclusive",
                    "nvidia.com/gpu.slices.gi DoesNotExist",
                ),
            )
        ),
        (
            OF_PRODUCT % ("shared", "NVIDIA-A30-MIG-INVALID"),
            "policies.media.nodeSelector[nvidia.com/gpu.product]",
            f'"NVIDIA-A30-MIG-INVALID" {NO_GPU}',
        ),
        *(
            (
                f"devicePlugin: {{migStrategy: single, products: ['{product}']}}",
                "devicePlugin.products[0]",
                f'"{product}" {NO_PRODUCT}',
            )
            for product in ("NVIDIA A30", "x" * 53, "")
        ),
        (
            "devicePlugin: {migStrategy: single, products: [NVIDIA-A30, NVIDIA-A30]}",
            "devicePlugin.products",
            '"NVIDIA-A30" is listed more than once; remove the repetition',
        ),
        (
            "devicePlugin: {migStrategy: single}\npolicies: {media: {forms: [mig-1g.6gb, mig-1g.6gb.me]}}",
            "policies.media.forms[1]",
            AMBIGUOUS,
        ),
        ("devicePlugin: {migStrategy: single}\ndefaults: {warn: mig-1g.6gb.me}", "defaults.warn", AMBIGUOUS),
        ("gke: {autopilot: 1}", "gke.autopilot", "1 is neither true nor false; write true or false, without quotes"),
        # Names of policies.
        *(
            (f"policies: {{{name}: {{forms: [shared]}}}}", f"policies.{name}", f'"{name}" {BUILT_IN}')
            for name in ("mps", "any", "none", "mig-9g.999gb", "gke-mps-48")
        ),
        *(
            (f"policies: {{'{name}': {{forms: [mps]}}}}", f"policies.{name}", f'"{name}" {NO_LABEL}')
            for name in ("a b", "-a", "a.", "a/b", "ä", "x" * 64)
        ),
        ("policies: {1: {forms: [mps]}}", "policies[1]", '1 is not text; put it in quotes: "1"'),
        # Repetitions.
        ("mode: audit\nmode: enforce", "mode", "is defined twice, in lines 3 and 4; remove one"),
        (
            "policies:\n  house: {forms: [mps]}\n  house: {forms: [shared]}",
            "policies.house",
            "is defined twice, in lines 4 and 5; remove one",
        ),
        (
            "policies:\n  house:\n    forms: [mps]\n    tolerations: [{key: a, key: b}]",
            "policies.house.tolerations[0].key",
            "is defined twice, in lines 6 and 6; remove one",
        ),
        (
            "exemptions: {usernames: [a, b, a, a]}",
            "exemptions.usernames",
            '"a" is listed more than once; remove the repetition',
        ),
    ],
)
def test_a_problem_is_told_with_its_path_and_remedy(text: str, path: str, problem: str) -> None:
    assert problems(HEAD + text) == (f"{path}: {problem}",)


@pytest.mark.parametrize(
    ("fields", "path", "problem"),
    [
        # Forms.
        ("{}", ".forms", "is missing; write the forms that the policy permits, such as forms: [shared]"),
        ("{forms: []}", ".forms", "the list is empty; name at least one, such as [shared]"),
        ("{forms: mps}", ".forms", '"mps" is not a list; write ["mps"]'),
        ("{forms: [5]}", ".forms[0]", "5 is not a form; write one as text, such as mig-1g.5gb"),
        (
            "{forms: [{claimTemplate: a, deviceClass: b, mps: 1}]}",
            ".forms[0].mps",
            "unknown field; remove it, or write one of claimTemplate, deviceClass",
        ),
        (
            "{forms: [{claimTemplate: a, deviceClass: b, DeviceClass: c}]}",
            ".forms[0].DeviceClass",
            'unknown field; did you mean "deviceClass"?',
        ),
        (
            "{forms: [{deviceClass: a.b}]}",
            ".forms[0].claimTemplate",
            "is missing; write the name of a ResourceClaimTemplate",
        ),
        (
            "{forms: [{claimTemplate: One, deviceClass: a.b}]}",
            ".forms[0].claimTemplate",
            '"One" is not the name of a ResourceClaimTemplate; use at most 253 lowercase letters, digits, "-" and "."',
        ),
        (
            "{forms: [{claimTemplate: a, deviceClass: 3}]}",
            ".forms[0].deviceClass",
            '3 is not text; put it in quotes: "3"',
        ),
        (
            "{forms: [any, {claimTemplate: a, deviceClass: b}]}",
            "",
            'forms: [any, a claim of ResourceClaimTemplate "a"] mixes any or none with other forms; remove one of them',
        ),
        (
            "{forms: [{claimTemplate: a, deviceClass: b}, mps], prefer: offered}",
            "",
            (
                "prefer: offered chooses among forms by name, and a claim is listed first; list a form by name first, or remove "
                "prefer"
            ),
        ),
        *(
            (
                f"{{forms: [{forms}], prefer: memory}}",
                "",
                (
                    "prefer: memory selects MIG slices by their memory, and forms lists something else; list only forms such as "
                    "mig-1g.10gb, or remove prefer"
                ),
            )
            for forms in (
                "mig-1g.10gb, mps",
                "mig-1g.10gb-shared",
                "any",
                "mig-1g.10gb, {claimTemplate: a, deviceClass: b}",
            )
        ),
        (
            "{forms: [mig-1g.5gb, mig-1g.23gb], prefer: memory}",
            ".prefer",
            (
                "memory can't select \"mig-1g.23gb\", because its memory is not measured on all of the policy's GPU models "
                "(docs/reference/forms.md); remove the form, or select a measured model in nodeSelector"
            ),
        ),
        (
            "{forms: [{claimTemplate: a, deviceClass: b}, mps], mismatch: rewrite}",
            "",
            (
                "mismatch: rewrite changes other requests to the first form, which can't be a claim; list a form by name "
                "first, or remove mismatch"
            ),
        ),
        ("{forms: [mig1g.5gb]}", ".forms[0]", '"mig1g.5gb" is not a policy; did you mean "mig-1g.5gb"?'),
        ("{forms: [mps, gke-mps-1]}", ".forms[1]", '"gke-mps-1" is not a policy; did you mean "gke-mps-2"?'),
        ("{forms: [mps, mps]}", ".forms", '"mps" is listed more than once; remove the repetition'),
        ("{forms: [any, mps]}", "", f"forms: [any, mps] {ALONE}"),
        ("{forms: [mps, none]}", "", f"forms: [mps, none] {ALONE}"),
        # Settings.
        (
            "{forms: [mps], maxPerContainers: 1}",
            ".maxPerContainers",
            'unknown field; did you mean "maxPerContainer"?',
        ),
        ("{forms: [mps], mismatch: refuse}", ".mismatch", '"refuse" is not valid; write "reject" or "rewrite"'),
        ("{forms: [mps], maxPerContainer: 0}", ".maxPerContainer", "0 is less than 1; write 1 or more"),
        (
            "{forms: [mps], maxPerPod: '4'}",
            ".maxPerPod",
            '"4" is not a whole number; write one without quotes, such as 4',
        ),
        (
            "{forms: [mps], maxPerPod: 1.5}",
            ".maxPerPod",
            "1.5 is not a whole number; write one without quotes, such as 4",
        ),
        (
            "{forms: [gke-time-sharing-4], maxPerContainer: 2}",
            "",
            "maxPerContainer: 2 cannot be met, because GKE denies more than 1 GPU per container for time-sharing; remove it",
        ),
        *(
            (
                f"{{forms: [any], nodeSelector: {{{key}: {value}}}}}",
                "",
                f"nodeSelector[{key}] {SHARES}",
            )
            for key, value in (
                ("nvidia.com/gpu.sharing-strategy", "mps"),
                ("nvidia.com/gpu.product", "NVIDIA-A10-SHARED"),
                ("cloud.google.com/gke-gpu-sharing-strategy", "time-sharing"),
                ("cloud.google.com/gke-max-shared-clients-per-gpu", "'2'"),
            )
        ),
        ("{forms: [mps], env: {A: 25}}", ".env.A", '25 is not text; put it in quotes: "25"'),
        # What the API server would refuse in every pod of the policy.
        ("{forms: [mps], env: {A=B: c}}", ".env.A=B", f'"A=B" {NO_VARIABLE}'),
        ("{forms: [mps], nodeSelector: {a b: c}}", ".nodeSelector.a b", f'"a b" {NO_LABEL_KEY}'),
        ("{forms: [mps], nodeSelector: {a: b c}}", ".nodeSelector.a", f'"b c" {NO_LABEL_VALUE}'),
        ("{forms: [mps], runtimeClassName: NVIDIA}", ".runtimeClassName", f'"NVIDIA" {NO_RUNTIME_CLASS}'),
        ("{forms: [mps], runtimeClassName: ''}", ".runtimeClassName", f'"" {NO_RUNTIME_CLASS}'),
        # Tolerations.
        (
            "{forms: [mps], tolerations: [{operater: Exists, key: a}]}",
            ".tolerations[0].operater",
            'unknown field; did you mean "operator"?',
        ),
        ("{forms: [mps], tolerations: [{key: a/b/c}]}", ".tolerations[0].key", f'"a/b/c" {NO_LABEL_KEY}'),
        (
            "{forms: [mps], tolerations: [{key: a, effect: Never}]}",
            ".tolerations[0].effect",
            '"Never" is not valid; write "NoSchedule", "PreferNoSchedule" or "NoExecute"',
        ),
        (
            "{forms: [mps], tolerations: [{}]}",
            ".tolerations[0]",
            "key is missing; name the key of a taint, or write operator: Exists to tolerate every taint",
        ),
        (
            "{forms: [mps], tolerations: [{key: a, operator: Exists, value: b}]}",
            ".tolerations[0]",
            'value: "b" needs operator: Equal, but operator is Exists; remove one of them',
        ),
        (
            "{forms: [mps], tolerations: [{key: a, tolerationSeconds: 1}]}",
            ".tolerations[0]",
            "tolerationSeconds: 1 needs effect: NoExecute; remove tolerationSeconds, or write effect: NoExecute",
        ),
        (
            "mps",
            "",
            (
                '"mps" is not a mapping; write its fields: forms, mismatch, maxPerContainer, maxPerPod, nodeSelector, '
                "tolerations, runtimeClassName, env, visibleDevices, adminAccess, notOffered, prefer"
            ),
        ),
        (
            "{forms: [mps], tolerations: [{key: a, effect: NoExecute, tolerationSeconds: -1}]}",
            ".tolerations[0].tolerationSeconds",
            "-1 is less than 0; write 0 or more",
        ),
    ],
)
def test_a_problem_of_a_policy_is_told_with_its_path_and_remedy(fields: str, path: str, problem: str) -> None:
    assert problems(f"{HEAD}policies: {{house: {fields}}}") == (f"policies.house{path}: {problem}",)


def test_the_head_says_what_the_file_is() -> None:
    assert problems("mode: audit") == (
        "apiVersion: is missing; write apiVersion: gpuwarden.io/v1",
        "kind: is missing; write kind: Configuration",
    )
    assert problems("apiVersion: gpuwarden.io/v2\nkind: Config") == (
        'apiVersion: "gpuwarden.io/v2" is not valid; write "gpuwarden.io/v1"',
        'kind: "Config" is not valid; write "Configuration"',
    )


OF_ANOTHER_KIND = "kind: Pod of v1 is not a configuration of gpuwarden; name a file with"
OF_THE_CHART = "config: this is a section of the chart's values; copy the fields below it to a file with"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {}", OF_ANOTHER_KIND),
        ("image: {}\nconfig: {policies: {}}\nreplicas: 2", OF_THE_CHART),
        (f"{HEAD}---\n{HEAD}", "line 3: a second document begins here; keep one, and remove the line ---"),
    ],
)
def test_another_file_is_one_problem(text: str, problem: str) -> None:
    (told,) = problems(text)
    assert told.startswith(problem)


def test_everything_wrong_is_told_at_once_and_nothing_twice() -> None:
    text = """
apiVersion: gpuwarden.io/v1
mode: dry
devicePlugin: {renameByDefault: 1}
defaults: {enforce: hose, warn: none, warn: any}
policies:
  house: {forms: [mps, 5], maxPerPod: -1}
  shared: {forms: [any, none]}
exemptions: {namespaces: [a, a], user: [b]}
"""

    told = problems(text)

    paths = [problem.partition(": ")[0] for problem in told]
    assert sorted(paths) == [
        "defaults.enforce",
        "defaults.warn",
        "devicePlugin.renameByDefault",
        "exemptions.namespaces",
        "exemptions.user",
        "kind",
        "mode",
        "policies.house.forms[1]",
        "policies.house.maxPerPod",
        "policies.shared",
        "policies.shared",
    ]
    assert len(set(told)) == len(told)


@pytest.mark.parametrize("text", ["", " \n", "# nothing yet\n", "---\n", "null"])
def test_an_empty_file_is_no_configuration_however_it_came_about(text: str) -> None:
    """An editor or a copy that is caught halfway must not mean that there are no policies."""
    assert problems(text) == ("the file is empty; write apiVersion: gpuwarden.io/v1 and kind: Configuration at least",)


@pytest.mark.parametrize(("text", "what"), [("[]", "a list"), ("5", "5"), ("text", '"text"'), ("- a: b", "a list")])
def test_a_file_that_is_no_mapping_says_what_it_is(text: str, what: str) -> None:
    assert problems(text) == (
        f"the file holds {what}, not a mapping; write apiVersion: gpuwarden.io/v1 and kind: Configuration at least",
    )


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("mode: [", "line 3: "),
        ("mode: audit\n kind: x", "line 4: "),
        ("mode: a\n\tb: c", "line 4: "),
        ("mode: \x00", "line 3: "),
        (
            "---\nmode: audit",
            "line 3: a second document begins here; keep one, and remove the line ---",
        ),
        (
            "policies:\n  a: 1\n  ? [b]\n  : 2",
            "line 5: a key is not text in the map that begins on line 4; write text as the key",
        ),
        ("mode: !!python/name:os.system x", "line 3: the tag is not known; remove it"),
        ("mode: 2026-13-01", "a value can't be read: "),
        ("? [a, b]\n: c", "line 3: "),
        ("mode: *nobody", "line 3: "),
        (
            'policies: {house: {forms: [mps], env: {A: "a\\ud83d\\ude00"}}}',
            "line 3: the escape is half of a character; write the character itself",
        ),
    ],
)
def test_what_is_no_yaml_is_told_on_one_line_with_its_place(text: str, line: str) -> None:
    [problem] = problems(HEAD + text)

    assert problem.startswith(line)


@pytest.mark.parametrize(
    "text", ["[" * 100_000, "a: " + "[" * 5000 + "]" * 5000, "&a [*a]\n", "a: &a {b: *a}", "a: &a [*a]"]
)
def test_no_depth_of_nesting_does_more_than_fail(text: str) -> None:
    problems(text)


def test_a_file_that_is_cut_off_is_refused_wherever_that_leaves_a_hole() -> None:
    whole = HEAD + "policies:\n  house:\n    forms: [mps]\n    maxPerPod: 2\n"

    parse(whole)
    for end in range(whole.index("policies:") + len("policies:"), whole.index("[mps]") + len("[mps")):
        problems(whole[:end])


WHOLE = """
apiVersion: gpuwarden.io/v1
kind: Configuration
mode: audit
visibleDevices: warn
devicePlugin: {renameByDefault: true, migStrategy: single, products: [NVIDIA-A30]}
gke: {autopilot: false}
defaults: {enforce: team, warn: any, audit: any}
policies:
  team:
    forms: [mps]
    mismatch: reject
    maxPerContainer: 1
    maxPerPod: 2
    nodeSelector: {a: b}
    tolerations: [{key: a, operator: Equal, value: b, effect: NoExecute, tolerationSeconds: 5}]
    runtimeClassName: nvidia
    env: {A: b}
    visibleDevices: deny
    adminAccess: true
exemptions: {namespaces: [a], usernames: [a], runtimeClasses: [a], schedulers: [a]}
resources: {gpus: [a.com/b], notGPUs: [a.com/c]}
claims: {deviceClasses: {a: mig}}
"""
WRONG: tuple[object, ...] = (None, True, -1, 1.5, "no such value", [[]], {"x": {}}, {5: 5}, dt.date(2026, 1, 1))
# Words for programmers, of pydantic and of Python.
JARGON = re.compile(
    r"Input|should|valid (string|list|dict|int)|String|List |Field|dictionary|instance|Extra|\bstr\b|\bint\b|None|Keys"
)


def replaced(document: Any, value: object) -> Iterator[Any]:
    """Every document that has the value in the place of one part; the first is the value itself."""
    yield value
    for key in document if isinstance(document, dict) else range(len(document)) if isinstance(document, list) else ():
        for inner in replaced(document[key], value):
            changed = copy.copy(document)
            changed[key] = inner
            yield changed


def test_no_wrong_value_of_any_field_is_answered_in_words_for_programmers() -> None:
    whole = yaml.safe_load(WHOLE)
    parse(WHOLE)
    seen = 0
    for value in WRONG:
        for document in list(replaced(whole, value))[1:]:
            try:
                parse(yaml.safe_dump(document))
            except ConfigurationError as error:
                for problem in error.problems:
                    seen += 1
                    assert re.fullmatch(r"[^\n]+?: [^\n]+(; |\?|did you mean)[^\n]*", problem), problem
                    assert not JARGON.search(problem), problem
    assert seen > len(WRONG) * 30


@pytest.mark.parametrize("kind", sorted({*get_args(ErrorType), "of another version"} - {"value_error"}))
def test_no_type_of_error_of_pydantic_reaches_a_person_in_its_words(kind: str) -> None:
    """Those that the model can't raise today as well: it grows, and so does pydantic."""
    detail = ErrorDetails(type=kind, loc=("policies", "team", "forms"), msg="PYDANTIC", input="x")

    told = sentence(detail)

    assert told.startswith("policies.team")
    assert "; " in told
    assert "PYDANTIC" not in told
