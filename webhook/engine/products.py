"""Products: the meaning of values of the label ``nvidia.com/gpu.product``, and the value on nodes of a form."""

import re
from collections.abc import Mapping

import msgspec

from .gpu_models import lacks, sizes_of
from .mig_profiles import PROFILE

# NVIDIA GPU feature discovery, docs/gpu-feature-discovery/README.md
PRODUCT = "nvidia.com/gpu.product"
SHARED_SUFFIX = "-SHARED"
# A label value's limit. GPU feature discovery does not truncate its values (internal/lm/resource.go getProductName).
LONGEST_VALUE = 63

_PRODUCT = re.compile(
    rf"(?P<model>.+?)(?:-MIG-(?:(?P<partition>{PROFILE})|(?P<invalid>INVALID)))?(?P<shared>{SHARED_SUFFIX})?"
)
# A suffix in a model that GPU feature discovery does not write.
_UNREADABLE = re.compile(r"-MIG-|-SHARED\Z", re.IGNORECASE)


class Product(msgspec.Struct, frozen=True):
    """A parsed value of the label.

    Attributes:
        model: the GPU model.
        partition: the MIG profile of the node's slices, under MIG strategy *single*.
        invalid: the node's MIG configuration is invalid under MIG strategy *single*, so it offers no GPU.
        shared: the node shares its GPUs or slices without renaming the resource.
    """

    model: str
    partition: str | None = None
    invalid: bool = False
    shared: bool = False

    @property
    def is_model(self) -> bool:
        """Whether it names a model and nothing else."""
        return bool(self.model) and not (self.partition or self.invalid or self.shared or self.is_unreadable)

    @property
    def is_unreadable(self) -> bool:
        """Whether it has a suffix that GPU feature discovery does not write (``-shared``, ``-MIG-1c.2g.10gb``)."""
        return _UNREADABLE.search(self.model) is not None


def read_product(value: str) -> Product:
    """Parse a value; without a known suffix, it is a model.

    GPU feature discovery appends ``-MIG-<profile>`` or ``-MIG-INVALID`` under MIG strategy *single*, and ``-SHARED`` if sharing
    does not rename the resource (internal/lm/resource.go, internal/lm/mig-strategy.go).
    """
    match = _PRODUCT.fullmatch(value)
    if match is None:
        return Product(value)
    return Product(match["model"], match["partition"], match["invalid"] is not None, match["shared"] is not None)


class ProductNames(msgspec.Struct, frozen=True, cache_hash=True):
    """The products of the nodes that have a form.

    Attributes:
        suffix: the suffix of their values.
        models: their models; ``None`` if nodes of any model can have the form.
        partition: the form's MIG profile.
        shared: whether the form is shared.
        replaces: whether a product that names another form is replaced, because the request for that form is rewritten.
    """

    suffix: str = ""
    models: tuple[str, ...] | None = None
    partition: str | None = None
    shared: bool = False
    replaces: bool = False

    @property
    def values(self) -> tuple[str, ...]:
        """The products of the models, except those that are too long for a label value, and of models without the profile."""
        having = (each for each in self.models or () if not (self.partition and lacks(each, self.partition)))
        values = (model + self.suffix for model in having)
        return tuple(value for value in values if len(value) <= LONGEST_VALUE)

    def of(self, value: str) -> str | None:
        """The product of the same model on nodes of the form, or ``None`` if no such node is known."""
        return None if self.why_not(value) else read_product(value).model + self.suffix

    def excluding(self, value: str) -> str | None:
        """The product that excludes nodes of the form if ``NotIn`` lists the model.

        ``None`` if no node has it, or if the value is not a model.
        """
        written = value + self.suffix
        possible = len(written) <= LONGEST_VALUE and not (self.partition and lacks(value, self.partition))
        return written if read_product(value).is_model and possible else None

    def why_not(self, value: str) -> str | None:
        """Return why no node of the form is known to have the product, and what to do; ``None`` if one is.

        A value that already ends in the form's suffix is accepted, because the user saw it on a node.
        """
        product = read_product(value)
        written = product.model + self.suffix
        if why := self._why_never(product, has_suffix=written == value):
            return why
        if written == value:
            return None
        # The user saw slices of the profile on a node of this model, whether it is listed or not.
        seen = self.partition is not None and product.partition == self.partition
        if self.models is not None and product.model not in self.models and not seen:
            return self._unlisted(product.model, self.models)
        if len(written) > LONGEST_VALUE:
            return (
                f"the label of such nodes would be {written}, and a label value has at most {LONGEST_VALUE} characters; "
                "select another product"
            )
        return None

    def _why_never(self, product: Product, *, has_suffix: bool) -> str | None:
        """Return why no node of the form has a product, whatever nodes there are."""
        if not product.model:
            return "no node has an empty value of this label; select a GPU model"
        if product.invalid:
            return (
                "nodes have this label while their MIG configuration is invalid under MIG strategy single, and offer no GPU; "
                f"select {product.model}"
            )
        if product.is_unreadable and (not has_suffix or "-MIG-" in product.model):
            return (
                "GPU feature discovery writes -MIG-<profile>, such as -MIG-1g.5gb, and -SHARED after a model, and no other "
                "suffix; select the model alone"
            )
        if self._names_another_form(product):
            other = "it is the label of nodes with another form"
            return (
                f"{other}, and {why}"
                if (why := self.why_not(product.model))
                else f"{other}; select {product.model} alone"
            )
        if self.partition and lacks(product.model, self.partition):
            return lacking(product.model, self.partition) + "; select another product"
        return None

    def _names_another_form(self, product: Product) -> bool:
        """Whether a product's suffix is that of another form.

        If sharing renames the resource, nodes that share have no ``-SHARED``, so its absence does not name a form.
        """
        if self.replaces or product.is_model or product.is_unreadable:
            return False
        unshared = self.suffix.endswith(SHARED_SUFFIX) and not product.shared
        return product.partition != self.partition or (product.shared and not self.shared) or unshared

    @staticmethod
    def _unlisted(model: str, models: tuple[str, ...]) -> str:
        alike = next((each for each in models if each.lower() == model.lower()), None)
        if alike:
            return f"devicePlugin.products lists {alike}, and label values are case-sensitive; select {alike}"
        return (
            f"devicePlugin.products does not list {model}; if nodes of this model have MIG, ask an administrator to add it "
            "there, in gpuwarden's configuration"
        )


def lacking(model: str, partition: str) -> str:
    """Return a clause that a known model lacks a MIG profile, with the profiles that it has."""
    has = f"its profiles are {', '.join(sizes)}" if (sizes := sizes_of(model)) else "it has no MIG"
    return f"{model} has no MIG profile {partition} ({has})"


def replaced(operator: str, value: str, products: Mapping[str, str]) -> str:
    """A value of a node selector requirement on the label, after products are replaced.

    A product that the pod excludes is replaced if it is a model, which means nodes of that model with any form.
    """
    if operator == "In" or (operator == "NotIn" and read_product(value).is_model):
        return products.get(value, value)
    return value
