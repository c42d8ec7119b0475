{{- define "bluegreen.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- /* The name of all objects: the release's, and the chart's where that does not have it already. */ -}}
{{- define "bluegreen.fullname" -}}
{{- $name := include "bluegreen.name" . -}}
{{- $both := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- .Values.fullnameOverride | default $both | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- /* What never changes of a release: selectors cannot be changed. */ -}}
{{- define "bluegreen.selector" -}}
app.kubernetes.io/name: {{ include "bluegreen.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- /* Without the chart's version: a pod is not replaced because the chart changed elsewhere. */ -}}
{{- define "bluegreen.podLabels" -}}
{{ include "bluegreen.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/component: controller
app.kubernetes.io/part-of: bluegreen
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "bluegreen.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "bluegreen.podLabels" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "bluegreen.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (ternary (include "bluegreen.fullname" .) "default" .Values.serviceAccount.create) -}}
{{- end -}}

{{- /* The admission policy's. It belongs to the cluster, in which another release of this chart may have
the same name in another namespace. */ -}}
{{- define "bluegreen.policy" -}}
{{- with .Values.watchNamespace -}}
{{- printf "%s-%s" (include "bluegreen.fullname" $) . -}}
{{- else -}}
{{- include "bluegreen.fullname" . -}}
{{- end -}}
{{- end -}}

{{- define "bluegreen.lease" -}}
{{- .Values.leaderElection.leaseName | default (include "bluegreen.fullname" .) -}}
{{- end -}}

{{- define "bluegreen.image" -}}
{{- with .Values.image -}}
{{- .repository -}}:{{- .tag | default $.Chart.AppVersion -}}
{{- with .digest -}}@{{- . -}}{{- end -}}
{{- end -}}
{{- end -}}

{{- /* Which series are this installation's, as a selector of PromQL without braces. */ -}}
{{- define "bluegreen.series" -}}
{{- printf "namespace=%q,job=%q" .Release.Namespace (include "bluegreen.fullname" .) -}}
{{- end -}}

{{- /* The port of a URL. */ -}}
{{- define "bluegreen.urlPort" -}}
{{- $url := urlParse . -}}
{{- $port := regexFind ":[0-9]+$" $url.host | trimPrefix ":" -}}
{{- $port | default (eq $url.scheme "https" | ternary "443" "80") -}}
{{- end -}}
