{{/* What is mounted from elsewhere: certificates, and the service's protos, functions and migrations. */}}

{{/* Where sources are that are mounted, by the setting that names the place. Takes root. */}}
{{- define "entresol.sourcePaths" -}}
{{- $sources := .Values.sources -}}
{{- $image := $sources.image.reference -}}
{{- if $image }}
protos: /sources/protos
{{- else if $sources.protos.configMap }}
protos: /sources/protos/{{ $sources.protos.key }}
{{- end }}
{{- if or $image $sources.functions.configMap }}
functions: /sources/functions
{{- end }}
{{- if or $image $sources.migrations }}
migrations: /sources/migrations
{{- end }}
{{- end -}}

{{/* Takes root and label. */}}
{{- define "entresol.mounts" -}}
{{- $sources := .root.Values.sources -}}
{{- $places := list -}}
{{- if and .root.Values.tls.existingSecret (eq .label "server") -}}
{{- $places = append $places (dict "name" "tls" "mountPath" "/etc/entresol/tls" "readOnly" true) -}}
{{- end -}}
{{- if $sources.image.reference -}}
{{- $places = append $places (dict "name" "sources" "mountPath" "/sources" "readOnly" true) -}}
{{- end -}}
{{- range $name := list "protos" "functions" -}}
{{- if (get $sources $name).configMap -}}
{{- $places = append $places (dict "name" $name "mountPath" (printf "/sources/%s" $name) "readOnly" true) -}}
{{- end -}}
{{- end -}}
{{- range $set := keys $sources.migrations | sortAlpha -}}
{{- $places = append $places (dict "name" (printf "migrations-%s" $set) "mountPath" (printf "/sources/migrations/%s" $set) "readOnly" true) -}}
{{- end -}}
{{- with $places }}{{ toYaml . }}{{ end -}}
{{- end -}}

{{/* Takes root and label. */}}
{{- define "entresol.mountedVolumes" -}}
{{- $sources := .root.Values.sources -}}
{{- $volumes := list -}}
{{- if and .root.Values.tls.existingSecret (eq .label "server") -}}
{{- $volumes = append $volumes (dict "name" "tls" "secret" (dict "secretName" .root.Values.tls.existingSecret)) -}}
{{- end -}}
{{- if $sources.image.reference -}}
{{- $volumes = append $volumes (dict "name" "sources" "image" $sources.image) -}}
{{- end -}}
{{- range $name := list "protos" "functions" -}}
{{- with (get $sources $name).configMap -}}
{{- $volumes = append $volumes (dict "name" $name "configMap" (dict "name" .)) -}}
{{- end -}}
{{- end -}}
{{- range $set := keys $sources.migrations | sortAlpha -}}
{{- $volumes = append $volumes (dict "name" (printf "migrations-%s" $set) "configMap" (dict "name" (get $sources.migrations $set))) -}}
{{- end -}}
{{- with $volumes }}{{ toYaml . }}{{ end -}}
{{- end -}}
