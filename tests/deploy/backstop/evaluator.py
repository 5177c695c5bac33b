"""The chart's ValidatingAdmissionPolicy, evaluated as the API server does, on the expressions as they are rendered."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from cel_expr_python import cel  # type: ignore[import-untyped] # it has stubs, without the marker that says so

from tests.deploy.chart import Json, Rendered
from webhook.engine.quantity import whole

_T = cel.Type


def _quantity(text: str) -> int:
    """The library ``quantity`` of Kubernetes' CEL, which this evaluator lacks: as far as the policy uses it.

    Quantities come here as whole numbers only: see :mod:`tests.deploy.backstop.stored`.
    """
    value = whole(text)
    if value is None:
        raise ValueError(f"{text} is no whole number")
    return value


def _function(name: str, result: Any, parameters: list[Any], does: Callable[..., Any], *, member: bool) -> Any:
    overload = cel.Overload(name.lower(), return_type=result, parameters=parameters, is_member=member, impl=does)
    return cel.FunctionDecl(name, [overload])


FUNCTIONS = [
    _function("quantity", _T.INT, [_T.STRING], _quantity, member=False),
    _function("asInteger", _T.INT, [_T.INT], int, member=True),
    _function("isGreaterThan", _T.BOOL, [_T.INT, _T.INT], lambda a, b: a > b, member=True),
]
VARIABLES = dict.fromkeys(("object", "oldObject", "request", "namespaceObject", "variables"), _T.DYN)


@dataclass(frozen=True)
class Verdict:
    """What the policy makes of a pod.

    Attributes:
        asked: whether its conditions let the pod through to it.
        messages: the sentences of what refuses the pod.
        rules: the ids of the rules that do.
    """

    asked: bool
    messages: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()


class Backstop:
    """The policy of a rendered chart."""

    def __init__(self, rendered: Rendered) -> None:
        self.spec: Json = rendered.the("ValidatingAdmissionPolicy")["spec"]
        self._environment = cel.NewEnv(variables=VARIABLES, functions=FUNCTIONS)
        self._compiled = cache(self._environment.compile)

    def evaluate(
        self,
        pod: Json,
        labels: Mapping[str, str] | None = None,
        *,
        namespace: str = "team",
        user: str = "someone",
        before: Json | None = None,
    ) -> Verdict:
        """Ask the policy about a pod that is created, or changed, in a namespace with these labels. An error fails the test."""
        operation = "UPDATE" if before else "CREATE"
        data: Json = {
            "object": pod,
            "oldObject": before,
            "request": {"namespace": namespace, "userInfo": {"username": user}, "operation": operation},
            "namespaceObject": {"metadata": {"name": namespace, "labels": dict(labels or {})}},
            "variables": {},
        }
        if not all(self._evaluate(condition["expression"], data) for condition in self.spec["matchConditions"]):
            return Verdict(asked=False)
        for variable in self.spec["variables"]:
            data["variables"][variable["name"]] = self._evaluate(variable["expression"], data)
        refusals = [each for each in self.spec["validations"] if not self._evaluate(each["expression"], data)]
        messages = [self._evaluate(each["messageExpression"], data) for each in refusals]
        (annotation,) = self.spec["auditAnnotations"]
        rule = self._evaluate(annotation["valueExpression"], data)
        names = ("mixed-gpu-resources", "shared-request-above-one")
        rules = [name for name, each in zip(names, self.spec["validations"], strict=True) if each in refusals]
        assert rule == (rules[0] if rules else "")  # an empty one is left out
        return Verdict(asked=True, messages=tuple(messages), rules=tuple(rules))

    def _evaluate(self, expression: str, data: Json) -> Any:
        value = self._compiled(expression).eval(data=data)
        assert value.type() != _T.ERROR, (value.value(), expression)
        return value.plain_value()
