"""What is fuzzed: functions of bytes that return when all is well, and raise where a promise is broken.

The same functions replay the corpus in tests/fuzz/, without a fuzzer.
"""

import json
from collections.abc import Callable
from typing import Any

from testing.reviews import TEAM, KnownNamespaces, Notes, a_review, encode, finish, read_answer
from webhook.adapters.configuration.file import ConfigurationError
from webhook.adapters.configuration.file import parse as parse_configuration
from webhook.adapters.manifests.decoding import decode
from webhook.adapters.manifests.items import ManifestObject, ManifestProblem, UnreadableError
from webhook.adapters.manifests.reading import read_text
from webhook.application.admission import Admission
from webhook.application.advising import Advising
from webhook.application.configuration import Configuration
from webhook.application.namespace_admission import NamespaceAdmission
from webhook.application.namespaces import NamespaceNotFound
from webhook.application.review import Answering, ReviewError
from webhook.engine.forms import parse
from webhook.engine.namespace_labels import NamespaceLabels
from webhook.engine.quantity import exact, shown, whole

Target = Callable[[bytes], None]
_MOST = 2**63 - 1
# What a pod is evaluated by: its first byte chooses.
_POLICIES = (
    "any", "none", "exclusive", "shared", "time-slicing", "mps", "mig-1g.5gb", "mig-1g.5gb-shared", "gke-exclusive",
    "gke-time-sharing-4", "gke-mps-4", "gke-mig-1g.5gb", "gke-mig-1g.5gb-mps-4", "several", "rewriting", "unreadable!",
)  # fmt: skip
_CONFIGURATION = """
apiVersion: gpuwarden.io/v1
kind: Configuration
policies:
  several: {forms: [mig-1g.5gb, gke-mig-1g.5gb, shared], maxPerContainer: 2, maxPerPod: 3, env: {A: b}, nodeSelector: {pool: gpu}}
  rewriting: {forms: [mps, exclusive], mismatch: rewrite, runtimeClassName: nvidia, tolerations: [{key: team, operator: Exists}]}
devicePlugin: {renameByDefault: %s, migStrategy: %s}
"""
_CONFIGURATIONS = tuple(
    parse_configuration(_CONFIGURATION % setting)
    for setting in (("true", "mixed"), ("false", "mixed"), ("true", "single"), ("false", "single"))
)


def review(data: bytes) -> None:
    """A body of any bytes is answered by a review, or is none: HTTP 400. Advice never refuses nor changes."""
    admission = _admission(Configuration(), "mps")
    advising = Advising(lambda: admission.configuration, _namespaces("mps"), Notes())
    labelling = NamespaceAdmission(lambda: admission.configuration, None)
    asked: dict[str, Callable[[], Answering]] = {
        "/mutate": lambda: admission.mutate(data),
        "/validate": lambda: admission.validate(data),
        "/advise": lambda: advising.advise(data),
        "/validate-namespace": lambda: labelling.validate(data, 1.0),
    }
    for path, ask in asked.items():
        try:
            answer = finish(ask())
        except (ReviewError, NamespaceNotFound):
            continue
        read = read_answer(answer, json.loads(answer)["response"]["uid"])
        assert read.allowed or path.startswith("/validate")
        assert read.patch is None or path == "/mutate"


def pod(data: bytes) -> None:
    """A pod's patch applies, and the pod that comes of it is changed no more, and let through."""
    choice, text = (data[0] if data else 0), data[1:]
    try:
        manifest = json.loads(text)
    except (ValueError, RecursionError):
        return
    if not isinstance(manifest, dict):
        return
    admission = _admission(_CONFIGURATIONS[choice // 16 % 4], _POLICIES[choice % 16])
    try:
        body = encode(a_review(manifest))
        answer = read_answer(finish(admission.mutate(body)))
    except (ReviewError, RecursionError):
        return
    if answer.patch is None:
        read_answer(finish(admission.validate(body)))
        return
    changed = encode(a_review(answer.applied_to(manifest)))
    assert read_answer(finish(admission.mutate(changed))).patch is None
    assert read_answer(finish(admission.validate(changed))).allowed


def label(data: bytes) -> None:
    """A label's value selects a policy, whatever it is; what names a form is written as it is read."""
    text = data.decode(errors="replace")
    book = _CONFIGURATIONS[0].policies
    form = parse(text)
    if form is not None:
        assert parse(str(form)) == form
    selected = book.select(NamespaceLabels(enforce=text))
    if book.resolve(text) is None:
        [problem] = selected.problems
        assert problem.message
        assert selected.enforce.unreadable
        assert not selected.enforce.forms
        assert not selected.enforce.permits_any
    else:
        assert selected.problems == ()


def quantity(data: bytes) -> None:
    """A quantity is a count or none, and is shown in few characters."""
    text = data.decode(errors="replace")
    _check_quantity(text)
    try:
        number = json.loads(text)
    except (ValueError, RecursionError):
        return
    if isinstance(number, int | float) and not isinstance(number, bool):
        _check_quantity(number)


def _check_quantity(value: str | float) -> None:
    count, number = whole(value), exact(value)
    if count is not None:
        assert 0 <= count <= _MOST
        assert whole(str(count)) == count
        assert number is not None
        assert min(number, _MOST) == count
    elif number is not None:
        assert number < 0 or number.denominator != 1
    assert len(shown(value)) < 70  # noqa: PLR2004 - a line's worth


def configuration(data: bytes) -> None:
    """A configuration is read, or is refused with its problems."""
    try:
        read = parse_configuration(data.decode(errors="replace"))
    except ConfigurationError as error:
        problems = error.problems
    else:
        assert all(read.policies.resolve(name) for name in read.policies.configured)
        return
    assert problems
    assert all(problems)


def manifests(data: bytes) -> None:
    """A file yields objects that are plain JSON, and problems in words."""
    try:
        text = decode(data)
    except UnreadableError:
        return
    for found in read_text(text, "file"):
        match found:
            case ManifestObject():
                json.dumps(found.object)
            case ManifestProblem():
                assert found.message


def _namespaces(enforce: str) -> KnownNamespaces:
    return KnownNamespaces({TEAM: NamespaceLabels(enforce, "exclusive", "gke-mps-4")})


def _admission(configuration: Configuration, enforce: str) -> Admission:
    return Admission(configuration, _namespaces(enforce), Notes())


TARGETS: dict[str, Target] = {
    target.__name__: target for target in (review, pod, label, quantity, configuration, manifests)
}


def as_any(target: Target) -> Callable[[Any], None]:
    """The target as a fuzzer calls it: with whatever type of bytes the fuzzer has."""
    return lambda data: target(bytes(data))
