"""The cache of decisions: equal pods are decided only once.

The pods of a ReplicaSet or a Job differ in their names, in the generated name of their token's volume, and in much that is
never read. So the key of the cache is everything that is read from a pod (``webhook.engine.pods``) except these names.
Environments are part of it as they are written, so the key is a digest, because they hold secrets. With it go the namespace's
labels and the endpoint. Results are forgotten when anything else changes that decides: the configuration, with what
DeviceClasses add to it, or what the nodes offer. An update has no key, for it depends on two pods, and what is looked up for
one review (claims) is never kept.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Mapping

import msgspec

from ..engine.decision import ORIGINAL_REQUEST, POLICY
from ..engine.limit_range_defaults import ANNOTATION as LIMIT_RANGER
from ..engine.namespace_labels import NamespaceLabels
from ..engine.pods import MIRROR_ANNOTATION, Pod
from ..engine.rules.device_access import DEVICE_ANNOTATIONS
from .configuration import Configuration
from .fleet import FleetSource
from .recorder import DecisionSummary
from .review import ALLOWED

# Larger responses are not kept, so that hostile pods take little memory. All responses together are limited too.
_LONGEST = 16 << 10
_MOST = 4 << 20
# The memory of a result besides its response: its key, its summary, and each form and finding in the summary.
_BESIDES = 1 << 10
_EACH_RECORDED = 1 << 8
# Hashing more bytes would delay other reviews; pods with 20 containers have a sixth of this.
_MOST_READ = 64 << 10
_ANNOTATIONS = frozenset({MIRROR_ANNOTATION, LIMIT_RANGER, ORIGINAL_REQUEST, POLICY})

Key = tuple[bytes, NamespaceLabels, bool]
"""The digest of a pod, the labels of its namespace, and whether it is final."""


class AdmissionResult(msgspec.Struct, frozen=True, gc=False):
    """A response without the request's uid (``review.answer`` adds it), and what is recorded."""

    response: bytes
    evaluated: tuple[DecisionSummary, ...] = ()

    @property
    def size(self) -> int:
        """About how many bytes it takes in memory, its key included."""
        recorded = sum(len(evaluated.requested) + len(evaluated.findings) for evaluated in self.evaluated)
        return len(self.response) + _BESIDES + _EACH_RECORDED * recorded


NOTHING_SAID = AdmissionResult(ALLOWED)


class DecisionCache:
    """The cache. Its size in bytes is limited; the least recently used entry is dropped first."""

    def __init__(self, nodes: FleetSource) -> None:
        self._nodes = nodes
        self._around: tuple[object, ...] = ()
        self._kept: OrderedDict[Key, AdmissionResult] = OrderedDict()
        self._size = 0

    def find(self, key: Key, configuration: Configuration) -> AdmissionResult | None:
        """The result on a pod like this one, under the current configuration and nodes."""
        if not self._is_around(configuration):
            self._around = configuration, self._nodes.fleet
            self._kept.clear()
            self._size = 0
        found = self._kept.get(key)
        if found is not None:
            self._kept.move_to_end(key)
        return found

    def keep(self, key: Key, configuration: Configuration, result: AdmissionResult) -> None:
        """Keep a result that was made since ``find``, unless the nodes have changed meanwhile."""
        if len(result.response) > _LONGEST or not self._is_around(configuration) or key in self._kept:
            return
        self._kept[key] = result
        self._size += result.size
        while self._size > _MOST:
            _, oldest = self._kept.popitem(last=False)
            self._size -= oldest.size

    def _is_around(self, configuration: Configuration) -> bool:
        around = self._around
        return len(around) > 0 and around[0] is configuration and around[1] is self._nodes.fleet


_encode = msgspec.msgpack.Encoder().encode


def key_of(pod: Pod, labels: NamespaceLabels, *, final: bool) -> Key | None:
    """The key of a pod that is created; ``None`` for a very large one, or one with a number of more than 64 bits."""
    metadata = pod.metadata
    annotations = metadata.annotations if metadata is not None else None
    # Environments are in the key as JSON. Results are kept only if environments are lists, so it is certain where each one ends.
    try:
        read = _encode((metadata is None, annotations and _read(annotations), pod.spec))
    except (OverflowError, RecursionError):
        return None
    return (hashlib.sha256(read).digest(), labels, final) if len(read) <= _MOST_READ else None


def _read(annotations: Mapping[str, str]) -> dict[str, str]:
    """Return the annotations that decisions and patches read."""
    keys = "\n".join(annotations)
    if _ANNOTATIONS.isdisjoint(annotations) and not [domain for domain in DEVICE_ANNOTATIONS if domain in keys]:
        return _NONE
    return {
        key: value
        for key, value in annotations.items()
        if key in _ANNOTATIONS or any(domain in key for domain in DEVICE_ANNOTATIONS)
    }


_NONE: dict[str, str] = {}
