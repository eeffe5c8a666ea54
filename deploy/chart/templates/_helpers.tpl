{{- define "guide.name" -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "guide.labels" -}}
app.kubernetes.io/name: atomic-guide
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}

{{/* Labels that choose pods; (list $ "web") */}}
{{- define "guide.selector" -}}
app.kubernetes.io/name: atomic-guide
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{- define "guide.image" -}}
{{- $repository := required "image.repository: name the registry and repository of the image" .Values.image.repository -}}
{{- if .Values.image.digest -}}
{{ $repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ $repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{- define "guide.claim" -}}
{{- .Values.objects.existingClaim | default (printf "%s-objects" (include "guide.name" .)) -}}
{{- end -}}

{{/* The settings file: what users gave, and what the chart's own values say, as TOML. */}}
{{- define "guide.settings" -}}
{{- $name := include "guide.name" . -}}
{{- $server := dict "host" "0.0.0.0" "port" 8000 "public_url" (required "publicUrl: give the address that browsers use" .Values.publicUrl) "development" "off" "trusted_proxies" .Values.route.trustedProxies -}}
{{- $nats := dict "url" (required "nats.url: name a NATS with JetStream" .Values.nats.url) -}}
{{- $bounds := dict "web" (dict "min" .Values.scaling.web.min "max" .Values.scaling.web.max) "workers" (dict "min" .Values.scaling.worker.min "max" .Values.scaling.worker.max) -}}
{{- $own := dict "server" $server "nats" $nats "scaling" $bounds -}}
{{- if ne .Values.scaling.writer "none" -}}
{{- $fleet := dict "web" (dict "deployment" (printf "%s-web" $name) "writer" .Values.scaling.writer) "workers" (dict "deployment" (printf "%s-worker" $name) "writer" .Values.scaling.writer) -}}
{{- if .Values.databases.cloudnativepg -}}
{{- $clusters := list -}}
{{- range .Values.databases.shards -}}
{{- $clusters = append $clusters (dict "shard" .name "cluster" (printf "%s-%s" $name .name)) -}}
{{- end -}}
{{- $_ := set $fleet "clusters" $clusters -}}
{{- end -}}
{{- $_ := set $own "kubernetes" $fleet -}}
{{- end -}}
{{- if or .Values.region .Values.databases.cloudnativepg -}}
{{- $databases := dict -}}
{{- if .Values.region }}{{ $_ := set $databases "region" .Values.region }}{{ end -}}
{{- if .Values.databases.cloudnativepg }}{{ $_ := set $databases "postgresql" (dict "tls_ca" "/run/authorities/all.crt") }}{{ end -}}
{{- $_ := set $own "databases" $databases -}}
{{- end -}}
{{- $mode := eq .Values.scaling.writer "none" | ternary "shadow" "auto" -}}
{{- $defaults := dict "scaling" (dict "web" (dict "mode" $mode) "workers" (dict "mode" $mode)) -}}
{{- mustMergeOverwrite $defaults (deepCopy .Values.settings) $own | toToml -}}
{{- end -}}

{{/* Variables of every pod: the pods' Secret, and addresses with passwords from CloudNativePG's Secrets. */}}
{{- define "guide.env" -}}
{{- $name := include "guide.name" . -}}
- {name: ATOMIC_GUIDE_DATA, value: /data}
- {name: ATOMIC_GUIDE_LOGS_FORMAT, value: json}
{{- if .Values.databases.cloudnativepg }}
- name: ATOMIC_GUIDE_DATABASES_DIRECTORY
  valueFrom: {secretKeyRef: {name: {{ $name }}-directory-app, key: uri}}
{{- $servers := list }}
{{- range $number, $shard := .Values.databases.shards }}
- name: SHARD_{{ $number }}
  valueFrom: {secretKeyRef: {name: {{ $name }}-{{ $shard.name }}-app, key: uri}}
{{- $server := dict "name" $shard.name "url" (printf "$(SHARD_%d)" $number) }}
{{- with $.Values.region }}{{ $_ := set $server "region" . }}{{ end }}
{{- with $.Values.databases.zone }}{{ $_ := set $server "zone" . }}{{ end }}
{{- $servers = append $servers $server }}
{{- end }}
- name: ATOMIC_GUIDE_DATABASES_SERVERS
  value: {{ $servers | toJson | quote }}
{{- end }}
{{- if eq .Values.scaling.writer "keda" }}
- name: ATOMIC_GUIDE_KUBERNETES_KEDA_TOKEN
  valueFrom: {secretKeyRef: {name: {{ required "scaling.keda.secretName: KEDA needs a token to read decisions" .Values.scaling.keda.secretName }}, key: token}}
{{- end }}
{{- end -}}

{{/* A pod of one role: (dict "root" $ "role" "web" "values" .Values.web "scratch" "2Gi") */}}
{{- define "guide.pod" -}}
{{- $root := .root -}}
{{- /* With a bucket as the main store nobody shares a volume. */ -}}
{{- $sharing := ternary (list "web" "worker") list (empty (dig "assets" "main" "" $root.Values.settings)) -}}
{{- $name := include "guide.name" $root -}}
metadata:
  labels:
    {{- include "guide.selector" (list $root .role) | nindent 4 }}
    app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
  annotations:
    # A change of the settings is a new pod.
    checksum/settings: {{ include "guide.settings" $root | sha256sum }}
spec:
  serviceAccountName: {{ $name }}-{{ if eq .role "control" }}control{{ else }}server{{ end }}
  automountServiceAccountToken: {{ eq .role "control" }}
  enableServiceLinks: false
  # A drain takes 30 s at most; a worker hands its jobs back within it.
  terminationGracePeriodSeconds: 45
  {{- with $root.Values.image.pullSecrets }}
  imagePullSecrets: {{ toYaml . | nindent 4 }}
  {{- end }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 10001
    runAsGroup: 10001
    fsGroup: 10001
    fsGroupChangePolicy: OnRootMismatch
    seccompProfile: {type: RuntimeDefault}
  topologySpreadConstraints:
    {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
    - maxSkew: 1
      topologyKey: {{ . }}
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels: {{- include "guide.selector" (list $root $.role) | nindent 10 }}
    {{- end }}
  {{- if $root.Values.databases.cloudnativepg }}
  initContainers:
    # Each cluster has an authority of its own; the program takes one file.
    - name: authorities
      image: {{ include "guide.image" $root }}
      imagePullPolicy: {{ $root.Values.image.pullPolicy }}
      command: [sh, -c, "cat /authorities/*.crt > /run/authorities/all.crt"]
      securityContext: {{- include "guide.confined" . | nindent 8 }}
      resources:
        requests: {cpu: 10m, memory: 16Mi}
        limits: {memory: 32Mi}
      volumeMounts:
        - {name: authorities, mountPath: /authorities, readOnly: true}
        - {name: all-authorities, mountPath: /run/authorities}
  {{- end }}
  containers:
    - name: guide
      image: {{ include "guide.image" $root }}
      imagePullPolicy: {{ $root.Values.image.pullPolicy }}
      args: [serve, --role, {{ .role }}, --config, /etc/atomic-guide/settings.toml]
      env: {{- include "guide.env" $root | nindent 8 }}
      {{- with $root.Values.secretName }}
      envFrom:
        - secretRef: {name: {{ . }}}
      {{- end }}
      securityContext: {{- include "guide.confined" . | nindent 8 }}
      resources: {{- toYaml .values.resources | nindent 8 }}
      {{- if ne .role "worker" }}
      ports:
        - {name: http, containerPort: 8000}
      startupProbe:
        httpGet: {path: /healthz, port: http}
        periodSeconds: 2
        failureThreshold: 60
      livenessProbe:
        httpGet: {path: /healthz, port: http}
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      readinessProbe:
        httpGet: {path: /readyz, port: http}
        periodSeconds: 5
        timeoutSeconds: 3
        failureThreshold: 3
      {{- end }}
      volumeMounts:
        - {name: settings, mountPath: /etc/atomic-guide, readOnly: true}
        - {name: scratch, mountPath: /data}
        - {name: scratch, mountPath: /tmp, subPath: tmp}
        {{- if has .role $sharing }}
        - {name: objects, mountPath: /data/objects, subPath: objects}
        - {name: objects, mountPath: /data/uploads, subPath: uploads}
        {{- end }}
        {{- if $root.Values.databases.cloudnativepg }}
        - {name: all-authorities, mountPath: /run/authorities, readOnly: true}
        {{- end }}
  volumes:
    - name: settings
      configMap: {name: {{ $name }}-settings}
    - name: scratch
      emptyDir: {sizeLimit: {{ .scratch }}}
    {{- if has .role $sharing }}
    - name: objects
      persistentVolumeClaim: {claimName: {{ include "guide.claim" $root }}}
    {{- end }}
    {{- if $root.Values.databases.cloudnativepg }}
    - name: all-authorities
      emptyDir: {sizeLimit: 1Mi}
    - name: authorities
      projected:
        sources:
          - secret:
              name: {{ $name }}-directory-ca
              items: [{key: ca.crt, path: directory.crt}]
          {{- range $root.Values.databases.shards }}
          - secret:
              name: {{ $name }}-{{ .name }}-ca
              items: [{key: ca.crt, path: {{ .name }}.crt}]
          {{- end }}
    {{- end }}
{{- end -}}

{{- define "guide.confined" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}
