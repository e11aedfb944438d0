#!/usr/bin/env bash
# Trains on GPUs of a SLURM cluster, over time limits and preemptions; see slurm.md.
#
#   launch/slurm.sh show [bitdiff train's arguments]   check, print the call, and make none
#   sbatch launch/slurm.sh [bitdiff train's arguments]
#
# Options before the script's name win over those here: sbatch --nodes=2 --time=4:00:00 ...
#SBATCH --job-name=bitdiff
#SBATCH --nodes=1
#SBATCH --gpus-per-node=8
#SBATCH --ntasks-per-node=8
#SBATCH --cpus-per-task=8
#SBATCH --time=24:00:00
#SBATCH --signal=USR1@180
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%j.log
set -euo pipefail

VENV="${VENV:-$HOME/bitdiff}" # a virtual environment with the package
DATA="${DATA:-$HOME/pictures}"
WORKDIR="${WORKDIR:-$HOME/runs/paper}" # on a file system that all nodes see
TRAIN=( # the paper's recipe; replaced by the script's arguments
  --config paper
  --config.model.net.dtype=bfloat16
  --config.data.num_workers=6
  "--config.data.train=folder:$DATA,split=train,zero=region"
  "--config.eval.data=folder:$DATA,split=val,zero=region"
)
show=
if [[ ${1:-} == show ]]; then
  show=1
  shift
fi
own=
if (($# > 0)); then
  own=1
  TRAIN=("$@")
fi

# --- What is needed, before any GPU has work ---

problems=()
for name in DATA WORKDIR VENV; do
  [[ ${!name} == /* || ($name == WORKDIR && ${!name} == gs://?*) ]] ||
    problems+=("$name is '${!name}': say $name=... as a whole path, /...")
done
[[ -x $VENV/bin/bitdiff ]] ||
  problems+=("no $VENV/bin/bitdiff: install the package there, or say VENV=...; see slurm.md")
if [[ -z $own ]]; then # other trainings name their own pictures
  [[ $DATA != *[,\;]* ]] || problems+=("DATA is '$DATA': a comma or semicolon ends a folder's name")
  for part in images labels splits.json; do
    [[ -e $DATA/$part ]] || problems+=("no $DATA/$part: say DATA=... of the pictures")
  done
fi
if [[ $WORKDIR == /* ]]; then
  parent="$WORKDIR"
  while [[ ! -e $parent ]]; do parent="${parent%/*}" parent="${parent:-/}"; done
  [[ -d $parent && -w $parent ]] || problems+=("WORKDIR is '$WORKDIR': $parent cannot be written")
fi
if [[ -z $show ]]; then
  [[ -n ${SLURM_JOB_ID:-} ]] || problems+=("SLURM_JOB_ID is not set: start this by 'sbatch'")
  for tool in srun scontrol; do
    command -v "$tool" > /dev/null || problems+=("$tool is not installed")
  done
fi
if ((${#problems[@]} > 0)); then
  echo "slurm.sh: nothing was called." >&2
  printf '  %s\n' "${problems[@]}" >&2
  exit 2
fi

# One process a GPU; with --ntasks-per-node=1 one takes all GPUs of its node. 180 s before the time
# limit SLURM sends USR1 to the processes, but not to this script: they save and exit with 75. None
# may be killed because another has ended first.
step=(srun --kill-on-bad-exit=0 "$VENV/bin/bitdiff" train --workdir "$WORKDIR" "${TRAIN[@]}")
if [[ -n $show ]]; then
  printf '%q ' "${step[@]}"
  echo
  exit 0
fi
code=0
"${step[@]}" || code=$?

# After preemption or a lost node SLURM queues the job again itself; scancel ends this script, too.
if ((code == 75)); then
  echo "saved before the time limit; queueing the job again"
  scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
