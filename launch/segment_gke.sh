#!/usr/bin/env bash
# Segments many pictures on Google Kubernetes Engine by segment_gke_job.yaml; see segment_gke.md.
#
#   BUCKET=my-bucket IMAGE=REGION-docker.pkg.dev/PROJECT/REPOSITORY/bitdiff:tpu \
#       launch/segment_gke.sh start
#
# usage: [VARIABLE=value ...] launch/segment_gke.sh COMMAND [bitdiff segment's options]
#   show    print the Job that 'start' hands over, and call nothing
#   start   hand it to the cluster that kubectl is set to
#   log     follow the pod of the first share
#   stop    delete it; 'start' goes on from there
#
# What a command needs is checked before its first call.
set -euo pipefail

export BUCKET="${BUCKET:-}" # holds the pictures, in pictures/, and gets the results
export IMAGE="${IMAGE:-}"
export NAME="${NAME:-bitdiff-segment}"
export SERVICE_ACCOUNT="${SERVICE_ACCOUNT:-default}" # may read and write the bucket
export SHARDS="${SHARDS:-100}" # shares of the pictures, a pod each
export AT_ONCE="${AT_ONCE:-8}" # pods at the same time
# One chip of TPU v5e each. GPUs: RESOURCE=nvidia.com/gpu
# NODE_SELECTOR='{cloud.google.com/gke-accelerator: nvidia-l4}'
export RESOURCE="${RESOURCE:-google.com/tpu}"
selector='{cloud.google.com/gke-tpu-accelerator: tpu-v5-lite-podslice, '
selector+='cloud.google.com/gke-tpu-topology: 1x1, cloud.google.com/gke-spot: "true"}'
export NODE_SELECTOR="${NODE_SELECTOR:-$selector}"
PICTURES="${PICTURES:-/bucket/pictures}"
OUT="${OUT:-gs://$BUCKET/segmented}"

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"

# --- What is needed, before anything is called ---

problems=()

need() { # VARIABLE, the pattern of its whole value, how to say it
  local LC_ALL=C
  [[ ${!1} =~ ^($2)$ ]] || problems+=("$1 is '${!1}': say $1=$3")
}

tool() { command -v "$1" > /dev/null || problems+=("$1 is not installed; see segment_gke.md"); }

check() { # the command
  need NAME '[a-z]([-a-z0-9]{0,38}[a-z0-9])?' '..., of at most 40 small letters, digits and -'
  [[ $1 == show ]] || tool kubectl
  if [[ $1 == show || $1 == start ]]; then
    tool envsubst
    [[ -f $here/segment_gke_job.yaml ]] || problems+=("no segment_gke_job.yaml in $here")
    need BUCKET '[a-z0-9][a-z0-9._-]+' "the bucket's name, without gs://"
    need IMAGE '[a-z0-9][a-z0-9._/-]*(:[0-9]+/[a-z0-9._/-]+)?([:@][A-Za-z0-9_][A-Za-z0-9._:-]*)?' \
      'REGISTRY/bitdiff:TAG'
    need SERVICE_ACCOUNT '[a-z0-9]([-.a-z0-9]*[a-z0-9])?' "a Kubernetes service account's name"
    need RESOURCE '[a-z0-9.-]+/[a-z0-9.-]+' 'google.com/tpu or nvidia.com/gpu'
    need SHARDS '[1-9][0-9]{0,4}' 'the number of shares, at most 99999'
    need AT_ONCE '[1-9][0-9]{0,4}' 'the number of pods at the same time'
    need NODE_SELECTOR '\{[^{};$]+: [^{};$]+\}' "'{label: value, ...}'"
    if [[ $RESOURCE != google.com/tpu && $NODE_SELECTOR == *gke-tpu-* ]]; then
      problems+=("NODE_SELECTOR is of TPUs: say NODE_SELECTOR='{label: value, ...}' of $RESOURCE")
    fi
    need PICTURES '(gs:/)?/[A-Za-z0-9._/-]+' 'gs://BUCKET/FOLDER, or a path below /bucket'
    need OUT 'gs://[A-Za-z0-9._/-]+' 'gs://BUCKET/FOLDER'
  fi
  if ((${#problems[@]} > 0)); then
    printf '%s: nothing was called.\n' "$1" >&2
    printf '  %s\n' "${problems[@]}" >&2
    exit 2
  fi
}

quoted() { # the words as a list of YAML
  local word list=
  for word in "$@"; do
    word="${word//\\/\\\\}"
    list+=", \"${word//\"/\\\"}\""
  done
  echo "[${list#, }]"
}

show() {
  ARGS="$(quoted segment "$PICTURES" --out "$OUT" "$@")"
  export ARGS
  # shellcheck disable=SC2016  # names, not values
  envsubst \
    '$NAME $SHARDS $AT_ONCE $SERVICE_ACCOUNT $NODE_SELECTOR $IMAGE $ARGS $RESOURCE $BUCKET' \
    < "$here/segment_gke_job.yaml"
}

command="${1:-help}"
shift || true
case "$command" in
  show | start | log | stop) check "$command" ;;
esac
case "$command" in
  show) show "$@" ;;
  start)
    job="$(show "$@")" # whole, before the cluster gets any of it
    kubectl apply --filename - <<< "$job"
    ;;
  log)
    kubectl logs --follow --selector \
      "batch.kubernetes.io/job-name=$NAME,batch.kubernetes.io/job-completion-index=0"
    ;;
  stop) kubectl delete job "$NAME" ;;
  *)
    sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//p;}' "${BASH_SOURCE[0]}"
    exit 2
    ;;
esac
