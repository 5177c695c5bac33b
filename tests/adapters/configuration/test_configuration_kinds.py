"""``workloadKinds`` of the configuration: rows as gpuwarden's own, and everything that can be wrong with them."""

import pytest
import yaml

from webhook.adapters.configuration.file import ConfigurationError, parse
from webhook.application.workload_kinds import Template, WorkloadKind

HEAD = {"apiVersion": "gpuwarden.io/v1", "kind": "Configuration"}
ROW = {"group": "example.com", "versions": ["v1"], "kind": "Training", "plural": "trainings"}
PATH = "spec.workers[*].template.spec"
TEMPLATES = {"templates": [{"path": PATH}]}
WHOLE = {**ROW, **TEMPLATES}


def read(*rows: object) -> dict[tuple[str, str], WorkloadKind]:
    return dict(parse(yaml.safe_dump({**HEAD, "workloadKinds": list(rows)})).kinds)


def test_without_any_there_is_none() -> None:
    assert parse(yaml.safe_dump(HEAD)).kinds == {}


def test_a_row_has_what_gpuwardens_own_have() -> None:
    every = {
        **ROW,
        "versions": ["v1", "v1beta1"],
        "templates": [{"path": PATH, "replicas": ["spec.workers[*].replicas"]}],
        "resources": ["spec.driver.resources"],
        "suspend": "spec.paused",
        "intermediate": True,
        "passive": True,
        "clusterScoped": True,
        "note": "Beware.",
    }
    assert read(every) == {
        ("example.com", "Training"): WorkloadKind(
            "example.com",
            ("v1", "v1beta1"),
            "Training",
            "trainings",
            (Template(PATH, ("spec.workers[*].replicas",)),),
            ("spec.driver.resources",),
            suspend="spec.paused",
            intermediate=True,
            passive=True,
            cluster_scoped=True,
            note="Beware.",
        )
    }


@pytest.mark.parametrize(
    "rows",
    [
        [WHOLE, {**WHOLE, "group": "example.org"}],
        [WHOLE, {**WHOLE, "kind": "Serving", "plural": "servings"}],
        [{**ROW, "resources": ["spec.resources"]}],
        # Of a name that a kind of Kubernetes' own has too, and instead of gpuwarden's own row.
        [{**WHOLE, "kind": "Job", "plural": "jobs"}],
        [{**WHOLE, "group": "ray.io", "kind": "RayCluster", "plural": "rayclusters"}],
    ],
)
def test_rows_that_do_not_clash(rows: list[object]) -> None:
    assert len(read(*rows)) == len(rows)


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        (
            [{**WHOLE, "group": "apps"}],
            (
                'workloadKinds[0].group: "apps" is not an API group of custom resources; write one such as example.com; '
                "gpuwarden knows Kubernetes' own kinds"
            ),
        ),
        ([{**WHOLE, "versions": []}], "workloadKinds[0].versions: the list is empty; name at least one, such as [v1]"),
        (
            [{**WHOLE, "versions": ["1"]}],
            'workloadKinds[0].versions[0]: "1" is not a version of an API; write one such as v1 or v1beta1',
        ),
        (
            [{**WHOLE, "kind": "training"}],
            'workloadKinds[0].kind: "training" is not a kind; write one such as Training',
        ),
        (
            [{**WHOLE, "plural": "Trainings"}],
            'workloadKinds[0].plural: "Trainings" is not a plural; write the name in the URL of its objects, such as trainings',
        ),
        (
            [{**ROW, "templates": [{"path": "spec.workers[0].template.spec"}]}],
            (
                'workloadKinds[0].templates[0].path: "spec.workers[0].template.spec" is not a path: "[0].template.spec" is '
                "neither a field nor [*] nor {*}; write it as in spec.workers[*].template.spec"
            ),
        ),
        (
            [{**ROW, "resources": ["a.b.c.d.e.f.g.h.i.j.k.l.m"]}],
            'workloadKinds[0].resources[0]: "a.b.c.d.e.f.g.h.i.j.k.l.m" has 13 steps; use at most 12',
        ),
        (
            [{**ROW, "templates": [{"path": PATH, "replicas": ["spec.jobs[*].replicas"]}]}],
            (
                f"workloadKinds[0]: Training.example.com: spec.jobs[*].replicas does not count the pods of {PATH}: up to the "
                "last wildcard, both must be the same"
            ),
        ),
        (
            [ROW],
            "workloadKinds[0]: Training.example.com: a row needs a kind, a plural, a version, and templates or resources",
        ),
        (
            [WHOLE, {**ROW, "resources": ["spec.resources"]}],
            (
                'workloadKinds[1].kind: "Training" of example.com is also that of workloadKinds[0] (Training); remove one '
                "of the rows, or correct its name"
            ),
        ),
        (
            [WHOLE, {**WHOLE, "kind": "Serving"}],
            (
                'workloadKinds[1].plural: "trainings" of example.com is also that of workloadKinds[0] (Training); remove one '
                "of the rows, or correct its name"
            ),
        ),
        (
            [{**WHOLE, "group": "ray.io", "kind": "Cluster", "plural": "rayclusters"}],
            (
                'workloadKinds[0].plural: "rayclusters" of ray.io is the plural of RayCluster, which gpuwarden knows; write the '
                "plural of this kind, or the kind of this plural"
            ),
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_path_and_fix(rows: list[object], problem: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        read(*rows)
    assert refused.value.problems == (problem,)


def test_a_field_that_is_missing_is_named() -> None:
    with pytest.raises(ConfigurationError) as refused:
        read({"templates": [{"replicas": []}]})
    missing = [problem.partition(": is missing; write ")[0] for problem in refused.value.problems]
    assert missing == [f"workloadKinds[0].{name}" for name in (*ROW, "templates[0].path")]
