{{/* Pools of workers: what each says over the defaults, the defaults over the global values. */}}

{{/*
Every pool that is enabled by its name, whole, as YAML. `config` is all that its workers are told, `ownConfig` what others
are not.
*/}}
{{- define "entresol.pools" -}}
{{- $values := .Values -}}
{{- $pools := dict -}}
{{- range $name, $own := $values.workers.pools -}}
{{- $pool := mergeOverwrite (deepCopy $values.global) (deepCopy $values.workers.defaults) (deepCopy ($own | default dict)) -}}
{{- if $pool.enabled -}}
{{- $variables := list -}}
{{- range $from := list $values.global $values.workers.defaults ($own | default dict) -}}
{{- $variables = concat $variables ($from.extraEnv | default list) -}}
{{- end -}}
{{- $_ := set $pool "extraEnv" $variables -}}
{{- $_ := set $pool "queues" ($pool.queues | default (list $name)) -}}
{{- $_ := set $pool "ownConfig" ($pool.config | default dict) -}}
{{- $_ := set $pool "config" (mergeOverwrite (dict "jobs_concurrency" 100) (deepCopy $values.config) $pool.ownConfig) -}}
{{- $_ := set $pool "terminationGracePeriodSeconds" ($pool.terminationGracePeriodSeconds | default (include "entresol.poolGrace" $pool | int)) -}}
{{- $_ := set $pools $name $pool -}}
{{- end -}}
{{- end -}}
{{- toYaml $pools -}}
{{- end -}}

{{/* The least time in which a worker's jobs end, or are handed back: 5 s to hear of it, 2 s for processes, some to write it down. */}}
{{- define "entresol.poolGrace" -}}
{{- add (ceil (.config.drain_s | default 5)) 15 -}}
{{- end -}}

{{- define "entresol.poolChecks" -}}
{{- $hasRabbitmq := include "entresol.hasRabbitmq" . -}}
{{- range $name, $pool := include "entresol.pools" . | fromYaml -}}
{{- $least := include "entresol.poolGrace" $pool | int -}}
{{- if lt (int $pool.terminationGracePeriodSeconds) $least -}}
{{- fail (printf "workers.pools.%s.terminationGracePeriodSeconds: %d is too short; config.drain_s + 15 s to spare are %d" $name (int $pool.terminationGracePeriodSeconds) $least) -}}
{{- end -}}
{{- if and $pool.autoscaling.enabled (gt (int $pool.autoscaling.minReplicas) (int $pool.autoscaling.maxReplicas)) -}}
{{- fail (printf "workers.pools.%s.autoscaling: minReplicas is more than maxReplicas" $name) -}}
{{- end -}}
{{- if and $pool.config.jobs_relayed (not $hasRabbitmq) -}}
{{- fail (printf "workers.pools.%s: config.jobs_relayed takes jobs from RabbitMQ; set rabbitmq.existingSecret" $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
