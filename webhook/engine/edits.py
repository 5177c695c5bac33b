"""Edits: the changes of a decision to a pod, each as a value. The JSON Patch is derived from them.

As text, resources and labels are written as in a manifest (``nvidia.com/gpu: 1``), other names and values in quotes.
"""

import msgspec

from .node_constraints import Need
from .pods import Place, Toleration
from .text import cut


class RenameResource(msgspec.Struct, frozen=True, gc=False):
    """Rename a GPU resource, in limits and requests."""

    place: Place
    old: str
    new: str
    sections: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.place.field}: {self.old} becomes {self.new}"


class ClaimInstead(msgspec.Struct, frozen=True, gc=False):
    """Replace a request for a GPU resource by a claim of the container, which is created from a template (DRA)."""

    place: Place
    resource: str
    sections: tuple[str, ...]
    claim: str
    template: str

    def __str__(self) -> str:
        return (
            f'{self.place.field}: {self.resource} becomes claim {self.claim} of ResourceClaimTemplate "{self.template}"'
        )


class DropResource(msgspec.Struct, frozen=True, gc=False):
    """Remove a GPU resource that a LimitRange added to the container's own request."""

    place: Place
    name: str
    sections: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.place.field}: without {self.name}, which a LimitRange added"


class AddNeed(msgspec.Struct, frozen=True, gc=False):
    """Add a node label that the form needs: a nodeSelector, or a requirement in every term of the node affinity."""

    need: Need

    def __str__(self) -> str:
        return f"{'node affinity' if self.need.in_affinity else 'node selector'} {self.need}"


class DropKey(msgspec.Struct, frozen=True, gc=False):
    """Remove a node label of the request's old form from nodeSelector and required node affinity."""

    key: str

    def __str__(self) -> str:
        return f"without node selector {self.key}"


class ReplaceProduct(msgspec.Struct, frozen=True, gc=False):
    """Replace the product that the pod selects by the one with the suffix of the form's nodes."""

    old: str
    new: str

    def __str__(self) -> str:
        return f'product "{self.old}" becomes "{self.new}"'


class AddNodeSelector(msgspec.Struct, frozen=True, gc=False):
    """Add a nodeSelector of the policy."""

    key: str
    value: str

    def __str__(self) -> str:
        return f"node selector {self.key}: {self.value}"


class AddToleration(msgspec.Struct, frozen=True, gc=False):
    """Add a toleration of the form or of the policy."""

    toleration: Toleration

    def __str__(self) -> str:
        return f"toleration {self.toleration.key or 'of every taint'} {self.toleration.effect or ''}".rstrip()


class AddEnv(msgspec.Struct, frozen=True, gc=False):
    """Add an environment variable of the policy."""

    place: Place
    name: str
    value: str

    def __str__(self) -> str:
        return f'{self.place.field}: env {self.name}="{cut(self.value, 80)}"'


class SetRuntimeClass(msgspec.Struct, frozen=True, gc=False):
    """Set the runtime class of the policy."""

    name: str

    def __str__(self) -> str:
        return f'runtime class "{self.name}"'


class Annotate(msgspec.Struct, frozen=True, gc=False):
    """Add an annotation for information; no decision reads it."""

    key: str
    value: str

    def __str__(self) -> str:
        return f"annotation {self.key}"


Edit = (
    RenameResource
    | ClaimInstead
    | DropResource
    | AddNeed
    | DropKey
    | ReplaceProduct
    | AddNodeSelector
    | AddToleration
    | AddEnv
    | SetRuntimeClass
    | Annotate
)
