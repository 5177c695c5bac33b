{{/* The node labels of forms and the MIG profiles of models, as webhook/engine/spelling.py and gpu_models.py know them. */}}

{{/* MIG profiles by the names of GPU models, which are a regular expression. */}}
{{- define "gpuwarden.profilesOfModels" -}}
'A30X?(-.*)?': '1g.6gb 2g.12gb 4g.24gb'
'A[18]00-.*40GB.*': '1g.5gb 1g.10gb 2g.10gb 3g.20gb 4g.20gb 7g.40gb'
'[AH][18]00-.*80GB.*|A100X|H[18]00-PCIe': '1g.10gb 1g.20gb 2g.20gb 3g.40gb 4g.40gb 7g.80gb'
'H[18]00-NVL': '1g.12gb 1g.24gb 2g.24gb 3g.47gb 4g.47gb 7g.94gb'
'GH200-480GB': '1g.12gb 1g.24gb 2g.24gb 3g.48gb 4g.48gb 7g.96gb'
'GH200-144G-HBM3e': '1g.18gb 1g.36gb 2g.36gb 3g.72gb 4g.72gb 7g.144gb'
'H200(-NVL)?': '1g.18gb 1g.35gb 2g.35gb 3g.71gb 4g.71gb 7g.141gb'
'G?B200(-.*)?': '1g.23gb 1g.24gb 1g.45gb 1g.47gb 2g.45gb 2g.47gb 3g.90gb 3g.93gb 3g.95gb 4g.90gb 4g.93gb 4g.95gb 7g.180gb 7g.186gb 7g.189gb'
'G?B300(-.*)?': '1g.34gb 1g.35gb 1g.67gb 1g.70gb 2g.67gb 2g.70gb 3g.135gb 3g.139gb 4g.135gb 4g.139gb 7g.269gb 7g.278gb'
'RTX-PRO-6000-Blackwell-.*': '1g.24gb 2g.48gb 4g.96gb'
'Tesla-.*|(GeForce|Quadro|TITAN)-.*|L(2|4|20|40|40S|40G)|A(2|10|10G|10M|16|40)': ''
{{- end -}}

{{/* Prints the profiles of a known model that lacks a profile, or "none". Takes (list MODEL PROFILE). */}}
{{- define "gpuwarden.lacks" -}}
{{- $model := index . 0 | trimPrefix "NVIDIA-" -}}
{{- $profile := index . 1 | regexFind "^[0-9]+g[.][0-9]+gb" -}}
{{- range $names, $profiles := include "gpuwarden.profilesOfModels" . | fromYaml -}}
{{- if and $profile (regexMatch (printf "^(%s)$" $names) $model) (not (has $profile (splitList " " $profiles))) -}}
{{- $profiles | default "none" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/*
The node labels of a form, each with the values that it may have ("in"; none if nodes lack the label) or may not have
("not"). nvidia.com/gpu.memory is left to the program. Takes (list FORM PLUGIN).
*/}}
{{- define "gpuwarden.labelsOfForm" -}}
{{- $form := index . 0 -}}
{{- $single := eq (index . 1).migStrategy "single" -}}
{{- $profile := regexFind "mig-[1-9][0-9]?g[.][1-9][0-9]{0,3}gb([.]me[.]all|[.]me|[.]gfx|-me)?" $form | trimPrefix "mig-" -}}
{{- $absent := dict "in" list -}}
{{- $sharing := "cloud.google.com/gke-gpu-sharing-strategy" -}}
{{- $clients := "cloud.google.com/gke-max-shared-clients-per-gpu" -}}
{{- $partition := "cloud.google.com/gke-gpu-partition-size" -}}
{{- $labels := dict $sharing $absent $clients $absent $partition $absent -}}
{{- if hasPrefix "gke-" $form -}}
{{- $_ := set $labels "nvidia.com/gpu.sharing-strategy" $absent -}}
{{- if $profile -}}
{{- $_ := set $labels $partition (dict "in" (list $profile)) -}}
{{- end -}}
{{- with regexFind "(time-sharing|mps)-[0-9]+$" $form -}}
{{- $_ := set $labels $sharing (dict "in" (list (regexFind "^(time-sharing|mps)" .))) -}}
{{- $_ := set $labels $clients (dict "in" (list (regexFind "[0-9]+$" .))) -}}
{{- end -}}
{{- else -}}
{{- $shares := dict "not" (list "time-slicing" "mps") -}}
{{- if has $form (list "time-slicing" "mps") -}}
{{- $shares = dict "in" (list $form) -}}
{{- else if hasSuffix "shared" $form -}}
{{- $shares = dict "in" ($profile | empty | ternary (list "time-slicing" "mps") (list "time-slicing")) -}}
{{- end -}}
{{- $byName := and (ne $profile "") (not $single) -}}
{{- $_ := set $labels ($byName | ternary (printf "nvidia.com/mig-%s.sharing-strategy" $profile) "nvidia.com/gpu.sharing-strategy") $shares -}}
{{- if eq $form "mps" -}}
{{- $_ := set $labels "nvidia.com/mps.capable" (dict "not" (list "false")) -}}
{{- end -}}
{{- if and $single $profile -}}
{{- $slices := dict "in" (list (regexFind "^[0-9]+" $profile)) -}}
{{- $_ := set $labels "nvidia.com/gpu.slices.gi" $slices -}}
{{- $_ := set $labels "nvidia.com/gpu.slices.ci" $slices -}}
{{- $_ := set $labels "nvidia.com/mig.capable" (dict "in" (list "true")) -}}
{{- $_ := set $labels "nvidia.com/mig.strategy" (dict "in" (list "single")) -}}
{{- range $name := list "count" "memory" "product" "replicas" -}}
{{- $_ := set $labels (printf "nvidia.com/mig-%s.%s" $profile $name) $absent -}}
{{- end -}}
{{- else -}}
{{- $_ := set $labels "nvidia.com/gpu.slices.gi" $absent -}}
{{- $_ := set $labels "nvidia.com/gpu.slices.ci" $absent -}}
{{- end -}}
{{- if $byName -}}
{{- $_ := set $labels "nvidia.com/mig.capable" (dict "not" (list "false")) -}}
{{- $_ := set $labels "nvidia.com/mig.strategy" (dict "not" (list "single" "none")) -}}
{{- end -}}
{{- end -}}
{{- toJson $labels -}}
{{- end -}}
