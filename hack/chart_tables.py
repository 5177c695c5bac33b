"""Writes the chart's _tables.tpl: what templates take from the engine, the command line and values.schema.json. `make manifests`.

Helm prints the schema's `pattern` where a value does not match it, and not what to write instead. So the schema has patterns of
texts under `x-checks`, which Helm does not read, each with a sentence (`fault`) that follows the value in a message; `of`
is a second pattern, for the texts that the check is about. templates/_syntax.tpl checks the values with this table.

Run it as `python -m hack.chart_tables`; with `--check` it writes nothing and fails when the file differs.
"""

import json
import sys
from collections.abc import Iterable, Iterator
from typing import Any

import typer
import yaml
from typer.core import TyperGroup

from hack import generated
from hack.chart_defaults import CHART, Json, resolved
from webhook.cli.main import app
from webhook.engine.device_classes import IMPLICIT
from webhook.engine.forms import MAXIMUM_CLIENTS, MINIMUM_CLIENTS
from webhook.engine.gpu_models import PROFILES_OF_MODELS
from webhook.engine.mig_memory import MEASURED
from webhook.engine.mig_profiles import DOCUMENTED, PROFILE
from webhook.engine.other_gpus import ANY_SUFFIX, GPUS, NEVER_SENT, NOT_GPUS
from webhook.engine.policy import ANY, NONE, WITHOUT_PARAMETERS
from webhook.engine.resources import PREFIX

TEMPLATE = CHART / "templates/_tables.tpl"
PAGE = """\
{{/*
Written by `make manifests` from values.schema.json, webhook/engine (gpu_models.py, mig_memory.py, other_gpus.py,
mig_profiles.py, forms.py) and the command line; edit those and hack/chart_tables.py, not this.
*/}}

{{/* The pattern of MIG profiles, with their suffixes. */}}
{{- define "gpuwarden.profilePattern" -}}
%s
{{- end -}}

{{/* The pattern of the policy values that are built in. */}}
{{- define "gpuwarden.policyValue" -}}
%s
{{- end -}}

{{/* MIG profiles by the names of GPU models, which are a regular expression. */}}
{{- define "gpuwarden.profilesOfModels" -}}
%s
{{- end -}}

{{/* MIG profiles that NVIDIA documents. */}}
{{- define "gpuwarden.documentedProfiles" -}}
%s
{{- end -}}

{{/* MIG profiles whose memory is measured. */}}
{{- define "gpuwarden.measuredProfiles" -}}
%s
{{- end -}}

{{/* Prefixes of resource names that count as GPUs. */}}
{{- define "gpuwarden.gpuPrefixes" -}}
%s
{{- end -}}

{{/* Resources that are never GPUs, whatever DeviceClasses (DRA) set; "*" matches any suffix. */}}
{{- define "gpuwarden.neverGpus" -}}
%s
{{- end -}}

{{/* DeviceClasses that are known to be for other devices; "*" matches any suffix. */}}
{{- define "gpuwarden.otherClasses" -}}
%s
{{- end -}}

{{/* The options of `gpuwarden serve`. */}}
{{- define "gpuwarden.serveOptions" -}}
%s
{{- end -}}

{{/* What texts must match, and where they are: "*" is each item of a list or mapping, "{}" each key of a mapping. */}}
{{- define "gpuwarden.textChecks" -}}
%s
{{- end -}}
"""


def checks(schema: Json, root: Json, path: str = "") -> Iterator[tuple[str, dict[str, str]]]:
    """The checks of a part of the schema and all below it, each with where its texts are.

    Args:
        schema: the part.
        root: the whole schema, with its definitions.
        path: where the part's values are.
    """
    schema = resolved(schema, root)
    yield from ((path, check) for check in schema.get("x-checks", ()))
    inner: dict[str, Any] = {**schema.get("properties", {}), "{}": schema.get("propertyNames")}
    inner["*"] = schema.get("items") or schema.get("additionalProperties")
    for step, part in inner.items():
        if isinstance(part, dict):
            yield from checks(part, root, f"{path}.{step}" if path else step)


def serve_options() -> list[str]:
    """Every name of every option of ``gpuwarden serve``, sorted."""
    command = typer.main.get_command(app)
    assert isinstance(command, TyperGroup)  # noqa: S101 - as typer makes an application with several commands
    serve = command.commands["serve"]
    return sorted(name for one in serve.params for name in (*one.opts, *one.secondary_opts) if name.startswith("-"))


def gpu_prefixes() -> list[str]:
    """The prefixes of GPUs' names; of NVIDIA's one for all."""
    return [PREFIX, *(name.removesuffix(ANY_SUFFIX) for name in GPUS if not name.startswith(PREFIX))]


def policy_value() -> str:
    """The pattern of the policy values that webhook/engine/forms.py parses, and of ``any`` and ``none``."""
    named = "|".join((ANY, NONE, *WITHOUT_PARAMETERS))
    clients = "|".join(map(str, range(MINIMUM_CLIENTS, MAXIMUM_CLIENTS + 1)))
    gke = f"gke-mig-{PROFILE}|gke(-mig-{PROFILE})?-(time-sharing|mps)-({clients})"
    return f"^({named}|mig-{PROFILE}(-shared)?|{gke})$"


def text() -> str:
    """What the template should be."""
    root: Json = json.loads((CHART / "values.schema.json").read_text())
    table: dict[str, Json] = {}
    for path, check in checks(root, root):
        table.setdefault(json.dumps(check), {**check, "at": []})["at"].append(path)
    parts = (PROFILES_OF_MODELS, [*table.values()])
    models, texts = (yaml.safe_dump(part, sort_keys=False, width=10000).rstrip() for part in parts)
    measured = dict.fromkeys(profile for row in MEASURED for profile in row.profiles)
    classes = [name.removeprefix(IMPLICIT) for name in NOT_GPUS if name.startswith(IMPLICIT)]
    lists: tuple[Iterable[str], ...] = (DOCUMENTED, measured, gpu_prefixes(), NEVER_SENT, classes, serve_options())
    return PAGE % (PROFILE, policy_value(), models, *map(" ".join, lists), texts)


if __name__ == "__main__":
    sys.exit(generated.write(TEMPLATE, text(), "manifests", sys.argv[1:]))
