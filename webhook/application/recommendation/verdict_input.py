"""What the verdict about a workload depends on: what it requests, used and needs, and the offers that fit its GPU model."""

import msgspec

from ...engine.forms import Form, Platform, Sharing, parse
from ...engine.mig_memory import suffix_of
from .measures import Measures
from .model_names import model_of
from .offers import Offers, SharedForm
from .thresholds import Thresholds
from .workloads import Workload

FULL = 0.999
"""A share that no slice but the whole GPU has."""


class VerdictInput(msgspec.Struct, frozen=True):
    """A workload that is evaluated.

    Attributes:
        workload: what it requests.
        measures: what it used.
        offered: what nodes offer.
        thresholds: the values in use.
        trusted: whether its namespace is declared trusted.
    """

    workload: Workload
    measures: Measures
    offered: Offers
    thresholds: Thresholds
    trusted: bool

    @property
    def form(self) -> Form:
        """The form that it requests now."""
        return parse(self.workload.form) or Form()

    @property
    def whole(self) -> str:
        """Whole GPUs, on the platform that it is on."""
        return str(Form(platform=self.form.platform))

    @property
    def model(self) -> str:
        """The GPU model."""
        return model_of(self.measures.model)

    @property
    def unit(self) -> float:
        """The share of a GPU that the measured device is: 1, or that of the slice."""
        profile = self.measures.profile or self.form.partition
        return self.offered.share_of(profile, self.model) if profile else 1.0

    @property
    def share(self) -> float:
        """The share of a GPU that it used 95 % of the time at most, or on average in the last day if that is more."""
        return max(self.measures.p95, self.measures.recent) * self.unit

    @property
    def usual(self) -> float:
        """The share of a GPU that it can use while it works: its weighted average, or the 95th percentile if that is higher.

        A workload that does little for most of a day has a low 95th percentile, and would work many times longer on a slice
        that small.
        """
        measures = self.measures
        busy = 1 - measures.idle
        average = min(measures.most, measures.mean / busy) if busy > 0 else measures.most
        return max(measures.p95, average, measures.working) * self.unit

    @property
    def working(self) -> float:
        """The usual share, or that of the last day if it is higher, because the higher load may continue."""
        return max(self.usual, self.measures.recent_working * self.unit)

    @property
    def need(self) -> float:
        """The memory that it needs in MiB, headroom included, and as much more as it grew by; at least what it requests."""
        used = (self.measures.memory or 0) + self.growth
        return max(used * (1 + self.thresholds.memory_headroom), self.workload.memory)

    @property
    def bandwidth(self) -> float:
        """The share of its device's memory bandwidth that it can use while it works."""
        return max(self.measures.bandwidth or 0, self.measures.bandwidth_working)

    @property
    def bandwidth_memory(self) -> float:
        """The memory in MiB that comes with this bandwidth: a slice has nearly the same share of both."""
        return self.bandwidth * (self.measures.capacity or 0)

    @property
    def growth(self) -> float:
        """The growth of its peak memory from the first half of the window to the second, in MiB; 0 within the headroom."""
        memory, earlier = self.measures.memory or 0, self.measures.memory_earlier
        grew = earlier is not None and memory > earlier * (1 + self.thresholds.memory_headroom)
        return memory - (earlier or 0) if grew else 0

    @property
    def reachable(self) -> Offers:
        """The offers of nodes that its pods can get."""
        return self.offered.without(self.workload.unreachable)

    @property
    def comparable(self) -> Offers:
        """Those that its numbers can be compared with: of its GPU model; none if it ran on several models."""
        if self.measures.models_differ:
            return msgspec.structs.replace(self.offered, slices=(), shared=())
        there = self.offered.for_model(self.model).without(self.workload.unreachable)
        profile = self.measures.profile.replace("+", ".") or self.form.partition
        if profile:  # the engines of a slice that was selected with a suffix are needed
            suffix = suffix_of(profile)
            slices = (one for one in there.slices if not suffix or str(one.form.partition).endswith(suffix))
        else:  # nothing is gained by a slice that is a whole GPU
            slices = (one for one in there.slices if one.share < FULL)
        return msgspec.structs.replace(there, slices=tuple(slices))

    @property
    def is_bursty(self) -> bool:
        """Whether it uses much of a GPU at times."""
        return self.measures.most * self.unit >= self.thresholds.burst

    @property
    def pods(self) -> int:
        """How many pods of it ran at once."""
        return max(self.workload.running, self.measures.pods_at_once)

    @property
    def graphics(self) -> str:
        """Why it may use graphics; empty if there is no sign of it."""
        return next((one.graphics for one in self.workload.programs if one.graphics), "")

    @property
    def shares(self) -> list[SharedForm]:
        """The forms of sharing that are offered, the one that suits it best first, with how many pods share a GPU."""
        found = self.comparable.shares(bursty=self.is_bursty, gke=self.form.platform is Platform.GKE)
        if self.graphics:  # MPS is for CUDA only
            found = [one for one in found if one.form.sharing is Sharing.TIME_SLICING]
        return [msgspec.structs.replace(one, clients=one.clients or int(self.thresholds.clients)) for one in found]

    @property
    def sharing(self) -> SharedForm | None:
        """The form of sharing that suits it best, of those whose share is enough for it or, if none is, of all."""
        found = self.shares
        return next(filter(self.fits, found), found[0] if found else None)

    def fits(self, sharing: SharedForm) -> bool:
        """Whether a share of a GPU is enough for it."""
        measures, clients = self.measures, sharing.clients
        own = self.offered.memory.get(self.model) if measures.profile else measures.capacity
        memory = sharing.memory or own or 0
        most = max(self.share, measures.engines or 0, (measures.bandwidth or 0) * self.unit)
        at_once = self.working * min(self.pods, clients)
        return most < 1 / clients and at_once <= 1 and self.need <= memory / clients
