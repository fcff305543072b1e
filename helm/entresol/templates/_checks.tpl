{{/* What a schema cannot say about the values. Every text names the value, the rule and the remedy. */}}
{{- define "entresol.checks" -}}
{{- include "entresol.deprecations" . -}}
{{- $values := .Values -}}
{{- if not (or $values.database.write.url $values.database.write.existingSecret) -}}
{{- fail "database.write: there is no database; set database.write.existingSecret to a Secret with the primary's URL, or database.write.url" -}}
{{- end -}}
{{- range $name, $given := dict "database.write.url" (list $values.database.write.url $values.database.write.existingSecret) "database.read.urls" (list $values.database.read.urls $values.database.read.existingSecret) "database.jobs.url" (list $values.database.jobs.url $values.database.jobs.existingSecret) "database.analytics.url" (list $values.database.analytics.url $values.database.analytics.existingSecret) "rabbitmq.urls" (list $values.rabbitmq.urls $values.rabbitmq.existingSecret) "cache.url" (list $values.cache.url $values.cache.existingSecret) "tokens.key" (list $values.tokens.key $values.tokens.existingSecret) -}}
{{- if and (index $given 0) (index $given 1) -}}
{{- fail (printf "%s: is given here and in an existingSecret; keep one of them" $name) -}}
{{- end -}}
{{- end -}}
{{- range $component := list "relayJobs" "publish" -}}
{{- if and (get $values $component).enabled (not (include "entresol.hasRabbitmq" $)) -}}
{{- fail (printf "%s: there is no RabbitMQ; set rabbitmq.existingSecret to a Secret with the URLs of its nodes, or rabbitmq.urls" $component) -}}
{{- end -}}
{{- end -}}
{{- include "entresol.poolChecks" . -}}
{{- include "entresol.portChecks" . -}}
{{- include "entresol.haproxyChecks" . -}}
{{- include "entresol.sourceChecks" . -}}
{{- $least := add (ceil $values.server.drainDelaySeconds) (ceil ($values.config.drain_s | default 5)) 5 -}}
{{- if lt (int $values.server.terminationGracePeriodSeconds) (int $least) -}}
{{- fail (printf "server.terminationGracePeriodSeconds: %d is too short; drainDelaySeconds + config.drain_s + 5 s to spare are %d" (int $values.server.terminationGracePeriodSeconds) (int $least)) -}}
{{- end -}}
{{- if and $values.server.autoscaling.enabled (gt (int $values.server.autoscaling.minReplicas) (int $values.server.autoscaling.maxReplicas)) -}}
{{- fail "server.autoscaling: minReplicas is more than maxReplicas" -}}
{{- end -}}
{{- end -}}

{{/* One pod, one port, one listener. */}}
{{- define "entresol.portChecks" -}}
{{- $values := .Values -}}
{{- $ports := list (dict "who" "server.port" "port" $values.server.port) -}}
{{- with $values.server.webPort }}{{ $ports = append $ports (dict "who" "server.webPort" "port" .) }}{{ end -}}
{{- with $values.admin.port }}{{ $ports = append $ports (dict "who" "admin.port" "port" .) }}{{ end -}}
{{- $own := list -}}
{{- if $values.haproxy.enabled -}}
{{- range $port := list 9001 9002 8404 }}{{ $own = append $own (dict "who" "haproxy" "port" $port) }}{{ end -}}
{{- end -}}
{{- include "entresol.distinctPorts" (concat $own $ports) -}}
{{- range $name, $pool := include "entresol.pools" . | fromYaml -}}
{{- $ports := list (dict "who" (printf "workers.pools.%s.healthPort" $name) "port" $pool.healthPort) -}}
{{- with $values.admin.port }}{{ $ports = append $ports (dict "who" "admin.port" "port" .) }}{{ end -}}
{{- if $values.haproxy.enabled }}{{ $ports = append $ports (dict "who" "haproxy" "port" 9000) }}{{ end -}}
{{- include "entresol.distinctPorts" (concat $own $ports) -}}
{{- end -}}
{{- if and (not $values.admin.port) $values.metrics.serviceMonitor.enabled -}}
{{- fail "metrics.serviceMonitor: metrics are served at admin.port, which is 0" -}}
{{- end -}}
{{- end -}}

{{- define "entresol.distinctPorts" -}}
{{- $taken := dict -}}
{{- range $one := . -}}
{{- $port := int .port | toString -}}
{{- with get $taken $port -}}
{{- fail (printf "%s and %s: both listen on %s in one pod; give one of them another port" . $one.who $port) -}}
{{- end -}}
{{- $_ := set $taken $port .who -}}
{{- end -}}
{{- end -}}

{{- define "entresol.haproxyChecks" -}}
{{- $haproxy := .Values.haproxy -}}
{{- $known := list $haproxy.existingConfigMap $haproxy.postgres.servers $haproxy.postgres.writeService -}}
{{- if $haproxy.enabled -}}
{{- if not (compact $known) -}}
{{- fail "haproxy.postgres: HAProxy knows no PostgreSQL; set servers to the members that Patroni leads, or writeService to a Service of the primary" -}}
{{- end -}}
{{- if gt (len (compact $known)) 1 -}}
{{- fail "haproxy: its databases are given by more than one of existingConfigMap, postgres.servers and postgres.writeService; keep one of them" -}}
{{- end -}}
{{- if include "entresol.hasTls" . -}}
{{- fail "haproxy.enabled: HAProxy tells calls apart, which it cannot under TLS; take away tls.existingSecret, or let clients balance calls themselves" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "entresol.sourceChecks" -}}
{{- $sources := .Values.sources -}}
{{- if $sources.image.reference -}}
{{- if or $sources.protos.configMap $sources.functions.configMap $sources.migrations -}}
{{- fail "sources: are in an image and in ConfigMaps; keep one of them" -}}
{{- end -}}
{{- if semverCompare "<1.33.0-0" .Capabilities.KubeVersion.Version -}}
{{- fail (printf "sources.image: Kubernetes mounts images from 1.33, and this is %s; use ConfigMaps, or build them in" .Capabilities.KubeVersion.Version) -}}
{{- end -}}
{{- end -}}
{{- end -}}
