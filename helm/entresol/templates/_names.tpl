{{/* Names and labels. The release's part of a name is cut, the component's never: 44 leaves room for every suffix. */}}

{{- define "entresol.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "entresol.fullname" -}}
{{- $wanted := .Values.fullnameOverride -}}
{{- if not $wanted -}}
{{- $name := include "entresol.name" . -}}
{{- $wanted = contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) -}}
{{- end -}}
{{- if gt (len $wanted) 44 -}}
{{- $wanted = printf "%s-%s" ($wanted | trunc 35 | trimSuffix "-") ($wanted | sha256sum | trunc 8) -}}
{{- end -}}
{{- $wanted -}}
{{- end -}}

{{/* The name of a component's objects. One that is too long loses of the release's part. Takes root and component. */}}
{{- define "entresol.componentName" -}}
{{- $fullname := include "entresol.fullname" .root -}}
{{- $room := sub 62 (len .component) | int -}}
{{- if gt (len $fullname) $room -}}
{{- $fullname = printf "%s-%s" ($fullname | trunc (sub $room 9 | int) | trimSuffix "-") ($fullname | sha256sum | trunc 8) -}}
{{- end -}}
{{- printf "%s-%s" $fullname .component -}}
{{- end -}}

{{/* Frozen: a Deployment's selector can never change. Takes root and component. */}}
{{- define "entresol.selectorLabels" -}}
app.kubernetes.io/name: {{ include "entresol.name" .root | quote }}
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "entresol.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "entresol.selectorLabels" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
{{- end -}}

{{- define "entresol.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "entresol.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* What the migration hook needs exists only for the hook: nothing else is there before the first install. */}}
{{- define "entresol.hookAnnotations" -}}
helm.sh/hook: pre-install,pre-upgrade
helm.sh/hook-weight: {{ .weight | quote }}
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end -}}

{{- define "entresol.migrateName" -}}
{{- printf "%s-migrate" (include "entresol.fullname" .) -}}
{{- end -}}
