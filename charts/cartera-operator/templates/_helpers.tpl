{{/* The first part of all names. */}}
{{- define "operator.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{- define "operator.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (include "operator.fullname" .) -}}
{{- end }}

{{/* The four custom resources, by the names of their definitions. */}}
{{- define "operator.definitions" -}}
- tenants.cartera.dev
- plans.cartera.dev
- platformconfigs.cartera.dev
- fleetrollouts.cartera.dev
{{- end }}

{{- define "operator.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{- printf "%s@%s" .repository .digest -}}
{{- else -}}
{{- printf "%s:%s" .repository (.tag | default $.Chart.AppVersion) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "operator.selector" -}}
app.kubernetes.io/name: cartera-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* Not cartera-operator as app.kubernetes.io/managed-by: that marks what belongs to tenants. */}}
{{- define "operator.labels" -}}
{{ include "operator.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{/* Objects of a hook: [root, hook, weight]. */}}
{{- define "operator.hook" -}}
helm.sh/hook: {{ index . 1 }}
helm.sh/hook-weight: {{ index . 2 | quote }}
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end }}

{{- define "operator.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "operator.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* The pod of a hook's Job: {root, account, arguments}. */}}
{{- define "operator.hookPod" -}}
{{- $root := .root -}}
metadata:
  labels:
    {{- include "operator.labels" $root | nindent 4 }}
    app.kubernetes.io/component: hook
spec:
  serviceAccountName: {{ .account }}
  restartPolicy: Never
  enableServiceLinks: false
  {{- with $root.Values.image.pullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $root.Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with $root.Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $root.Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  securityContext:
    {{- include "operator.podSecurityContext" $root | nindent 4 }}
  containers:
    - name: hook
      image: {{ include "operator.image" $root | quote }}
      imagePullPolicy: {{ $root.Values.image.pullPolicy }}
      args: {{ .arguments | toJson }}
      # What it says is in the status of the pod, too.
      terminationMessagePolicy: FallbackToLogsOnError
      resources:
        requests: {cpu: 10m, memory: 32Mi}
        limits: {memory: 128Mi}
      securityContext:
        {{- include "operator.securityContext" $root | nindent 8 }}
{{- end }}
