{{/*
HAProxy beside the containers: one address for the primary, one for the replicas, one for the platform, all on the
loopback. Two files, of which a pod has one: a server is the platform and has its port already, so databases.cfg is for
servers, and everything.cfg for who calls them. `entresol topology` writes the same, and knows the protos.
*/}}

{{- define "entresol.haproxyName" -}}
{{- .Values.haproxy.existingConfigMap | default (include "entresol.componentName" (dict "root" . "component" "haproxy")) -}}
{{- end -}}

{{- define "entresol.hasOwnHaproxy" -}}
{{- if and .Values.haproxy.enabled (not .Values.haproxy.existingConfigMap) -}}true{{- end -}}
{{- end -}}

{{/* The data of the ConfigMap. Takes root. */}}
{{- define "entresol.haproxyFiles" -}}
{{- $databases := empty .Values.haproxy.postgres.servers | ternary "entresol.haproxyServices" "entresol.haproxyMembers" -}}
{{- $shared := printf "%s\n\n%s" (include "entresol.haproxyGlobal" .) (include $databases .) -}}
databases.cfg: |
  {{- $shared | nindent 2 }}
everything.cfg: |
  {{- $shared | nindent 2 }}
  {{- include "entresol.haproxyPlatform" . | nindent 2 }}
{{- end -}}

{{- define "entresol.haproxyGlobal" -}}
global
    maxconn 4096
    stats socket /var/run/haproxy/admin.sock mode 600 level admin

defaults
    retries 3
    option redispatch 1
    timeout connect 500ms
    timeout client 75s
    timeout server 30s
    timeout check 800ms
    timeout queue 2s

resolvers kube
    parse-resolv-conf
    accepted_payload_size 8192
    hold valid 1s
    hold obsolete 5s

# For the kubelet, which cannot reach the loopback, and for Prometheus. It says nothing of what stands behind.
frontend admin
    mode http
    bind :8404
    monitor-uri /healthz
    stats enable
    stats uri /stats
    http-request use-service prometheus-exporter if { path /metrics }
{{- end -}}

{{/* PostgreSQL by its members, whom Patroni tells apart. A write that runs on a demoted primary must not go on. */}}
{{- define "entresol.haproxyMembers" -}}
{{- $postgres := .Values.haproxy.postgres -}}
listen db_write
    mode tcp
    bind 127.0.0.1:9002
    timeout client 30m
    timeout server 30m
    option httpchk OPTIONS /primary
    http-check expect status 200
    default-server check port {{ int $postgres.patroniPort }} inter 1s fastinter 300ms fall 2 rise 1 on-marked-down shutdown-sessions maxconn 80 init-addr none resolvers kube
    {{- include "entresol.haproxyServers" $postgres.servers | nindent 4 }}

frontend db_read
    mode tcp
    bind 127.0.0.1:9001
    timeout client 30m
    use_backend be_replicas if { nbsrv(be_replicas) gt 0 }
    default_backend be_read_fallback

backend be_replicas
    mode tcp
    timeout server 30m
    balance leastconn
    option httpchk OPTIONS /replica?lag={{ $postgres.lagMax }}
    http-check expect status 200
    default-server check port {{ int $postgres.patroniPort }} inter 1s fastinter 300ms fall 2 rise 2 on-marked-down shutdown-sessions slowstart 10s init-addr none resolvers kube
    {{- include "entresol.haproxyServers" $postgres.servers | nindent 4 }}

# Reads of the primary, when no replica is near enough: few, so that writes go on.
backend be_read_fallback
    mode tcp
    timeout server 30m
    option httpchk OPTIONS /primary
    http-check expect status 200
    default-server check port {{ int $postgres.patroniPort }} inter 1s fastinter 300ms fall 2 rise 1 on-marked-down shutdown-sessions maxconn 20 init-addr none resolvers kube
    {{- include "entresol.haproxyServers" $postgres.servers | nindent 4 }}
{{- end -}}

{{/* PostgreSQL by Services that follow the primary and the replicas by themselves, as an operator's do. */}}
{{- define "entresol.haproxyServices" -}}
{{- $postgres := .Values.haproxy.postgres -}}
listen db_write
    mode tcp
    bind 127.0.0.1:9002
    timeout client 30m
    timeout server 30m
    default-server check inter 1s fastinter 300ms fall 2 rise 1 maxconn 80 init-addr none resolvers kube
    server primary {{ $postgres.writeService }}

frontend db_read
    mode tcp
    bind 127.0.0.1:9001
    timeout client 30m
    use_backend be_replicas if { nbsrv(be_replicas) gt 0 }
    default_backend be_read_fallback

backend be_replicas
    mode tcp
    timeout server 30m
    {{- with $postgres.readService }}
    default-server check inter 1s fastinter 300ms fall 2 rise 2 init-addr none resolvers kube
    server replicas {{ . }}
    {{- end }}

backend be_read_fallback
    mode tcp
    timeout server 30m
    default-server check inter 1s fastinter 300ms fall 2 rise 1 maxconn 20 init-addr none resolvers kube
    server primary {{ $postgres.writeService }}
{{- end -}}

{{/* Takes a list of host:port. */}}
{{- define "entresol.haproxyServers" -}}
{{- $lines := list -}}
{{- range $index, $address := . }}{{ $lines = append $lines (printf "server pg%d %s" $index $address) }}{{ end -}}
{{- join "\n" $lines -}}
{{- end -}}

{{/*
The servers of this release, call by call. Only reads, told by the names of standard methods, are sent a second time. What
is to be sent once goes around by HTTP/1.1: where a server dies HAProxy tells clients of HTTP/2 that nobody has seen the
request, and they may send it again.
*/}}
{{- define "entresol.haproxyPlatform" -}}
{{- $port := int .Values.server.port -}}
{{- $host := printf "%s-server-headless.%s.svc.%s" (include "entresol.fullname" .) .Release.Namespace .Values.haproxy.clusterDomain -}}
{{- $servers := printf "server-template p %d %s:%d resolvers kube resolve-prefer ipv4 init-addr none" (int .Values.haproxy.platformSlots) $host $port -}}
{{- $check := empty .Values.admin.port | ternary "entresol.haproxyHealth" "entresol.haproxyReadiness" }}
frontend fe_platform
    mode http
    bind 127.0.0.1:9000 proto h2
    acl is_stream path_reg /(Watch|Subscribe|Tail)[A-Za-z0-9]*$
    acl is_read path_reg /(Get|BatchGet|List)[A-Z][A-Za-z0-9]*$
    use_backend be_platform_stream if is_stream
    use_backend be_once unless is_read
    default_backend be_platform

backend be_platform
    mode http
    balance leastconn
    http-reuse always
    timeout server 65s
    retry-on all-retryable-errors
    http-request disable-l7-retry if { fe_name fe_once }
    {{- include $check . | nindent 4 }}
    default-server proto h2 weight 100 slowstart 10s check {{ with .Values.admin.port }}port {{ int . }} {{ end }}inter 1s fastinter 250ms fall 2 rise 2
    {{ $servers }}

# Calls that may be silent for long.
backend be_platform_stream
    mode http
    balance leastconn
    timeout server 1h
    {{- include $check . | nindent 4 }}
    default-server proto h2 weight 100 check {{ with .Values.admin.port }}port {{ int . }} {{ end }}inter 1s fastinter 250ms fall 2 rise 2
    {{ $servers }}

backend be_once
    mode http
    option http-server-close
    timeout server 65s
    server once abns@entresol-once

frontend fe_once
    mode http
    bind abns@entresol-once
    default_backend be_platform
{{- end -}}

{{/* 404 drains, anything else but 200 is down; of neither are calls cut that run. */}}
{{- define "entresol.haproxyReadiness" -}}
option httpchk
http-check connect proto h1
http-check send meth GET uri /readyz
http-check disable-on-404
http-check expect status 200
{{- end -}}

{{/*
grpc.health.v1.Health/Check, byte by byte: preface, SETTINGS and its acknowledgement, HEADERS, an empty message. The first
answer that counts is a health of any value, the second asks that it is SERVING: NOT_SERVING then fails at once.
*/}}
{{- define "entresol.haproxyHealth" -}}
option tcp-check
tcp-check connect
tcp-check send-binary 505249202a20485454502f322e300d0a0d0a534d0d0a0d0a
tcp-check send-binary 000000040000000000
tcp-check send-binary 0000490104000000018386041c2f677270632e6865616c74682e76312e4865616c74682f436865636b0107686170726f78790f10106170706c69636174696f6e2f677270630002746508747261696c657273
tcp-check send-binary 0000050001000000010000000000
tcp-check expect rbinary 0000000002080[0-3]
tcp-check expect min-recv 1 binary 00000000020801
{{- end -}}

{{/* The sidecar, which starts before the other containers and stops after them. Takes root and file. */}}
{{- define "entresol.haproxyContainer" -}}
{{- $haproxy := .root.Values.haproxy -}}
{{- $command := list "haproxy" "-W" "-db" "-f" (printf "/etc/haproxy/%s" .file) -}}
name: haproxy
image: {{ include "entresol.image" (dict "root" .root "image" $haproxy.image) | quote }}
imagePullPolicy: {{ $haproxy.image.pullPolicy }}
restartPolicy: Always
command:
  {{- toYaml $command | nindent 2 }}
ports:
  - name: haproxy
    containerPort: 8404
    protocol: TCP
# The kubelet begins the next container once this has been answered. By then names are resolved, and checks have told the
# primary from the others, which all count as up before.
startupProbe:
  httpGet:
    path: /healthz
    port: 8404
  initialDelaySeconds: 3
  periodSeconds: 1
  failureThreshold: 30
livenessProbe:
  httpGet:
    path: /healthz
    port: 8404
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
resources:
  {{- toYaml $haproxy.resources | nindent 2 }}
securityContext:
  {{- toYaml .root.Values.global.securityContext | nindent 2 }}
volumeMounts:
  - name: haproxy
    mountPath: /etc/haproxy
    readOnly: true
  - name: haproxy-run
    mountPath: /var/run/haproxy
{{- end -}}

{{/* Takes the name of the ConfigMap. */}}
{{- define "entresol.haproxyVolumes" -}}
- name: haproxy
  configMap:
    name: {{ . | quote }}
- name: haproxy-run
  emptyDir:
    sizeLimit: 1Mi
{{- end -}}
