"""Which texts are templates to be rendered first, and which are manifests with templates as data."""

import pytest

from webhook.adapters.manifests.items import ManifestObject, ManifestProblem, PluginDocument
from webhook.adapters.manifests.reading import read_text

RENDER = (
    "render it first, with: helm template <chart> | gpuwarden check -; if a folder is searched, leave it out with "
    "--exclude"
)


def read(text: str) -> list[ManifestObject | ManifestProblem]:
    return [item for item in read_text(text, "f.yaml") if not isinstance(item, PluginDocument)]


MANIFESTS = {
    "Go templates in a ConfigMap": """\
kind: ConfigMap
metadata: {name: alerts}
data:
  message.tmpl: |
    {{ define "title" }}{{ .Values.x }}{{- end }}
  short: "{{ .Release.Name }}"
  plain: at {{ .Values.x }}
""",
    "a Secret's data": "kind: Secret\nmetadata: {name: a}\nstringData: {a: '{{ .Values.x }}'}\n",
    "Vault's annotations": """\
kind: Pod
metadata:
  name: a
  annotations:
    vault.hashicorp.com/agent-inject-template-a: |
      {{- with secret "a" -}}
      {{ .Data.data.a }}
      {{- end }}
    vault.hashicorp.com/agent-inject-template-b: '{{ with secret "b" }}{{ .Data.b }}{{ end }}'
""",
    "a container's arguments": """\
kind: Pod
metadata: {name: a}
spec:
  containers:
  - args: ["--format={{.Name}}", '{{ range .items }}{{ .metadata.name }}{{ end }}']
""",
    "Prometheus alerts": "kind: PrometheusRule\nmetadata: {name: a}\nspec:\n  summary: on {{ $labels.instance }}\n",
    "Argo's parameters": "kind: Workflow\nmetadata: {generateName: a-}\nspec:\n  image: '{{inputs.parameters.image}}'\n",
    "Kyverno's variables": "kind: Policy\nmetadata: {name: a}\nspec:\n  name: '{{request.object.metadata.name}}'\n",
    "braces within braces": "---\n{kind: Pod, a: {b: {c: 1}}}\n",
}


@pytest.mark.parametrize("text", MANIFESTS.values(), ids=list(MANIFESTS))
def test_a_manifest_that_holds_templates_as_data_is_a_manifest(text: str) -> None:
    (found,) = read(text)

    assert isinstance(found, ManifestObject)


TEMPLATES = {
    "a condition": ("{{- if .Values.gpu }}\nkind: Pod\n{{- end }}\n", 1),
    "a condition further down": ("kind: Pod\nspec:\n{{- with .Values.spec }}\n  a: {{ . }}\n{{- end }}\n", 3),
    "a value alone": ("kind: Pod\nmetadata:\n  name: {{ .Values.name }}\n", 3),
    "a value with a suffix": ("kind: Pod\nmetadata:\n  name: {{ .Release.Name }}-gpu\n", 3),
    "a value with a prefix": ("kind: Pod\nmetadata:\n  name: gpu-{{ .Release.Name }}\n", 3),
    "any value in the name": ("kind: Pod\nmetadata:\n  name: gpu-{{ $name }}\n", 3),
    "a quoted name": ('kind: Pod\nmetadata:\n  name: "{{ $name }}"\n', 3),
    "a namespace": ("kind: Pod\nmetadata:\n  namespace: '{{ $name }}'\n", 3),
    "a kind": ('kind: "{{ $kind }}"\n', 1),
    "a quoted quantity": (
        'kind: Pod\nmetadata: {name: a}\nspec:\n  limits:\n    nvidia.com/gpu: "{{ .Values.gpus }}"\n',
        5,
    ),
    "a quoted image": ("kind: Pod\nspec:\n  image: '{{ .Values.image }}:{{ .Chart.AppVersion }}'\n", 3),
    "an include": ("kind: Pod\nspec:\n  a: '{{ include \"x.name\" . }}'\n", 3),
    "a key": ("kind: Pod\nspec:\n  '{{ .Values.key }}': a\n", 3),
    "a top-level key": ("kind: Pod\n'{{ .Values.key }}': a\n", 2),
    "a ConfigMap with a templated name": ("kind: ConfigMap\nmetadata:\n  name: '{{ $x }}'\ndata: {a: b}\n", 3),
    "a comment in braces": ("{{/* licence */}}\nkind: Pod\n", 1),
    "JSON": ('{\n  "kind": "Pod",\n  "n": {{ .Values.n }}\n}\n', 3),
    "quoted, in a text that is broken elsewhere": ('kind: Pod\na: "{{ .Values.a }}"\nb: c: d\n', 2),
}


@pytest.mark.parametrize(("text", "line"), TEMPLATES.values(), ids=list(TEMPLATES))
def test_a_template_is_named_as_one_with_the_way_to_render_it(text: str, line: int) -> None:
    assert read(text) == [ManifestProblem("f.yaml", line, f"this is a Helm template ({{{{ on line {line}): {RENDER}")]


BROKEN = {
    "data in a block scalar": "kind: ConfigMap\ndata:\n  a: |\n    {{ .x }}\n\n    {{ .y }}\nb: c: d\n",
    "data in a block scalar of CRLF": "kind: ConfigMap\r\ndata:\r\n  a: |-\r\n    {{ .x }}\r\nb: c: d\r\n",
    "a quoted argument": "kind: Pod\nargs: ['{{.Name}}']\nb: c: d\n",
    "a comment": "kind: Pod\n# {{ .Values.x }}\nb: c: d\n",
}


@pytest.mark.parametrize("text", BROKEN.values(), ids=list(BROKEN))
def test_a_broken_manifest_that_holds_templates_as_data_is_called_broken(text: str) -> None:
    (found,) = read(text)

    assert isinstance(found, ManifestProblem)
    assert 'unexpected ": "' in found.message


def test_a_list_is_a_list_whatever_it_holds() -> None:
    (found,) = read("- '{{ .Values.x }}'\n")

    assert isinstance(found, ManifestProblem)
    assert found.message.startswith("the document is a list")


def test_a_template_is_named_once_for_all_its_documents_and_other_documents_are_read() -> None:
    text = "{{ if a }}\n---\nkind: Pod\n---\n{{ end }}\n---\nb: c: d\n"

    found = read(text)

    assert [item.line for item in found] == [1, 3, 7]
    assert isinstance(found[1], ManifestObject)


def test_the_line_of_a_template_counts_from_the_first_line_of_the_source() -> None:
    (first, second) = read("kind: Pod\n---\nkind: Pod\nspec: {{ x }}\n")

    assert (first.line, second.line) == (1, 4)
