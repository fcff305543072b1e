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

{{/* The port of metrics and health over HTTP, as a list of one or none. Takes root. */}}
{{- define "entresol.adminPorts" -}}
{{- with .Values.admin.port }}
- name: admin
  containerPort: {{ int . }}
  protocol: TCP
{{- end }}
{{- end -}}
