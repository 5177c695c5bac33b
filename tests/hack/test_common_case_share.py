"""The share of the common case, of a folder of manifests whose pods are known."""

import json
from pathlib import Path

from hack.common_case_share import counted
from tests.builders import MIG, Json, a_container, a_pod, gpu

CPU: Json = a_container("a", {"cpu": "1"})


def manifests(folder: Path, *pods: Json) -> list[str]:
    for number, pod in enumerate(pods):
        (folder / f"{number}.json").write_text(json.dumps({"apiVersion": "v1", "kind": "Pod", **pod}))
    return [str(folder)]


def test_pods_with_gpus_are_counted_and_the_others_named(tmp_path: Path) -> None:
    paths = manifests(
        tmp_path,
        a_pod(gpu(1)),
        a_pod(gpu("1000m")),
        a_pod(gpu("1", MIG)),
        a_pod(CPU),
        a_pod(gpu(1), schedulerName="kai-scheduler"),
        a_pod(gpu(1, securityContext={"privileged": True})),
        a_pod(gpu(1), resourceClaims=[{"name": "a", "resourceClaimName": "a"}]),
        a_pod(
            gpu(1, volumeMounts=[{"name": "a", "mountPath": "/x"}]), volumes=[{"name": "a", "hostPath": {"path": "/x"}}]
        ),
    )
    found = counted("shared", paths)
    assert (found.pods, found.common, found.exempt) == (6, 3, 1)
    assert [why for _, why in found.others] == ["privileged-container", "resource claims", "nothing is said about it"]
    # A count that is written otherwise is the same at admission.
    assert sorted(found.specs.values()) == [False, False, False, True, True]
    assert str(found).startswith(
        "6 pods, 3 of the common case: 50.0%\n5 distinct specs, 2 of the common case: 40.0%\n1 more are"
    )


def test_nothing_is_no_share(tmp_path: Path) -> None:
    assert str(counted("shared", manifests(tmp_path, a_pod(CPU)))).startswith("0 pods, 0 of the common case: none")
