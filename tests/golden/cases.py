"""Golden cases: what each one is given and asked, and how a table writes one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from testing.reviews import Json, a_review

MUTATE = "/mutate"
VALIDATE = "/validate"


@dataclass(frozen=True)
class Case:
    """One review under one policy.

    Attributes:
        name: ``<area>/<case>``, the file's path without its ending.
        about: what the case shows, for the reader of the file.
        path: the endpoint.
        labels: the namespace's labels.
        configuration: the configuration file's content but for apiVersion and kind; ``None`` is no file.
        review: the AdmissionReview.
        template: the requests of the ResourceClaimTemplate "one", the only one in the namespace; ``None`` for none.
    """

    name: str
    about: str
    path: str
    labels: Mapping[str, str]
    configuration: Json | None
    review: Json
    template: list[Json] | None = None

    @property
    def pod(self) -> Json:
        """The pod that the review carries."""
        pod: Json = self.review["request"]["object"]
        return pod


@dataclass
class Table:
    """The cases of one area, as its module fills it in."""

    area: str
    cases: list[Case] = field(default_factory=list)

    def mutate(self, name: str, about: str, pod: Json, enforce: str | None = None, **more: Any) -> None:
        """Add a case of ``/mutate``."""
        self._add(name, about, MUTATE, pod, enforce, **more)

    def validate(self, name: str, about: str, pod: Json, enforce: str | None = None, **more: Any) -> None:
        """Add a case of ``/validate``."""
        self._add(name, about, VALIDATE, pod, enforce, **more)

    def _add(  # noqa: PLR0913 - the fields of one value
        self,
        name: str,
        about: str,
        path: str,
        pod: Json,
        enforce: str | None,
        *,
        warn: str | None = None,
        audit: str | None = None,
        configuration: Json | None = None,
        template: list[Json] | None = None,
        **request: Any,
    ) -> None:
        modes = {"enforce": enforce, "warn": warn, "audit": audit}
        labels = {f"gpuwarden.io/{mode}": value for mode, value in modes.items() if value is not None}
        case = Case(f"{self.area}/{name}", about, path, labels, configuration, a_review(pod, **request), template)
        self.cases.append(case)
