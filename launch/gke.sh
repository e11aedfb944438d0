#!/usr/bin/env bash
# Trains on Google Kubernetes Engine by the JobSet gke_jobset.yaml; see gke.md.
#
#   BUCKET=my-bucket IMAGE=REGION-docker.pkg.dev/PROJECT/REPOSITORY/bitdiff:tpu launch/gke.sh start
#
# usage: [VARIABLE=value ...] launch/gke.sh COMMAND [bitdiff train's arguments]
#   show    print the JobSet that 'start' hands over, and call nothing
#   start   hand it to the cluster that kubectl is set to
#   log     follow the first host
#   stop    delete it; its pods save first
#
# What a command needs is checked before its first call.
set -euo pipefail

export BUCKET="${BUCKET:-}" # holds the pictures, in pictures/, and gets the run
export IMAGE="${IMAGE:-}"
export NAME="${NAME:-bitdiff}"
export SERVICE_ACCOUNT="${SERVICE_ACCOUNT:-default}" # may read and write the bucket
# 8 chips of TPU v5e, one host. 8 GPUs: RESOURCE=nvidia.com/gpu
# NODE_SELECTOR='{cloud.google.com/gke-accelerator: nvidia-h100-80gb}'
export RESOURCE="${RESOURCE:-google.com/tpu}"
export CHIPS="${CHIPS:-8}" # a host
export HOSTS="${HOSTS:-1}"
selector='{cloud.google.com/gke-tpu-accelerator: tpu-v5-lite-podslice, '
selector+='cloud.google.com/gke-tpu-topology: 2x4, cloud.google.com/gke-spot: "true"}'
export NODE_SELECTOR="${NODE_SELECTOR:-$selector}"
DATA="${DATA:-/bucket/pictures}"
WORKDIR="${WORKDIR:-gs://$BUCKET/runs/$NAME}"
TRAIN=( # the paper's recipe; replaced by arguments after COMMAND
  --config paper
  --config.model.net.dtype=bfloat16
  --config.data.num_workers=32
  "--config.data.train=folder:$DATA,split=train,zero=region"
  "--config.eval.data=folder:$DATA,split=val,zero=region"
)
if [[ $RESOURCE == google.com/tpu ]]; then TRAIN+=(--config.model.net.fold=true); fi

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"

# --- What is needed, before anything is called ---

problems=()

need() { # VARIABLE, the pattern of its whole value, how to say it
  local LC_ALL=C
  [[ ${!1} =~ ^($2)$ ]] || problems+=("$1 is '${!1}': say $1=$3")
}

tool() { command -v "$1" > /dev/null || problems+=("$1 is not installed; see gke.md"); }

check() { # the command
  # The pods' names, NAME-worker-0-0-12345, may have 63 letters.
  need NAME '[a-z]([-a-z0-9]{0,38}[a-z0-9])?' '..., of at most 40 small letters, digits and -'
  [[ $1 == show ]] || tool kubectl
  if [[ $1 == show || $1 == start ]]; then
    tool envsubst
    [[ -f $here/gke_jobset.yaml ]] || problems+=("no gke_jobset.yaml in $here")
    need BUCKET '[a-z0-9][a-z0-9._-]+' "the bucket's name, without gs://"
    need IMAGE '[a-z0-9][a-z0-9._/-]*(:[0-9]+/[a-z0-9._/-]+)?([:@][A-Za-z0-9_][A-Za-z0-9._:-]*)?' \
      'REGISTRY/bitdiff:TAG'
    need SERVICE_ACCOUNT '[a-z0-9]([-.a-z0-9]*[a-z0-9])?' "a Kubernetes service account's name"
    need RESOURCE '[a-z0-9.-]+/[a-z0-9.-]+' 'google.com/tpu or nvidia.com/gpu'
    need CHIPS '[1-9][0-9]*' 'the number of chips or GPUs of a host'
    need HOSTS '[1-9][0-9]*' 'the number of hosts'
    need NODE_SELECTOR '\{[^{};$]+: [^{};$]+\}' "'{label: value, ...}'"
    if [[ $RESOURCE != google.com/tpu && $NODE_SELECTOR == *gke-tpu-* ]]; then
      problems+=("NODE_SELECTOR is of TPUs: say NODE_SELECTOR='{label: value, ...}' of $RESOURCE")
    fi
    need DATA '/[A-Za-z0-9._/-]+' "a folder's whole path, of letters, digits, '.', '_', '-'"
    need WORKDIR '(gs:/)?/[A-Za-z0-9._/-]+' 'gs://BUCKET/FOLDER, or a path that all hosts see'
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
  ARGS="$(quoted --workdir "$WORKDIR" "${TRAIN[@]}")"
  export ARGS ENV='[]'
  # TPU hosts are told by the platform where the others are; GPU hosts by these.
  if [[ $RESOURCE != google.com/tpu ]] && ((HOSTS > 1)); then
    ENV="[{name: JAX_COORDINATOR_ADDRESS, value: '$NAME-worker-0-0.$NAME:8080'}, "
    ENV+="{name: JAX_NUM_PROCESSES, value: '$HOSTS'}]"
  fi
  # shellcheck disable=SC2016  # names, not values
  envsubst \
    '$NAME $HOSTS $SERVICE_ACCOUNT $NODE_SELECTOR $IMAGE $ARGS $ENV $RESOURCE $CHIPS $BUCKET' \
    < "$here/gke_jobset.yaml"
}

command="${1:-help}"
shift || true
if (($# > 0)); then TRAIN=("$@"); fi
case "$command" in
  show | start | log | stop) check "$command" ;;
esac
case "$command" in
  show) show ;;
  start)
    jobset="$(show)" # whole, before the cluster gets any of it
    kubectl apply --filename - <<< "$jobset"
    ;;
  log)
    kubectl logs --follow --container bitdiff --selector \
      "jobset.sigs.k8s.io/jobset-name=$NAME,batch.kubernetes.io/job-completion-index=0"
    ;;
  stop) kubectl delete jobset "$NAME" ;;
  *)
    sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//p;}' "${BASH_SOURCE[0]}"
    exit 2
    ;;
esac
