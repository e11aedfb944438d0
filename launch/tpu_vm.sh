#!/usr/bin/env bash
# Trains on a Cloud TPU, one host or a whole slice, and goes on after preemptions; see tpu_vm.md.
#
#   WORKDIR=gs://BUCKET/runs/paper DATA_FROM=gs://BUCKET/pictures launch/tpu_vm.sh all
#
# usage: [VARIABLE=value ...] launch/tpu_vm.sh COMMAND [bitdiff train's arguments]
#   all      up, install, run, then watch
#   up       ask for the TPU and wait for it
#   install  the package and the pictures, on every host; again after a change
#   run      start the training on every host; it stays when this terminal goes
#   watch    follow it; ask for a new TPU when this one was preempted
#   log      the last lines of the first host's log
#   stop     save and stop
#   down     give the TPU back (the bill ends here)
set -euo pipefail

WORKDIR="${WORKDIR:-}"     # the run's folder, gs://...: it has to outlive the machine
DATA_FROM="${DATA_FROM:-}" # gs://... of the pictures, copied to DATA on every host; empty: there
DATA="${DATA:-/var/tmp/pictures}"
NAME="${NAME:-bitdiff}"
ZONE="${ZONE:-us-west4-a}"
ACCELERATOR="${ACCELERATOR:-v5litepod-8}"
RUNTIME="${RUNTIME:-v2-alpha-tpuv5-lite}" # of v6e: v2-alpha-tpuv6e; of v5p: v2-alpha-tpuv5
SPOT="${SPOT-1}"                          # empty: a TPU that is not preempted, and costs more
QUEUE="${QUEUE-1}"                        # empty: now or never, without a queue
POLL="${POLL:-60}"                        # seconds between two looks
PYTHON="${PYTHON:-3.12}"
TRAIN=( # the paper's recipe; replaced by arguments after COMMAND
  --config paper
  --config.model.net.dtype=bfloat16
  --config.model.net.fold=true # for TPUs alone
  --config.data.num_workers=32
  "--config.data.train=folder:$DATA,split=train,zero=region"
  "--config.eval.data=folder:$DATA,split=val,zero=region"
)

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"

tpus() { gcloud compute tpus "$@" --zone="$ZONE"; }

everywhere() { tpus tpu-vm ssh "$NAME" --worker=all --command="$1"; }

state() {
  if [[ -n $QUEUE ]]; then
    tpus queued-resources describe "$NAME" --format='value(state.state)'
  else
    tpus tpu-vm describe "$NAME" --format='value(state)'
  fi
}

up() {
  if [[ -n $QUEUE ]]; then
    tpus queued-resources create "$NAME" --node-id="$NAME" --accelerator-type="$ACCELERATOR" \
      --runtime-version="$RUNTIME" ${SPOT:+--spot} || return
  else
    tpus tpu-vm create "$NAME" --accelerator-type="$ACCELERATOR" --version="$RUNTIME" \
      ${SPOT:+--spot} || return
  fi
  local now
  while now="$(state || true)" && [[ $now != ACTIVE && $now != READY ]]; do
    if [[ $now == FAILED || $now == SUSPENDED ]]; then
      echo "the request for $NAME ended as $now; run 'down' and try again" >&2
      return 1
    fi
    echo "$NAME: ${now:-not known}"
    sleep "$POLL"
  done
}

down() {
  if [[ -n $QUEUE ]]; then
    tpus queued-resources delete "$NAME" --force --quiet
  else
    tpus tpu-vm delete "$NAME" --quiet
  fi
}

install() {
  local wheels
  wheels="$(mktemp -d)"
  uv build --wheel --out-dir "$wheels" "$here/.."
  everywhere 'rm -f ~/bitdiff_jax-*.whl'
  tpus tpu-vm scp "$wheels"/bitdiff_jax-*.whl "$NAME:" --worker=all
  rm -r "$wheels"
  # The images' own Python is older than 3.11; uv brings one.
  everywhere "set -e
    export PATH=\"\$HOME/.local/bin:\$PATH\"
    command -v uv > /dev/null || curl -LsSf https://astral.sh/uv/install.sh | sh
    uv venv --allow-existing --python $PYTHON ~/bitdiff
    uv pip install --python ~/bitdiff \"\$(ls ~/bitdiff_jax-*.whl)[tpu,gcs,tensorboard]\""
  if [[ -n $DATA_FROM ]]; then
    everywhere "mkdir -p $DATA && gcloud storage rsync --recursive $DATA_FROM $DATA"
  fi
}

run() {
  : "${WORKDIR:?say WORKDIR=gs://...}"
  local arguments
  printf -v arguments '%q ' --workdir "$WORKDIR" "${TRAIN[@]}"
  # Exit code 0 is the end; 2 is a setting to mend; all others, 75 (saved and stopped) among them,
  # start it again, but not for ever. KillMode: the signal is for the trainer, not its helpers.
  everywhere "sudo systemctl reset-failed bitdiff 2> /dev/null
    sudo systemd-run --unit=bitdiff --uid=\$USER --property=KillMode=mixed \
      --property=TimeoutStopSec=120 --property=Restart=on-failure --property=RestartSec=10 \
      --property=RestartPreventExitStatus=2 --property=StartLimitIntervalSec=1h \
      --property=StartLimitBurst=10 --property=StandardOutput=append:\$HOME/bitdiff.log \
      --property=StandardError=append:\$HOME/bitdiff.log \
      \$HOME/bitdiff/bin/bitdiff train $arguments"
}

log() { tpus tpu-vm ssh "$NAME" --worker=0 --command='tail -n 20 ~/bitdiff.log'; }

stop() { everywhere 'sudo systemctl stop bitdiff'; }

watch() {
  local units
  while true; do
    case "$(state || true)" in
      ACTIVE | READY)
        # While a machine goes away there is no answer: look again later.
        if units="$(everywhere 'systemctl show --property=ActiveState bitdiff')"; then
          if [[ $units == *=failed* ]]; then
            log
            return 1
          fi
          [[ $units == *=active* || $units == *=activating* || $units == *=deactivating* ]] || break
        fi
        ;;
      SUSPENDED | FAILED | PREEMPTED | TERMINATED)
        echo "$NAME was preempted; asking for another"
        down
        # There may be no room for a while.
        until up; do
          down || true
          sleep "$POLL"
        done
        install
        run
        ;;
      *) ;; # on its way up or down
    esac
    sleep "$POLL"
  done
  log || true
  echo "done: $WORKDIR; now run 'down'"
}

command="${1:-help}"
shift || true
if (($# > 0)); then TRAIN=("$@"); fi
case "$command" in
  all)
    up
    install
    run
    watch
    ;;
  up | install | run | watch | log | stop | down) "$command" ;;
  *)
    sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//p;}' "${BASH_SOURCE[0]}"
    exit 2
    ;;
esac
