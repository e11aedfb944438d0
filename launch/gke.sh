#!/usr/bin/env bash
# Trains on Google Kubernetes Engine by the JobSet gke_jobset.yaml; see gke.md.
#
#   BUCKET=my-bucket IMAGE=REGION-docker.pkg.dev/PROJECT/REPOSITORY/bitdiff:tpu launch/gke.sh start
#
# usage: [VARIABLE=value ...] launch/gke.sh COMMAND [bitdiff train's arguments]
#   show    print the JobSet
#   start   hand it to the cluster that kubectl is set to
#   log     follow the first host
#   stop    delete it; its pods save first
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
  --config.model.net.fold=true # for TPUs alone
  --config.data.num_workers=32
  "--config.data.train=folder:$DATA,split=train,zero=region"
  "--config.eval.data=folder:$DATA,split=val,zero=region"
)

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"

show() {
  : "${BUCKET:?say BUCKET=...}" "${IMAGE:?say IMAGE=...}"
  local arguments
  printf -v arguments '"%s", ' --workdir "$WORKDIR" "${TRAIN[@]}"
  export ARGS="[${arguments%, }]" ENV='[]'
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
  show) show ;;
  start) show | kubectl apply --filename - ;;
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
