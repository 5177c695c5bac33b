"""Namespaces come, change and go, the configuration changes, pods are admitted: always as a plain model says.

What decides is real: the configuration file's text, the cache that list, watch and live reads fill, the engine, the reviews.
The model is a dictionary of labels, three settings, and ``Model.verdict``. Nothing that happened before may show.
"""

import json
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from testing.reviews import GPU, Notes, a_container, a_gpu_container, a_pod, a_review, encode, finish, read_answer
from webhook.adapters.configuration import file as configuration_file
from webhook.adapters.kubernetes.documents import Labels, Metadata, Namespace
from webhook.adapters.kubernetes.namespace_cache import NamespaceCache
from webhook.application.admission import Admission
from webhook.application.namespaces import NamespaceNotFound
from webhook.engine.namespace_labels import NamespaceLabels

SHARED, MIG = "nvidia.com/gpu.shared", "nvidia.com/mig-1g.5gb"
FORMS = {"exclusive": GPU, "shared": SHARED, "mig-1g.5gb": MIG}  # what a plain request is spelled as
NAMES = st.sampled_from(["a", "b", "c", "spared"])
LABELS = st.none() | st.sampled_from(["any", "none", *FORMS, "house", "guest", "Shared", ""])
HOUSES = st.dictionaries(st.sampled_from(["house", "guest"]), st.sampled_from(list(FORMS)), max_size=2)
PODS = st.sampled_from([0, 1, 2])  # GPUs, asked for plainly


class Model:
    """What should be."""

    def __init__(self) -> None:
        self.labels: dict[str, str | None] = {}
        self.policies: dict[str, str] = {}
        self.default, self.dry_run, self.spared = "any", False, False

    def resource(self, label: str | None) -> str:
        """The resource that a plain request becomes; ``any`` and ``none`` as they are, ``?`` for what can't be read."""
        name = self.default if label is None else label
        name = self.policies.get(name, name)
        return FORMS.get(name, name if name in ("any", "none") else "?")

    def verdict(self, namespace: str, gpus: int) -> tuple[str, bool]:
        """What the resource becomes at ``/mutate``, and whether ``/validate`` then lets it through."""
        becomes = self.resource(self.labels[namespace])
        if gpus == 0 or self.dry_run or (self.spared and namespace == "spared"):
            return GPU, True
        if becomes in ("none", "?") or (becomes == SHARED and gpus > 1):
            return GPU, False
        return (GPU if becomes == "any" else becomes), True


class Cluster(RuleBasedStateMachine):
    """The real thing beside the model."""

    def __init__(self) -> None:
        super().__init__()
        self.model, self.now, self.revision = Model(), 0.0, 100
        self.cache = NamespaceCache(lambda: self.now)
        self.cache.replace({}, "100")
        self.unseen: list[tuple[str, Namespace]] = []  # events that the watch has not brought yet
        self.past: list[Namespace] = []
        self.admission = Admission(configuration_file.parse(self.text()), self, Notes())

    # --- Namespaces, as the adapter has them: the cache, else a live read

    def cached(self, name: str) -> NamespaceLabels | None:
        return self.cache.cached(name)

    async def fetch(self, name: str) -> NamespaceLabels:
        if name not in self.model.labels:
            raise NamespaceNotFound(name)
        return self.cache.remember(self.document(name))

    def document(self, name: str) -> Namespace:
        labels = self.model.labels[name]
        return Namespace(Metadata(name, str(self.revision), None if labels is None else Labels(enforce=labels)))

    # --- what people do

    @initialize(labels=st.dictionaries(NAMES, LABELS))
    def begin(self, labels: dict[str, str | None]) -> None:
        self.model.labels = labels
        self.list_anew()

    @rule(name=NAMES, label=LABELS)
    def create_or_relabel(self, name: str, label: str | None) -> None:
        self.revision += 1
        self.model.labels[name] = label
        self.unseen.append(("put", self.document(name)))
        self.watch()

    @rule(name=NAMES, label=LABELS)
    def create_or_relabel_unseen(self, name: str, label: str | None) -> None:
        """The watch lags: only a namespace that is not cached is known by its live read."""
        if self.cache.cached(name) is None:
            self.revision += 1
            self.model.labels[name] = label
            self.unseen.append(("put", self.document(name)))

    @rule(name=NAMES)
    def delete(self, name: str) -> None:
        if name in self.model.labels:
            self.watch()
            gone = self.document(name)
            self.revision += 1
            gone.metadata.resource_version = str(self.revision)
            del self.model.labels[name]
            self.unseen.append(("drop", gone))
            self.watch()

    @rule()
    def watch(self) -> None:
        """The watch catches up."""
        for kind, namespace in self.unseen:
            (self.cache.put if kind == "put" else self.cache.drop)(namespace)
            self.past.append(namespace)
        self.unseen.clear()

    @rule()
    def list_anew(self) -> None:
        self.cache.replace({n: self.cache.keep(self.document(n)) for n in self.model.labels}, str(self.revision))
        self.unseen.clear()

    @rule(which=st.integers(0, 50), deleted=st.booleans())
    def an_event_from_the_past(self, which: int, *, deleted: bool) -> None:
        """By whom ever it is repeated, it undoes nothing."""
        if self.past and not self.unseen:
            old = self.past[which % len(self.past)]
            if int(old.metadata.resource_version) < self.revision:
                (self.cache.drop if deleted else self.cache.put)(old)

    @rule(seconds=st.sampled_from([0.4, 1.5, 3600.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(
        policies=HOUSES, default=st.sampled_from(["any", "none", *FORMS]), dry_run=st.booleans(), spared=st.booleans()
    )
    def configure(self, policies: dict[str, str], default: str, *, dry_run: bool, spared: bool) -> None:
        model = self.model
        model.policies, model.default, model.dry_run, model.spared = policies, default, dry_run, spared
        self.admission.configuration = configuration_file.parse(self.text())

    @rule(
        text=st.sampled_from(
            ["", "[", "kind: Configuration", "apiVersion: gpuwarden.io/v1\nkind: Configuration\nx: 1\n"]
        )
    )
    def break_the_configuration(self, text: str) -> None:
        """The last good one stays, as the one who reads the file sees to: nothing is assigned."""
        try:
            self.admission.configuration = configuration_file.parse(text)
        except configuration_file.ConfigurationError:
            return
        raise AssertionError(f"taken: {text!r}")

    def text(self) -> str:
        model = self.model
        return json.dumps({
            "apiVersion": "gpuwarden.io/v1",
            "kind": "Configuration",
            "mode": "audit" if model.dry_run else "enforce",
            "defaults": {"enforce": model.default},
            "policies": {name: {"forms": [form]} for name, form in model.policies.items()},
            "exemptions": {"namespaces": ["spared"] if model.spared else []},
        })  # fmt: skip

    # --- the promise

    @rule(name=NAMES, gpus=PODS)
    def admit(self, name: str, gpus: int) -> None:
        self.decides_as_the_model(name, gpus)

    @invariant()
    def every_namespace_decides_as_the_model(self) -> None:
        for name in self.model.labels:
            self.decides_as_the_model(name, 1)

    def decides_as_the_model(self, name: str, gpus: int) -> None:
        pod = a_pod(a_gpu_container(str(gpus))) if gpus else a_pod(a_container())
        asked: Any = self.admission.mutate(encode(a_review(pod, namespace=name)))
        if name not in self.model.labels and not (self.model.spared and name == "spared") and gpus:
            try:
                finish(asked)
            except NamespaceNotFound:
                return
            raise AssertionError(f"{name} does not exist, and was decided on")
        mutated = read_answer(finish(asked)).applied_to(pod)
        asked = self.admission.validate(encode(a_review(mutated, namespace=name)))
        validated = read_answer(finish(asked))
        if name not in self.model.labels:
            assert validated.allowed
            return
        becomes, allowed = self.model.verdict(name, gpus)
        assert validated.allowed is allowed, (name, gpus, validated)
        assert limits(mutated) == ({becomes: str(gpus)} if gpus else {})
        assert limits(pod) == limits(mutated) or becomes != GPU
        assert mutated == pod or becomes != GPU


def limits(pod: Any) -> Any:
    return pod["spec"]["containers"][0]["resources"].get("limits", {})


TestCluster = Cluster.TestCase
TestCluster.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
