{{/* The pod of every component: one text, so that they cannot drift apart. */}}

{{/* A component's values over the global ones, as YAML. Takes root and component. */}}
{{- define "entresol.component" -}}
{{- $own := get .root.Values .component -}}
{{- $merged := mergeOverwrite (deepCopy .root.Values.global) (deepCopy $own) -}}
{{- $_ := set $merged "extraEnv" (concat (.root.Values.global.extraEnv | default list) ($own.extraEnv | default list)) -}}
{{- toYaml $merged -}}
{{- end -}}

{{/* Takes root and image. */}}
{{- define "entresol.image" -}}
{{- $tag := .image.tag | default .root.Chart.AppVersion -}}
{{- if .image.digest -}}
{{- printf "%s@%s" .image.repository .image.digest -}}
{{- else if eq $tag "latest" -}}
{{- fail "global.image.tag: `latest` names another image tomorrow; give a version, or set global.image.digest" -}}
{{- else -}}
{{- printf "%s:%s" .image.repository $tag -}}
{{- end -}}
{{- end -}}

{{/*
Takes root, label (component label), values (merged), args, serviceAccount, secret, and what the component adds:
configMap, literal config, ports, probes, restartPolicy, haproxy (the name of its ConfigMap) and haproxyFile.
*/}}
{{- define "entresol.pod" -}}
{{- $values := .values -}}
{{- if not (or $values.topologySpreadConstraints .restartPolicy) -}}
{{- $selector := dict "matchLabels" (include "entresol.selectorLabels" (dict "root" .root "component" .label) | fromYaml) -}}
{{- $spread := dict "maxSkew" 1 "topologyKey" "kubernetes.io/hostname" "whenUnsatisfiable" "ScheduleAnyway" "labelSelector" $selector -}}
{{- $_ := set $values "topologySpreadConstraints" (list $spread) -}}
{{- end -}}
{{- $env := list -}}
{{- range $name, $value := .config -}}{{- $env = append $env (dict "name" $name "value" $value) -}}{{- end -}}
{{- $secrets := include "entresol.secretEnvs" (dict "root" .root "secret" .secret "label" .label) | fromYamlArray -}}
{{- $env = concat $env $secrets ($values.extraEnv | default list) -}}
serviceAccountName: {{ .serviceAccount | quote }}
automountServiceAccountToken: false
# Service links would put ENTRESOL_* variables of other meaning into a pod beside a Service named entresol.
enableServiceLinks: false
{{- with .restartPolicy }}
restartPolicy: {{ . }}
{{- end }}
terminationGracePeriodSeconds: {{ int $values.terminationGracePeriodSeconds }}
{{- with $values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
securityContext:
  {{- toYaml $values.podSecurityContext | nindent 2 }}
{{- range $key := list "nodeSelector" "tolerations" "affinity" "topologySpreadConstraints" }}
{{- with get $values $key }}
{{ $key }}:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- $haproxy := and .root.Values.haproxy.enabled .haproxy }}
{{- with $haproxy }}
initContainers:
  - {{ include "entresol.haproxyContainer" (dict "root" $.root "file" $.haproxyFile) | indent 4 | trim }}
{{- end }}
containers:
  - name: {{ .label }}
    image: {{ include "entresol.image" (dict "root" .root "image" $values.image) | quote }}
    imagePullPolicy: {{ $values.image.pullPolicy }}
    command: [entresol]
    args:
      {{- toYaml .args | nindent 6 }}
    {{- with .configMap }}
    envFrom:
      - configMapRef:
          name: {{ . | quote }}
    {{- end }}
    env:
      {{- include "entresol.uniqueEnv" $env | nindent 6 }}
    {{- with .ports }}
    ports:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- range $name, $probe := .probes }}
    {{ $name }}:
      {{- toYaml $probe | nindent 6 }}
    {{- end }}
    resources:
      {{- toYaml $values.resources | nindent 6 }}
    securityContext:
      {{- toYaml $values.securityContext | nindent 6 }}
    volumeMounts:
      - name: tmp
        mountPath: /tmp
      {{- with include "entresol.mounts" (dict "root" .root "label" .label) | trim }}
      {{- . | nindent 6 }}
      {{- end }}
      {{- with $values.extraVolumeMounts }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
volumes:
  - name: tmp
    emptyDir:
      sizeLimit: {{ $values.tmpSizeLimit | quote }}
  {{- with include "entresol.mountedVolumes" (dict "root" .root "label" .label) | trim }}
  {{- . | nindent 2 }}
  {{- end }}
  {{- with $haproxy }}
  {{- include "entresol.haproxyVolumes" . | nindent 2 }}
  {{- end }}
  {{- with $values.extraVolumes }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{/* No more pods of a component than so many are taken away at once. Takes root, component and maxUnavailable. */}}
{{- define "entresol.budget" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "entresol.componentName" . | quote }}
  namespace: {{ .root.Release.Namespace | quote }}
  labels:
    {{- include "entresol.labels" . | nindent 4 }}
spec:
  maxUnavailable: {{ kindIs "string" .maxUnavailable | ternary .maxUnavailable (int .maxUnavailable) }}
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "entresol.selectorLabels" . | nindent 6 }}
{{- end -}}

{{/* Metadata of a pod template. Takes root, label, values, and checksums: whether the pod reads ConfigMap and Secret. */}}
{{- define "entresol.podMetadata" -}}
labels:
  {{- include "entresol.selectorLabels" (dict "root" .root "component" .label) | nindent 2 }}
  {{- with .values.podLabels }}
  {{- tpl (toYaml .) $.root | nindent 2 }}
  {{- end }}
{{- if or .checksums .values.podAnnotations }}
annotations:
  {{- if .checksums }}
  checksum/config: {{ include "entresol.config" .root | sha256sum }}
  checksum/secret: {{ include "entresol.secretData" .root | sha256sum }}
  {{- if include "entresol.hasOwnHaproxy" .root }}
  checksum/haproxy: {{ include "entresol.haproxyFiles" .root | sha256sum }}
  {{- end }}
  {{- end }}
  {{- with .values.podAnnotations }}
  {{- tpl (toYaml .) $.root | nindent 2 }}
  {{- end }}
{{- end }}
{{- end -}}
