{{/* The node labels of forms, as webhook/engine/spelling.py knows them, and which models lack a MIG profile. */}}

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
{{- $profile := regexFind (printf "mig-%s" (include "gpuwarden.profilePattern" .)) $form | trimPrefix "mig-" -}}
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
{{- $named := $byName | ternary (printf "mig-%s" $profile) "gpu" -}}
{{- if or (has $form (list "time-slicing" "mps")) (hasSuffix "shared" $form) -}}
{{- $_ := set $labels (printf "nvidia.com/%s.replicas" $named) (dict "not" (list "0" "1")) -}}
{{- end -}}
{{- if ne $form "shared" -}}
{{- $_ := set $labels "nvidia.com/mps.capable" (dict "not" (list (eq $form "mps" | ternary "false" "true"))) -}}
{{- end -}}
{{- $configurations := list "all-enabled" -}}
{{- if or (not $profile) $single -}}
{{- $configurations = append $configurations "all-balanced" -}}
{{- end -}}
{{- if $profile -}}
{{- $configurations = append $configurations "all-disabled" -}}
{{- end -}}
{{- range $other := without (include "gpuwarden.documentedProfiles" . | splitList " ") $profile -}}
{{- $configurations = append $configurations (printf "all-%s" $other) -}}
{{- end -}}
{{- $_ := set $labels "nvidia.com/mig.config" (dict "not" $configurations) -}}
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
