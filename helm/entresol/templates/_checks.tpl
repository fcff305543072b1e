{{/* What a schema cannot say about the values. Every text names the value, the rule and the remedy. */}}
{{- define "entresol.checks" -}}
{{- $values := .Values -}}
{{- if not (or $values.database.write.url $values.database.write.existingSecret) -}}
{{- fail "database.write: there is no database; set database.write.existingSecret to a Secret with the primary's URL, or database.write.url" -}}
{{- end -}}
{{- range $name, $given := dict "database.write.url" (list $values.database.write.url $values.database.write.existingSecret) "database.read.urls" (list $values.database.read.urls $values.database.read.existingSecret) "database.analytics.url" (list $values.database.analytics.url $values.database.analytics.existingSecret) "rabbitmq.urls" (list $values.rabbitmq.urls $values.rabbitmq.existingSecret) "cache.url" (list $values.cache.url $values.cache.existingSecret) "tokens.key" (list $values.tokens.key $values.tokens.existingSecret) -}}
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
{{- $drain := ceil ($values.config.drain_s | default 5) -}}
{{- $least := add $values.server.preStopSleepSeconds $drain 5 -}}
{{- if lt (int $values.server.terminationGracePeriodSeconds) (int $least) -}}
{{- fail (printf "server.terminationGracePeriodSeconds: %d is too short; preStopSleepSeconds + config.drain_s + 5 s to spare are %d" (int $values.server.terminationGracePeriodSeconds) (int $least)) -}}
{{- end -}}
{{- if and $values.server.autoscaling.enabled (gt (int $values.server.autoscaling.minReplicas) (int $values.server.autoscaling.maxReplicas)) -}}
{{- fail "server.autoscaling: minReplicas is more than maxReplicas" -}}
{{- end -}}
{{- end -}}
