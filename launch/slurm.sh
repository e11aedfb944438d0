#!/usr/bin/env bash
# Trains on GPUs of a SLURM cluster, over time limits and preemptions; see slurm.md.
#
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
if (($# > 0)); then TRAIN=("$@"); fi

# One process a GPU; with --ntasks-per-node=1 one takes all GPUs of its node. 180 s before the time
# limit SLURM sends USR1 to the processes, but not to this script: they save and exit with 75. None
# may be killed because another has ended first.
code=0
srun --kill-on-bad-exit=0 "$VENV/bin/bitdiff" train --workdir "$WORKDIR" "${TRAIN[@]}" || code=$?

# After preemption or a lost node SLURM queues the job again itself; scancel ends this script, too.
if ((code == 75)); then
  echo "saved before the time limit; queueing the job again"
  scontrol requeue "${SLURM_JOB_ID:?}"
fi
exit "$code"
