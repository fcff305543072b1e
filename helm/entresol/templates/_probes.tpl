{{/* How the kubelet asks. It takes numbers, no names, for ports of gRPC, and it speaks no TLS by gRPC before 1.37. */}}

{{- define "entresol.hasTls" -}}
{{- if or .Values.tls.existingSecret .Values.config.tls_certificate -}}true{{- end -}}
{{- end -}}

{{/* Liveness asks whether the process answers, readiness whether calls may come. Takes root and service. */}}
{{- define "entresol.serverProbe" -}}
{{- $port := int .root.Values.server.port -}}
{{- if not (include "entresol.hasTls" .root) }}
grpc:
  port: {{ $port }}
  {{- with .service }}
  service: {{ . }}
  {{- end }}
{{- else if .root.Values.admin.port }}
httpGet:
  path: {{ empty .service | ternary "/readyz" "/livez" }}
  port: {{ int .root.Values.admin.port }}
{{- else }}
tcpSocket:
  port: {{ $port }}
{{- end }}
{{- end -}}

{{/*
A relay listens on nothing else, so it is asked at admin.port; where that is 0 it is not, for one that cannot work ends by
itself. A probe that says how to ask is taken as it is. Takes root and values.
*/}}
{{- define "entresol.relayProbes" -}}
{{- $port := int .root.Values.admin.port -}}
{{- $probes := dict -}}
{{- range $name := list "startupProbe" "livenessProbe" "readinessProbe" -}}
{{- $probe := get $.values $name | default dict -}}
{{- if pick $probe "exec" "grpc" "httpGet" "tcpSocket" -}}
{{- $_ := set $probes $name $probe -}}
{{- else if and $probe $port -}}
{{- $path := eq $name "readinessProbe" | ternary "/readyz" "/livez" -}}
{{- $_ := set $probes $name (merge (dict "httpGet" (dict "path" $path "port" $port)) $probe) -}}
{{- end -}}
{{- end -}}
{{- toYaml $probes -}}
{{- end -}}

{{/* The port of metrics and health over HTTP, as a list of one or none. Takes root. */}}
{{- define "entresol.adminPorts" -}}
{{- with .Values.admin.port }}
- name: admin
  containerPort: {{ int . }}
  protocol: TCP
{{- end }}
{{- end -}}
