{{- /* Only functions of Go's own templates are used, so that a test can render the chart without Helm. */ -}}
{{- define "scanmq.labels" -}}
app.kubernetes.io/name: scanmq, app.kubernetes.io/instance: {{ printf "%q" .Release.Name }}, app.kubernetes.io/version: {{ printf "%q" .Chart.AppVersion }}, app.kubernetes.io/managed-by: {{ printf "%q" .Release.Service }}
{{- end -}}
{{- define "scanmq.selector" -}}
app.kubernetes.io/name: scanmq, app.kubernetes.io/instance: {{ printf "%q" .Release.Name }}
{{- end -}}
{{- define "scanmq.podSecurity" -}}
{ runAsNonRoot: true, runAsUser: 1000, runAsGroup: 1000, fsGroup: 1000, fsGroupChangePolicy: OnRootMismatch, seccompProfile: { type: RuntimeDefault } }
{{- end -}}
{{- define "scanmq.containerSecurity" -}}
{ allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: [ALL] } }
{{- end -}}
{{- define "scanmq.resources" -}}
{ requests: { {{ range $name, $value := .requests }}{{ $name }}: {{ printf "%q" $value }}, {{ end }} }, limits: { {{ range $name, $value := .limits }}{{ $name }}: {{ printf "%q" $value }}, {{ end }} } }
{{- end -}}
{{- define "scanmq.environment" }}
            - { name: HOST, value: 0.0.0.0 }
            {{- if .Values.results.s3.bucket }}
            - { name: DATA_DIR, value: /tmp/tasks }
            - { name: AUDIT_FILE, value: /data/audit.log }
            - { name: RESULT_STORE, value: s3 }
            - { name: S3_BUCKET, value: {{ printf "%q" .Values.results.s3.bucket }} }
            {{- if .Values.results.s3.endpoint }}
            - { name: S3_ENDPOINT, value: {{ printf "%q" .Values.results.s3.endpoint }} }
            {{- end }}
            {{- if .Values.results.s3.keysInSecret }}
            - { name: S3_ACCESS_KEY_ID_FILE, value: /run/secrets/scanmq/S3_ACCESS_KEY_ID }
            - { name: S3_SECRET_ACCESS_KEY_FILE, value: /run/secrets/scanmq/S3_SECRET_ACCESS_KEY }
            {{- end }}
            {{- else }}
            - { name: DATA_DIR, value: /data/tasks }
            {{- end }}
            - { name: SCANNER_CONFIG, value: /config/scanners.yaml }
            - { name: SHUTDOWN_GRACE_SECONDS, value: {{ printf "\"%v\"" .Values.worker.shutdownGraceSeconds }} }
            {{- if .Values.ingress.enabled }}
            - { name: PUBLIC_URL, value: {{ printf "%q" (printf "https://%s" .Values.ingress.host) }} }
            {{- end }}
            {{- if .Values.trialRedis.enabled }}
            - { name: REDIS_URL, value: {{ printf "%q" (printf "redis://%s-redis:6379" .Release.Name) }} }
            {{- else }}
            - { name: REDIS_URL_FILE, value: /run/secrets/scanmq/REDIS_URL }
            {{- end }}
            - { name: CREDENTIALS_KEY_FILE, value: /run/secrets/scanmq/CREDENTIALS_KEY }
            {{- range $name, $value := .Values.settings }}
            - { name: {{ $name }}, value: {{ printf "%q" $value }} }
            {{- end }}
{{- end -}}
{{- define "scanmq.mounts" }}
            - { name: results, mountPath: /data }
            - { name: temporary, mountPath: /tmp }
            - { name: scanners, mountPath: /config, readOnly: true }
            - { name: secrets, mountPath: /run/secrets/scanmq, readOnly: true }
{{- end -}}
{{- /* 288 is 0440, which some readers of YAML take for a decimal number */ -}}
{{- define "scanmq.volumes" }}
        - name: results
          persistentVolumeClaim:
            claimName: {{ if .Values.results.existingClaim }}{{ printf "%q" .Values.results.existingClaim }}{{ else }}{{ .Release.Name }}-results{{ end }}
        - name: temporary
          emptyDir: { sizeLimit: {{ .Values.results.temporarySize }} }
        - name: scanners
          configMap: { name: {{ .Release.Name }}-scanners }
        - name: secrets
          secret: { secretName: {{ printf "%q" .Values.existingSecret }}, defaultMode: 288 }
{{- end -}}
{{- define "scanmq.spread" }}
        - maxSkew: 1
          topologyKey: kubernetes.io/hostname
          whenUnsatisfiable: ScheduleAnyway
{{- end -}}
