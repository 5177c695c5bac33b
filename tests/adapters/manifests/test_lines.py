"""The lines of fields, by path and by pointer, in whatever way a manifest is written."""

import pytest

from webhook.adapters.manifests.items import ManifestObject
from webhook.adapters.manifests.lines import Lines
from webhook.adapters.manifests.reading import read_text

TEXT = """\
# A comment.
apiVersion: v1
kind: List
items:
- kind: Pod
  spec:
    nodeSelector:
      cloud.google.com/gke-accelerator: a
    containers:
    # the first
    - name: a
    -
      name: b
      resources: &r
        limits:
          nvidia.com/gpu: 2
    - name: c
      resources: *r
    - <<: {name: d}
      resources:
        <<: *r
---
{"kind": "Pod",
 "spec": {"containers": [
   {"name": "a"}]}}
---
kind: Pod
spec:
  hostIPC: true
  hostIPC: false
"""


def objects(text: str) -> list[ManifestObject]:
    return [item for item in read_text(text, "f.yaml") if isinstance(item, ManifestObject)]


GPU = "resources.limits[nvidia.com/gpu]"


@pytest.mark.parametrize(
    ("number", "path", "line"),
    [
        pytest.param(0, "spec.nodeSelector[cloud.google.com/gke-accelerator]", 8, id="a key with dots"),
        pytest.param(0, "spec.containers[0].name", 11, id="an item"),
        pytest.param(0, f"spec.containers[1].{GPU}", 16, id="an item below its dash"),
        pytest.param(0, f"spec.containers[2].{GPU}", 16, id="behind an alias"),
        pytest.param(0, f"spec.containers[3].{GPU}", 16, id="merged"),
        pytest.param(0, "spec.containers[3].name", 19, id="merged from a map in place"),
        pytest.param(0, "spec.containers[0].resources", 11, id="what is not there: what is around it"),
        pytest.param(0, "spec.containers[9].name", 9, id="an item that is not there"),
        pytest.param(0, "metadata.name", 5, id="nothing of it is there: the object"),
        pytest.param(0, "", 5, id="the object"),
        pytest.param(1, "spec.containers[0].name", 25, id="in JSON"),
        pytest.param(2, "spec.hostIPC", 30, id="defined twice: the one that counts"),
    ],
)
def test_a_field_has_the_line_of_its_key(number: int, path: str, line: int) -> None:
    assert Lines(TEXT).of(objects(TEXT)[number]).of_field(path).line == line


def test_a_pointer_leads_to_the_same_line() -> None:
    lines = Lines(TEXT).of(objects(TEXT)[0])
    assert lines.of_pointer("/spec/containers/1/resources/limits/nvidia.com~1gpu").line == 16
    assert lines.of_field(f"spec.containers[1].{GPU}").line == 16
    assert lines.of_pointer("/spec/tolerations/-").line == 6


def test_objects_may_be_asked_about_in_any_order() -> None:
    lines, found = Lines(TEXT), objects(TEXT)
    assert [lines.of(item).of_field("spec").line for item in (*found, *reversed(found))] == [6, 24, 28, 28, 24, 6]
