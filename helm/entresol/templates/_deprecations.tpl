{{/* Values that are gone. values.schema.json still lets them in, so that whoever has one is told what came of it. */}}
{{- define "entresol.deprecations" -}}
{{- $gone := dict
  "server.preStopSleepSeconds" "servers wait by themselves; set server.drainDelaySeconds"
-}}
{{- range $path, $remedy := $gone -}}
{{- $parts := splitList "." $path -}}
{{- $at := $.Values -}}
{{- range initial $parts -}}{{- $at = get $at . -}}{{- end -}}
{{- if hasKey $at (last $parts) -}}
{{- fail (printf "%s: is no value any more: %s (helm/entresol/UPGRADING.md)" $path $remedy) -}}
{{- end -}}
{{- end -}}
{{- end -}}
