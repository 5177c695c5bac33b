"""The ``matchConditions`` of a webhook, evaluated as the API server does."""

from collections.abc import Callable

from cel_expr_python import cel  # type: ignore[import-untyped] # it has stubs, without the marker that says so

from tests.deploy.chart import Json

Asks = Callable[[Json, Json | None], bool]


def conditions_of(webhook: Json) -> Asks:
    """Whether the API server would ask a webhook about an object, given the one that was there before.

    An expression that can't be evaluated, which would count as the webhook's failure, raises ``AssertionError``.
    """
    # The variables of matchConditions, untyped there too.
    variables = dict.fromkeys(("object", "oldObject", "request", "authorizer"), cel.Type.DYN)
    environment = cel.NewEnv(variables=variables)
    compiled = [environment.compile(condition["expression"]) for condition in webhook["matchConditions"]]
    assert all(expression.return_type() == cel.Type.BOOL for expression in compiled)

    def asks(new: Json, old: Json | None = None) -> bool:
        values = [expression.eval(data={"object": new, "oldObject": old}) for expression in compiled]
        assert all(value.type() == cel.Type.BOOL for value in values), [value.value() for value in values]
        return all(value.value() for value in values)

    return asks
