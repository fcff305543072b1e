{{/* What the containers are told. Takes root unless it says otherwise. */}}

{{/* A number as the platform reads it: large ones must not become 4.194304e+06. Takes the value. */}}
{{- define "entresol.text" -}}
{{- if and (kindIs "float64" .) (eq . (floor .)) -}}{{ int64 . }}{{- else -}}{{ . }}{{- end -}}
{{- end -}}

{{/* Settings as a map of variables. Takes a map of settings. */}}
{{- define "entresol.settings" -}}
{{- range $name, $value := . }}
ENTRESOL_{{ upper $name }}: {{ include "entresol.text" $value | quote }}
{{- end }}
{{- end -}}

{{/* Settings of all components that are no secret, as a map of variables. */}}
{{- define "entresol.config" -}}
{{- include "entresol.settings" .Values.config }}
ENTRESOL_LISTEN: {{ printf "0.0.0.0:%s" (include "entresol.text" .Values.server.port) | quote }}
{{- with .Values.server.webPort }}
ENTRESOL_WEB_LISTEN: {{ printf "0.0.0.0:%d" (int .) | quote }}
{{- end }}
{{- with .Values.admin.port }}
ENTRESOL_ADMIN_LISTEN: {{ printf "0.0.0.0:%d" (int .) | quote }}
{{- end }}
{{- range $name, $path := include "entresol.sourcePaths" . | fromYaml }}
ENTRESOL_{{ upper $name }}: {{ $path | quote }}
{{- end }}
ENTRESOL_TELEMETRY: {{ .Values.otel.enabled | quote }}
{{- with .Values.otel.endpoint }}
OTEL_EXPORTER_OTLP_ENDPOINT: {{ . | quote }}
{{- end }}
{{- end -}}

{{/* What only servers are told. Workers show no certificate: probes of theirs speak none. */}}
{{- define "entresol.serverSettings" -}}
ENTRESOL_DRAIN_DELAY_S: {{ include "entresol.text" .Values.server.drainDelaySeconds | quote }}
{{- if .Values.tls.existingSecret }}
ENTRESOL_TLS_CERTIFICATE: /etc/entresol/tls/tls.crt
ENTRESOL_TLS_KEY: /etc/entresol/tls/tls.key
{{- if .Values.tls.clientCa }}
ENTRESOL_TLS_CLIENT_CA: /etc/entresol/tls/ca.crt
{{- end }}
{{- end }}
{{- end -}}

{{/* What the chart's own Secret holds; empty when every value is in a Secret of the user's. */}}
{{- define "entresol.secretData" -}}
{{- with .Values.database.write.url }}
database-write: {{ . | b64enc | quote }}
{{- end }}
{{- with .Values.database.read.urls }}
database-read: {{ join " " . | b64enc | quote }}
{{- end }}
{{- with .Values.database.jobs.url }}
database-jobs: {{ . | b64enc | quote }}
{{- end }}
{{- with .Values.database.analytics.url }}
database-analytics: {{ . | b64enc | quote }}
{{- end }}
{{- with .Values.cache.url }}
cache: {{ . | b64enc | quote }}
{{- end }}
{{- with .Values.tokens.key }}
token-keys: {{ . | b64enc | quote }}
{{- end }}
{{- with .Values.rabbitmq.urls }}
rabbitmq: {{ join " " . | b64enc | quote }}
{{- end }}
{{- end -}}

{{/* One variable from a Secret, as a list of one or none. Takes name, source, given, key, secret. */}}
{{- define "entresol.secretEnv" -}}
{{- if or .given .source.existingSecret }}
- name: {{ .name }}
  valueFrom:
    secretKeyRef:
      name: {{ .source.existingSecret | default .secret | quote }}
      key: {{ empty .source.existingSecret | ternary .key .source.existingSecretKey | quote }}
{{- end }}
{{- end -}}

{{/* What a component reaches, by the key of the chart's Secret. Takes its label. */}}
{{- define "entresol.reaches" -}}
{{- if eq . "migrate" -}}
database-write database-jobs
{{- else if eq . "relay-jobs" -}}
database-write database-jobs rabbitmq
{{- else if eq . "publish" -}}
database-write rabbitmq
{{- else if hasPrefix "worker-" . -}}
database-write database-jobs database-read database-analytics cache token-keys rabbitmq
{{- else -}}
database-write database-jobs database-read cache token-keys
{{- end -}}
{{- end -}}

{{/* The variables of what a component reaches. Takes root, secret (the chart's own one), and label. */}}
{{- define "entresol.secretEnvs" -}}
{{- $values := .root.Values -}}
{{- $secret := .secret -}}
{{- $sources := dict
  "database-write" (dict "name" "ENTRESOL_DATABASE_WRITE" "source" $values.database.write "given" $values.database.write.url)
  "database-read" (dict "name" "ENTRESOL_DATABASE_READ" "source" $values.database.read "given" $values.database.read.urls)
  "database-jobs" (dict "name" "ENTRESOL_DATABASE_JOBS" "source" $values.database.jobs "given" $values.database.jobs.url)
  "database-analytics" (dict "name" "ENTRESOL_DATABASE_ANALYTICS" "source" $values.database.analytics "given" $values.database.analytics.url)
  "cache" (dict "name" "ENTRESOL_CACHE_URL" "source" $values.cache "given" $values.cache.url)
  "token-keys" (dict "name" "ENTRESOL_TOKEN_KEYS" "source" $values.tokens "given" $values.tokens.key)
  "rabbitmq" (dict "name" "ENTRESOL_RABBITMQ_URLS" "source" $values.rabbitmq "given" $values.rabbitmq.urls)
-}}
{{- range $key := include "entresol.reaches" .label | splitList " " -}}
{{- include "entresol.secretEnv" (merge (dict "key" $key "secret" $secret) (get $sources $key)) }}
{{- end }}
{{- end -}}

{{/* Every name once, the last entry of a name winning in the place of the first. Takes a list of variables. */}}
{{- define "entresol.uniqueEnv" -}}
{{- $names := list -}}
{{- $byName := dict -}}
{{- range . -}}
{{- if not (hasKey $byName .name) -}}{{- $names = append $names .name -}}{{- end -}}
{{- $_ := set $byName .name . -}}
{{- end -}}
{{- $unique := list -}}
{{- range $names -}}{{- $unique = append $unique (get $byName .) -}}{{- end -}}
{{- toYaml $unique -}}
{{- end -}}

{{- define "entresol.hasCache" -}}
{{- if or .Values.cache.url .Values.cache.existingSecret -}}true{{- end -}}
{{- end -}}

{{- define "entresol.hasRabbitmq" -}}
{{- if or .Values.rabbitmq.urls .Values.rabbitmq.existingSecret -}}true{{- end -}}
{{- end -}}

{{- define "entresol.hasRelay" -}}
{{- if and .Values.relay.enabled (include "entresol.hasCache" .) -}}true{{- end -}}
{{- end -}}
