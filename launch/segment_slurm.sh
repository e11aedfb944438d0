#!/usr/bin/env bash
# Segments many pictures on a SLURM cluster, an array of jobs with a GPU each; see segment_slurm.md.
#
#   launch/segment_slurm.sh show [bitdiff segment's options]   check, print the call, and make none
#   sbatch launch/segment_slurm.sh [bitdiff segment's options]
#
# Options before the script's name win over those here: sbatch --array=0-999%16 --time=4:00:00 ...
#SBATCH --job-name=bitdiff_segment
#SBATCH --array=0-99%8
#SBATCH --ntasks=1
#SBATCH --gpus-per-task=1
#SBATCH --cpus-per-task=8
#SBATCH --time=4:00:00
#SBATCH --signal=B:USR1@60
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%A_%a.log
set -euo pipefail

VENV="${VENV:-$HOME/bitdiff}" # a virtual environment with the package
PICTURES="${PICTURES:-$HOME/pictures}"
OUT="${OUT:-$HOME/segmented}" # on a file system that all nodes see
# Shares of the pictures. Name it where the array is only a part of them, to run some again.
SHARDS="${SHARDS:-${SLURM_ARRAY_TASK_COUNT:-1}}"
show=
if [[ ${1:-} == show ]]; then
  show=1
  shift
fi
index="${SLURM_ARRAY_TASK_ID:-0}"

# --- What is needed, before the GPU has work ---

problems=()
for name in PICTURES OUT VENV; do
  [[ ${!name} == /* || ($name != VENV && ${!name} == gs://?*) ]] ||
    problems+=("$name is '${!name}': say $name=... as a whole path, /...")
done
[[ $PICTURES != /* || -e $PICTURES ]] ||
  problems+=("no $PICTURES: say PICTURES=... of the pictures")
[[ -x $VENV/bin/bitdiff ]] ||
  problems+=("no $VENV/bin/bitdiff: install it there, or say VENV=...; see segment_slurm.md")
if [[ $OUT == /* ]]; then
  parent="$OUT"
  while [[ ! -e $parent ]]; do parent="${parent%/*}" parent="${parent:-/}"; done
  [[ -d $parent && -w $parent ]] || problems+=("OUT is '$OUT': $parent cannot be written")
fi
if ! [[ $SHARDS =~ ^[1-9][0-9]{0,8}$ ]]; then
  problems+=("SHARDS is '$SHARDS': say SHARDS=... as a number, that of the whole array")
elif ((index >= SHARDS)); then
  problems+=("job $index of an array of $SHARDS: number it from 0, or say SHARDS= of the whole")
fi
if [[ -z $show ]]; then
  [[ -n ${SLURM_ARRAY_TASK_ID:-} ]] ||
    problems+=("SLURM_ARRAY_TASK_ID is not set: start this by 'sbatch', as an array")
  for tool in srun scontrol; do
    command -v "$tool" > /dev/null || problems+=("$tool is not installed")
  done
fi
if ((${#problems[@]} > 0)); then
  echo "segment_slurm.sh: nothing was called." >&2
  printf '  %s\n' "${problems[@]}" >&2
  exit 2
fi

step=(srun "$VENV/bin/bitdiff" segment "$PICTURES" --out "$OUT" --shard "$index/$SHARDS" "$@")
if [[ -n $show ]]; then
  printf '%q ' "${step[@]}"
  echo
  exit 0
fi

# 60 s before the time limit SLURM signals this script; the share goes on where it was. After a
# preemption or a lost node SLURM queues the job again itself.
# shellcheck disable=SC2329  # the trap calls it
again() {
  echo "at the time limit; queueing the job again"
  scontrol requeue "$SLURM_JOB_ID"
}
trap again USR1
"${step[@]}" &
code=0
wait "$!" || code=$?
exit "$code"
