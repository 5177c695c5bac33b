"""Edits: the changes that a decision makes to a pod, each a value; the JSON Patch is derived from them.

As text, resources and labels are written as in a manifest (``nvidia.com/gpu: 1``), other names and values in quotes.
"""

import msgspec

from .nodes import Need
from .pods import Place, Toleration
from .text import cut


class RenameResource(msgspec.Struct, frozen=True, gc=False):
    """The quantity of one GPU resource gets another name, in limits and requests, where each is set."""

    place: Place
    old: str
    new: str
    sections: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.place.field}: {self.old} becomes {self.new}"


class ClaimInstead(msgspec.Struct, frozen=True, gc=False):
    """A request for a GPU resource is removed, and the container uses a claim of its own, which is made from a template (DRA)."""

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
    """A GPU resource that a LimitRange added to the container's own request is removed where it appears."""

    place: Place
    name: str
    sections: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.place.field}: without {self.name}, which a LimitRange added"


class AddNeed(msgspec.Struct, frozen=True, gc=False):
    """A node label that the form needs: a nodeSelector, or a requirement in every alternative of the node affinity."""

    need: Need

    def __str__(self) -> str:
        return f"{'node affinity' if self.need.in_affinity else 'node selector'} {self.need}"


class DropKey(msgspec.Struct, frozen=True, gc=False):
    """A node label that spelled the request's old form is removed from nodeSelector and required node affinity."""

    key: str

    def __str__(self) -> str:
        return f"without node selector {self.key}"


class ReplaceProduct(msgspec.Struct, frozen=True, gc=False):
    """The product that the pod selects gets the suffix that nodes of the form carry."""

    old: str
    new: str

    def __str__(self) -> str:
        return f'product "{self.old}" becomes "{self.new}"'


class AddNodeSelector(msgspec.Struct, frozen=True, gc=False):
    """A nodeSelector of the policy's own."""

    key: str
    value: str

    def __str__(self) -> str:
        return f"node selector {self.key}: {self.value}"


class AddToleration(msgspec.Struct, frozen=True, gc=False):
    """A toleration, the form's or the policy's own."""

    toleration: Toleration

    def __str__(self) -> str:
        return f"toleration {self.toleration.key or 'of every taint'} {self.toleration.effect or ''}".rstrip()


class AddEnv(msgspec.Struct, frozen=True, gc=False):
    """An environment variable of the policy's own."""

    place: Place
    name: str
    value: str

    def __str__(self) -> str:
        return f'{self.place.field}: env {self.name}="{cut(self.value, 80)}"'


class SetRuntimeClass(msgspec.Struct, frozen=True, gc=False):
    """The runtime class of the policy's own."""

    name: str

    def __str__(self) -> str:
        return f'runtime class "{self.name}"'


class Annotate(msgspec.Struct, frozen=True, gc=False):
    """An annotation that informs; no decision reads it."""

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
