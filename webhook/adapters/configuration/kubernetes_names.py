"""Names in the configuration file, as Kubernetes accepts them: an invalid one would match nothing."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from ...application import field_paths
from ...application.object_names import SUBDOMAIN, VALID_NAME, VALID_NAMESPACE
from ...engine.policy import built_in
from ...engine.products import LONGEST_VALUE, read_product
from ...engine.resources import GpuResource, classify
from ..shown import shown

# A name is selected by a label, so it has to be a label's value.
_NAME_PART = r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"
_NAME = re.compile(_NAME_PART)


def _policy_name(value: str) -> str:
    if built_in(value) is not None:
        raise ValueError(
            f'"{value}" is a built-in policy value and can\'t be given another meaning; choose another name'
        )
    if not _NAME.fullmatch(value):
        raise ValueError(
            f'"{value}" can\'t be the value of a namespace label; use at most 63 letters, digits, ".", "_" and "-", '
            "beginning and ending with a letter or digit"
        )
    return value


PolicyName = Annotated[str, AfterValidator(_policy_name)]


def _matching(pattern: str, what: str, fix: str, *, fault: str = "is not") -> AfterValidator:
    """Text that Kubernetes accepts as ``what``; with any other the API server would deny every GPU pod of a policy."""
    valid = re.compile(pattern)

    def check(value: str) -> str:
        if not valid.fullmatch(value):
            raise ValueError(f"{shown(value)} {fault} {what}; {fix}")
        return value

    return AfterValidator(check)


_LABEL_WORDS = 'at most 63 letters, digits, ".", "_" and "-", beginning and ending with a letter or digit'
LabelKey = Annotated[
    str,
    _matching(
        rf"((?=[^/]{{1,253}}/){SUBDOMAIN}/)?{_NAME_PART}",
        "a key of labels",
        f"write <name> or <domain>/<name>, such as example.com/team; the name has {_LABEL_WORDS}",
    ),
]
LabelValue = Annotated[str, _matching(rf"({_NAME_PART})?", "a value of labels", f"use {_LABEL_WORDS}")]
EnvName = Annotated[
    str, _matching(r"[ -<>-~]+", "the name of an environment variable", 'use ASCII characters other than "="')
]
RuntimeClass = Annotated[
    str,
    _matching(
        VALID_NAME.pattern,
        "the name of a RuntimeClass",
        'use at most 253 lower-case letters, digits, "-" and ".", such as nvidia',
    ),
]


def _exactly(pattern: str, what: str, fix: str) -> AfterValidator:
    """A name that objects can have; names are matched exactly, so any other would match none."""
    return _matching(pattern, f"{what}, and names are matched exactly", fix, fault="can't be")


def _exact_name(value: str) -> str:
    if "*" in value or value != value.strip():
        raise ValueError(
            f'"{value}" would match no name: names are matched exactly; write each without * and spaces around it'
        )
    return value


def _user_name(value: str) -> str:
    account = value.removeprefix(_SERVICE_ACCOUNT)
    namespace, colon, name = account.partition(":")
    is_account = colon and VALID_NAMESPACE.fullmatch(namespace) and re.fullmatch(SUBDOMAIN, name)
    if account != value and not is_account:
        raise ValueError(
            f'"{value}" can\'t be a service account, and names are matched exactly; write {_SERVICE_ACCOUNT}<namespace>:<name>'
        )
    return _exact_name(value)


# k8s.io/apiserver pkg/authentication/serviceaccount MakeUsername.
_SERVICE_ACCOUNT = "system:serviceaccount:"
_NonEmpty = Annotated[str, Field(min_length=1)]
NamespaceName = Annotated[
    _NonEmpty,
    _exactly(
        VALID_NAMESPACE.pattern,
        "the name of a namespace",
        'use at most 63 lowercase letters, digits and "-", beginning and ending with a letter or digit',
    ),
]
RuntimeClassName = Annotated[
    _NonEmpty,
    _exactly(
        VALID_NAME.pattern,
        "the name of a runtime class",
        'use at most 253 lowercase letters, digits, "-" and ".", each part beginning and ending with a letter or digit',
    ),
]
DeviceClassName = Annotated[
    str, _exactly(VALID_NAME.pattern, "the name of a DeviceClass", "write one such as gpu.nvidia.com")
]
ClaimTemplateName = Annotated[
    str,
    _matching(
        VALID_NAME.pattern,
        "the name of a ResourceClaimTemplate",
        'use at most 253 lowercase letters, digits, "-" and "."',
    ),
]
UserName = Annotated[_NonEmpty, AfterValidator(_user_name)]
# Kubernetes does not check schedulerName of a pod, so only names that look like patterns are rejected.
ExactName = Annotated[_NonEmpty, AfterValidator(_exact_name)]


def _resource_name(value: str) -> str:
    if not _RESOURCE.fullmatch(value):
        example = next(name for name in (f"nvidia.com/{value}", "example.com/gpu") if _RESOURCE.fullmatch(name))
        raise ValueError(
            f'"{value}" is not the name of an extended resource; write <domain>/<name>, such as {example}, or a '
            "prefix that ends in *"
        )
    is_form = isinstance(classify(value), GpuResource)
    if is_form:
        raise ValueError(f'"{value}" is a GPU form, which policies permit or deny; remove it')
    return value


# A name, or the beginning of one with * at the end (k8s.io/apimachinery pkg/util/validation IsQualifiedName).
_RESOURCE = re.compile(rf"(?=[^/]{{1,253}}/){SUBDOMAIN}/({_NAME_PART}|([A-Za-z0-9][A-Za-z0-9._-]{{0,62}})?\*)")
ResourceName = Annotated[str, AfterValidator(_resource_name)]


# With the shortest suffix of a slice it must fit into a label value.
_LONGEST_PRODUCT = LONGEST_VALUE - len("-MIG-1g.5gb")


def _product(value: str) -> str:
    product = read_product(value)
    if re.fullmatch(_NAME_PART, value) and not product.is_model:
        model = "" if product.is_unreadable else f": {product.model}"
        raise ValueError(f'"{value}" names one form of a model; write the model alone{model}')
    if not re.fullmatch(_NAME_PART, value) or len(value) > _LONGEST_PRODUCT:
        raise ValueError(
            f'"{value}" can\'t be the beginning of a label value; write the value of nvidia.com/gpu.product on nodes, '
            f"without -MIG-…, of at most {_LONGEST_PRODUCT} characters"
        )
    return value


ProductName = Annotated[str, AfterValidator(_product)]


def _field_path(value: str) -> str:
    field_paths.parse(value)
    return value


FieldPath = Annotated[str, AfterValidator(_field_path)]
Group = Annotated[
    str,
    _matching(
        rf"(?=.{{1,253}}\Z)(?=.*\.){SUBDOMAIN}",
        "an API group of custom resources",
        "write one such as example.com; gpuwarden knows Kubernetes' own kinds",
    ),
]
_Lower = r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?"
Version = Annotated[str, _matching(_Lower, "a version of an API", "write one such as v1 or v1beta1")]
Kind = Annotated[str, _matching(r"[A-Z][A-Za-z0-9]{0,62}", "a kind", "write one such as Training")]
Plural = Annotated[str, _matching(_Lower, "a plural", "write the name in the URL of its objects, such as trainings")]
