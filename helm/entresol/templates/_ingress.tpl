{{/* Who may reach a component, as a list of rules. The kubelet always may. Takes root and component. */}}
{{- define "entresol.ingress" -}}
{{- $values := .root.Values -}}
{{- $policy := $values.networkPolicy -}}
{{- $rules := list -}}
{{- if eq .component "server" -}}
{{- $ports := list (dict "port" (int $values.server.port) "protocol" "TCP") -}}
{{- /* HAProxy, beside whoever calls, asks there which servers are ready. */ -}}
{{- range $port := list $values.server.webPort $values.admin.port -}}
{{- if $port -}}{{- $ports = append $ports (dict "port" (int $port) "protocol" "TCP") -}}{{- end -}}
{{- end -}}
{{- $rule := dict "ports" $ports -}}
{{- with $policy.ingressFrom -}}
{{- /* `helm test` and the workers' HAProxy are of this release. */ -}}
{{- $selector := omit (include "entresol.selectorLabels" (dict "root" $.root "component" "test") | fromYaml) "app.kubernetes.io/component" -}}
{{- $_ := set $rule "from" (append . (dict "podSelector" (dict "matchLabels" $selector))) -}}
{{- end -}}
{{- $rules = append $rules $rule -}}
{{- end -}}
{{- if and $values.metrics.serviceMonitor.enabled (ne .component "migrate") -}}
{{- $ports := list (dict "port" (int $values.admin.port) "protocol" "TCP") -}}
{{- if $values.haproxy.enabled -}}{{- $ports = append $ports (dict "port" 8404 "protocol" "TCP") -}}{{- end -}}
{{- $rule := dict "ports" $ports -}}
{{- with $policy.metricsFrom }}{{ $_ := set $rule "from" . }}{{ end -}}
{{- $rules = append $rules $rule -}}
{{- end -}}
{{- with $rules }}{{ toYaml . }}{{ end -}}
{{- end -}}
