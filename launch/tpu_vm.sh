#!/usr/bin/env bash
# Trains on a Cloud TPU, one host or a whole slice, and goes on after preemptions; see tpu_vm.md.
#
#   WORKDIR=gs://BUCKET/runs/paper DATA_FROM=gs://BUCKET/pictures launch/tpu_vm.sh all
#
# usage: [VARIABLE=value ...] launch/tpu_vm.sh COMMAND [bitdiff train's arguments]
#   show     print the calls of 'all', and make none
#   all      up, install, run, then watch
#   up       ask for the TPU and wait for it
#   install  the package and the pictures, on every host; again after a change
#   run      start the training on every host; it stays when this terminal goes
#   watch    follow it; ask for a new TPU when this one was preempted
#   log      the last lines of the first host's log
#   stop     save and stop
#   down     give the TPU back (the bill ends here)
#
# What a command needs is checked before its first call.
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

dry=    # not empty: calls are printed, not made
asked=  # not empty: a TPU was asked for, and may be there
wheels= # the folder of the built package

# --- What is needed, before anything is called ---

problems=()

need() { # VARIABLE, the pattern of its whole value, how to say it
  local LC_ALL=C
  [[ ${!1} =~ ^($2)$ ]] || problems+=("$1 is '${!1}': say $1=$3")
}

tool() { command -v "$1" > /dev/null || problems+=("$1 is not installed; see tpu_vm.md"); }

check() { # the command
  local bucket='gs://[a-z0-9][a-z0-9._-]+'
  need NAME '[a-z]([-a-z0-9]{0,61}[a-z0-9])?' '..., of small letters, digits and -'
  need ZONE '[a-z]+-[a-z]+[0-9]+-[a-z]' 'a zone like us-west4-a'
  need QUEUE '1?' "1, or QUEUE= for 'now or never'"
  [[ $1 == show ]] || tool gcloud
  case "$1" in
    show | all | up | watch)
      need ACCELERATOR 'v[0-9]+[a-z]*-[0-9]+' 'a type like v5litepod-8'
      need RUNTIME '[a-z0-9][a-z0-9.-]*' 'a version like v2-alpha-tpuv5-lite'
      need SPOT '1?' "1, or SPOT= for a TPU that is not preempted"
      need POLL '[1-9][0-9]*' 'seconds'
      ;;
  esac
  case "$1" in
    show | all | install | watch)
      [[ $1 == show ]] || tool uv
      [[ -f $here/../pyproject.toml ]] || problems+=("no pyproject.toml beside $here")
      need PYTHON '3\.(1[1-9]|[2-9][0-9])' '3.11 or newer'
      need DATA '/[A-Za-z0-9._/-]+' "a folder's whole path, of letters, digits, '.', '_', '-'"
      need DATA_FROM "($bucket(/[A-Za-z0-9._/-]+)?)?" 'gs://your-bucket/folder, or nothing'
      ;;
  esac
  case "$1" in
    show | all | run | watch)
      need WORKDIR "$bucket/[A-Za-z0-9._/-]+" 'gs://your-bucket/folder, which outlives the machine'
      ;;
  esac
  if ((${#problems[@]} > 0)); then
    printf '%s: nothing was called.\n' "$1" >&2
    printf '  %s\n' "${problems[@]}" >&2
    exit 2
  fi
}

# --- Calls ---

call() { # makes the call, or prints it
  if [[ -z $dry ]]; then
    "$@"
    return
  fi
  local word line='' mark="'" marked="'\\''"
  for word in "$@"; do
    [[ $word =~ ^[A-Za-z0-9_./:=@,+-]+$ ]] || word="'${word//$mark/$marked}'"
    line+="$word "
  done
  echo "${line% }" >&3
}

say() { echo "${dry:+# }$*"; }

leave() { # whatever the end
  local code=$?
  if [[ -n $wheels && -z $dry ]]; then rm -rf "$wheels"; fi
  if ((code != 0)) && [[ -n $asked ]]; then
    echo "$NAME was asked for: it costs while it is there. Go on with 'install', 'run' or 'watch'," \
      "or give it back with 'down'." >&2
  fi
}
trap leave EXIT

reach() { # the buckets, which costs nothing; a TPU would wait for them at its price
  local place
  for place in ${DATA_FROM:+"$DATA_FROM"} "gs://$(bucket_of "$WORKDIR")"; do
    call gcloud storage ls "$place/" > /dev/null || {
      echo "$place cannot be read; no TPU was asked for" >&2
      return 1
    }
  done
}

bucket_of() {
  local path="${1#gs://}"
  echo "${path%%/*}"
}

tpus() { call gcloud compute tpus "$@" --zone="$ZONE"; }

everywhere() { tpus tpu-vm ssh "$NAME" --worker=all --command="$1"; }

state() {
  if [[ -n $QUEUE ]]; then
    tpus queued-resources describe "$NAME" --format='value(state.state)'
  else
    tpus tpu-vm describe "$NAME" --format='value(state)'
  fi
  if [[ -n $dry ]]; then echo ACTIVE; fi
}

up() {
  if [[ -n $QUEUE ]]; then
    tpus queued-resources create "$NAME" --node-id="$NAME" --accelerator-type="$ACCELERATOR" \
      --runtime-version="$RUNTIME" ${SPOT:+--spot} || return
  else
    tpus tpu-vm create "$NAME" --accelerator-type="$ACCELERATOR" --version="$RUNTIME" \
      ${SPOT:+--spot} || return
  fi
  asked=1
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

build() { # the package, here
  if [[ -n $wheels ]]; then return; fi
  if [[ -n $dry ]]; then wheels=WHEELS; else wheels="$(mktemp -d)"; fi
  call uv build --wheel --out-dir "$wheels" "$here/.."
}

install() {
  build
  everywhere 'rm -f ~/bitdiff_jax-*.whl'
  tpus tpu-vm scp "$wheels"/bitdiff_jax-*.whl "$NAME:" --worker=all
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
        build # before there is another that costs
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
  say "done: $WORKDIR; now run 'down'"
}

all() {
  reach
  build
  up
  install
  run
  watch
}

show() {
  exec 3>&1
  dry=1
  all
}

command="${1:-help}"
shift || true
if (($# > 0)); then TRAIN=("$@"); fi
case "$command" in
  show | all | up | install | run | watch | log | stop | down)
    check "$command"
    "$command"
    ;;
  *)
    sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//p;}' "${BASH_SOURCE[0]}"
    exit 2
    ;;
esac
