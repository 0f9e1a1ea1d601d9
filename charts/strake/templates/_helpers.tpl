{{- /* What the long objects are: files/ has them as deploy/ does, and these templates put them into a release. */ -}}

{{- define "strake.labels" -}}
app.kubernetes.io/name: strake-operator
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
app.kubernetes.io/part-of: strake
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | quote }}
{{- end -}}

{{- /* An image, by digest or tag. Of a list: the root, the values of the image. */ -}}
{{- define "strake.image" -}}
{{- $root := index . 0 -}}
{{- $image := index . 1 -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $image.repository $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $image.repository ($image.tag | default $root.Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{- /* One object with the release's namespace and labels. Of a list: the root, the object. What it has counts. */ -}}
{{- define "strake.object" -}}
{{- $root := index . 0 -}}
{{- $object := index . 1 -}}
{{- $wide := list "BuildPolicy" "ClusterRole" "ClusterRoleBinding" "CustomResourceDefinition" "ValidatingAdmissionPolicy" "ValidatingAdmissionPolicyBinding" -}}
{{- $metadata := $object.metadata -}}
{{- if not (or (has $object.kind $wide) $metadata.namespace) -}}
{{- $_ := set $metadata "namespace" $root.Release.Namespace -}}
{{- end -}}
{{- $ours := include "strake.labels" $root | fromYaml -}}
{{- $_ := set $metadata "labels" (merge (dict) ($metadata.labels | default dict) $ours $root.Values.commonLabels) -}}
{{- $annotations := merge (dict) ($metadata.annotations | default dict) $root.Values.commonAnnotations -}}
{{- if $annotations -}}
{{- $_ := set $metadata "annotations" $annotations -}}
{{- end -}}
{{- toYaml $object -}}
{{- end -}}

{{- /* The objects of a file, which may be several documents. Of a list: the root, the file's text. */ -}}
{{- define "strake.objects" -}}
{{- $root := index . 0 -}}
{{- range $part := regexSplit "(?m)^---$" (index . 1) -1 }}
{{- $object := fromYaml $part -}}
{{- if $object.Error -}}
{{- fail (printf "a file of the chart is no YAML: %s" $object.Error) -}}
{{- end -}}
{{- if $object.kind }}
---
{{ include "strake.object" (list $root $object) }}
{{- end }}
{{- end }}
{{- end -}}

{{- /* A setting as the environment has it. */ -}}
{{- define "strake.setting" -}}
{{- if kindIs "slice" . -}}
{{- join "," . -}}
{{- else if kindIs "float64" . -}}
{{- if eq (floor .) . -}}{{- int64 . -}}{{- else -}}{{- toString . -}}{{- end -}}
{{- else -}}
{{- toString . -}}
{{- end -}}
{{- end -}}

{{- /* The operator's environment. `maxRuns` is STRAKE_MAX_RUNS. */ -}}
{{- define "strake.environment" -}}
STRAKE_BUILDER_IMAGE: {{ include "strake.image" (list . .Values.builderImage) | quote }}
{{- range $name, $value := .Values.settings }}
{{- if and (eq $name "seccompProfile") $.Values.seccompProfile.enabled (not $value) }}
{{- $value = "localhost/strake-builder.json" }}
{{- end }}
{{- if not (kindIs "invalid" $value) }}
STRAKE_{{ $name | snakecase | upper }}: {{ include "strake.setting" $value | quote }}
{{- end }}
{{- end }}
{{- with .Values.traces.endpoint }}
OTEL_EXPORTER_OTLP_ENDPOINT: {{ . | quote }}
{{- end }}
{{- end -}}

{{- /* The files of the ConfigMap about registries. */ -}}
{{- define "strake.registries" -}}
{{- if hasKey .Values.registries.files "registries.yaml" -}}
{{- fail "registries.files: registries.yaml is made of registries.settings: write it there" -}}
{{- end -}}
registries.yaml: {{ toYaml .Values.registries.settings | quote }}
{{- range $name, $content := .Values.registries.files }}
{{ $name | quote }}: {{ $content | quote }}
{{- end }}
{{- end -}}
