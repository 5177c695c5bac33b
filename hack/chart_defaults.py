"""Writes the chart's _defaults.tpl from values.yaml and values.schema.json: `make manifests`.

`helm upgrade --reuse-values` renders a new chart with the values of the old one, so a key that is new has no default.
The template fills in what is missing. It never fills in what a user may have removed with ``null``: the entries of maps
that users fill themselves (labels, annotations, selectors, resources), and lists of Kubernetes objects.

Run it as `python -m hack.chart_defaults`; with `--check` it writes nothing and fails when the file differs.
"""

import json
import sys
from collections.abc import Mapping
from typing import Any

import yaml

from hack import generated
from hack.tools import ROOT

CHART = ROOT / "deploy/chart"
TEMPLATE = CHART / "templates/_defaults.tpl"
PAGE = """\
{{/* Written by `make manifests` from values.yaml and values.schema.json; edit those and hack/chart_defaults.py, not this. */}}

{{/*
Sets every value that is missing, as after `helm upgrade --reuse-values` from a chart that did not have it yet. Every
template of objects calls it first; it prints nothing.
*/}}
{{- define "gpuwarden.defaults" -}}
{{- include "gpuwarden.fill" (dict "values" .Values "defaults" (include "gpuwarden.defaultValues" . | fromYaml)) -}}
{{- range $key, $default := include "gpuwarden.wholeDefaults" . | fromYaml -}}
{{- if not (get $.Values $key) -}}
{{- $_ := set $.Values $key $default -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Sprig's merge would replace false, 0 and "". Takes (dict "values" map "defaults" map). */}}
{{- define "gpuwarden.fill" -}}
{{- $values := .values -}}
{{- range $key, $default := .defaults -}}
{{- $value := get $values $key -}}
{{- if or (not (hasKey $values $key)) (kindIs "invalid" $value) -}}
{{- $_ := set $values $key $default -}}
{{- else if and (kindIs "map" $default) (kindIs "map" $value) -}}
{{- include "gpuwarden.fill" (dict "values" $value "defaults" $default) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Kubernetes' own objects whose defaults matter: all of one, or the part that the user kept. */}}
{{- define "gpuwarden.wholeDefaults" -}}
%s
{{- end -}}

{{- define "gpuwarden.defaultValues" -}}
%s
{{- end -}}
"""

Json = dict[str, Any]


def resolved(schema: Json, root: Json) -> Json:
    """The schema itself, or the definition that it refers to."""
    if "$ref" not in schema:
        return schema
    found: Json = root["definitions"][schema["$ref"].rpartition("/")[2]]
    return found


def fillable(values: Mapping[str, Any], schema: Json, root: Json) -> Json:
    """The part of the defaults that is set where it is missing, value by value.

    Args:
        values: a section of values.yaml.
        schema: the schema of that section.
        root: the whole schema, with its definitions.
    """
    filled: Json = {}
    for key, value in values.items():
        inner = resolved(schema["properties"][key], root)
        if isinstance(value, dict):
            # What the schema doesn't close is the user's to fill.
            filled[key] = fillable(value, inner, root) if inner.get("additionalProperties") is False else {}
        elif isinstance(value, list):
            objects = resolved(inner["items"], root).get("type") == "object"
            filled[key] = [] if objects else value
        elif value is not None:
            filled[key] = value
    return filled


def whole(values: Mapping[str, Any], root: Json) -> Json:
    """The objects that are set as a whole where they are missing: those of which the schema names fields, and takes others."""
    properties = root["properties"]
    return {
        key: value
        for key, value in values.items()
        if "properties" in properties[key] and properties[key]["additionalProperties"] is True
    }


def text() -> str:
    """What the template should be."""
    root: Json = json.loads((CHART / "values.schema.json").read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    parts = (whole(values, root), fillable(values, root, root))
    written = (yaml.safe_dump(part, sort_keys=False, width=120).rstrip() for part in parts)
    return PAGE % (*written,)


if __name__ == "__main__":
    sys.exit(generated.write(TEMPLATE, text(), "manifests", sys.argv[1:]))
