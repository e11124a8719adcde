{{/* The first part of all names. */}}
{{- define "cartera.fullname" -}}
{{- .Values.fullnameOverride | default .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- end }}

{{- define "cartera.claim" -}}
{{- .Values.persistence.existingClaim | default (printf "%s-data" (include "cartera.fullname" .)) -}}
{{- end }}

{{- define "cartera.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{- printf "%s@%s" .repository .digest -}}
{{- else -}}
{{- printf "%s:%s" .repository (.tag | default $.Chart.AppVersion) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "cartera.selector" -}}
app.kubernetes.io/name: cartera
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "cartera.labels" -}}
{{ include "cartera.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{/* A value as TOML has it. Strings of JSON are strings of TOML; numbers come as fractions and are whole. */}}
{{- define "cartera.tomlValue" -}}
{{- if kindIs "string" . }}{{ toJson . }}{{ else if kindIs "bool" . }}{{ . }}{{ else }}{{ int64 . }}{{ end -}}
{{- end }}

{{/* What the chart knows itself goes over what was set; the schema lets nobody set it. */}}
{{- define "cartera.toml" -}}
{{- $own := dict "listen" "[::]:8080" "telemetry" (dict "listen" "[::]:9464") -}}
{{- if .Values.firstAdministrator.secretName -}}
{{- $_ := set $own "operator" (dict "first_administrator_dir" "/run/cartera/first-administrator") -}}
{{- end -}}
{{- $all := mergeOverwrite (dict "telemetry" (dict "log_format" "json")) (deepCopy .Values.configuration) $own -}}
{{- range $key := keys $all | sortAlpha -}}
{{- $value := index $all $key -}}
{{- if not (kindIs "map" $value) }}
{{ $key }} = {{ include "cartera.tomlValue" $value }}
{{- end -}}
{{- end -}}
{{- range $section := keys $all | sortAlpha -}}
{{- $values := index $all $section -}}
{{- if and (kindIs "map" $values) $values }}

[{{ $section }}]
{{- range $key := keys $values | sortAlpha }}
{{ $key }} = {{ include "cartera.tomlValue" (index $values $key) }}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}
