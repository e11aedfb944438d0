"""Runs a launch script where every tool it calls is a stub, and tells what was called.

Nothing of the machine is on the scripts' PATH but the few tools named here: no cloud, cluster or
container can be reached, whatever is installed.
"""

import dataclasses
import os
import pathlib
import shutil
import subprocess

LAUNCH = pathlib.Path(__file__).resolve().parents[2] / "launch"
REAL = ("bash", "cat", "dirname", "envsubst", "ls", "mkdir", "mktemp", "rm", "sed", "tail", "touch")

# Of each call the log has the words, each ended by a unit separator, and a record separator, in one
# writing: calls that run beside each other do not mix.
_RECORD = r"""#!/bin/bash
printf -v words '%s\x1f' {name} "$@"; printf '%s\x1e' "$words" >> "$SANDBOX/log"
next() {{ # prints the first line of a file and takes it away, unless it is the last
  local lines; mapfile -t lines < "$SANDBOX/$1"
  echo "${{lines[0]}}"
  if ((${{#lines[@]}} > 1)); then printf '%s\n' "${{lines[@]:1}}" > "$SANDBOX/$1"; fi
}}
"""
_STUBS = {
    # Ends with the codes that the test wants, one a call.
    "bitdiff": 'exit "$(next codes)"',
    # A TPU VM is another home on this machine.
    "gcloud": """
words=("$@")
for word in "$@"; do [[ $word == --command=* ]] && command="${word#--command=}"; done
case "$*" in
  *describe*) next states ;;
  'storage ls '*) exit "$(next buckets)" ;;
  *' ssh '*) HOME="$SANDBOX/host" USER=me bash -c "$command" ;;
  *' scp '*) for word in "$@"; do [[ $word == *.whl ]] && cat "$word" > \
    "$SANDBOX/host/${word##*/}"; done; true ;;
esac""",
    "uv": """
case "$1" in
  build) touch "${@: -2:1}/bitdiff_jax-0.0.0-py3-none-any.whl" ;;
  venv) mkdir -p "${@: -1}/bin" ;;
  pip) bin="$HOME/bitdiff/bin/bitdiff"; cat "$SANDBOX/bin/bitdiff" > "$bin"; chmod +x "$bin" ;;
esac""",
    "curl": "exit 1",
    "sbatch": "",
    "kubectl": 'if [[ $1 == apply ]]; then cat > "$SANDBOX/applied"; fi',
    "sudo": '"$@"',
    "systemctl": 'if [[ $1 == show ]]; then echo "ActiveState=$(next units)"; fi',
    # Its output goes where the unit says.
    "systemd-run": """
while [[ $1 == --* ]]; do
  [[ $1 == *StandardOutput=append:* ]] && output="${1##*append:}"
  shift
done
"$@" >> "${output:-/dev/null}" || true""",
    "scontrol": "",
    "srun": 'while [[ $1 == --* ]]; do shift; done; "$@"',
    "sleep": "",
}


@dataclasses.dataclass
class Result:
    code: int
    output: str
    calls: list[list[str]]
    folder: pathlib.Path

    def of(self, *words: str) -> list[list[str]]:
        """The calls that begin with these words."""
        return [call for call in self.calls if call[: len(words)] == list(words)]


def run(
    script: str,
    *arguments: str,
    folder: pathlib.Path,
    without: str = "",
    launch: pathlib.Path = LAUNCH,
    **settings,
) -> Result:
    """Runs launch/SCRIPT with stubs.

    Args:
        script: name of the script.
        arguments: of the script.
        folder: an empty folder.
        without: a tool that is not installed.
        launch: the folder of the script.
        settings: `codes`, `buckets`: lists of what bitdiff and a look into a bucket end with;
            `states`, `units`: lists of what the cloud and systemd say; the last of each for ever.
            All others are environment variables.
    """
    tools, host = folder / "bin", folder / "host"
    for path in (tools, host):
        path.mkdir()
    for name in (*REAL, "chmod"):
        found = shutil.which(name)
        assert found, f"{name} is not installed"
        (tools / name).symlink_to(found)
    for name, body in _STUBS.items():
        path = tools / name
        path.write_text(_RECORD.format(name=name) + body + "\n")
        path.chmod(0o755)
    if without:
        (tools / without).unlink()
    answers = {"codes": [0], "buckets": [0], "states": ["ACTIVE"], "units": ["inactive"]}
    for name, default in answers.items():
        (folder / name).write_text("".join(f"{x}\n" for x in settings.pop(name, default)))
    (folder / "log").touch()
    done = subprocess.run(
        [tools / "bash", launch / script, *arguments],
        env={"PATH": str(tools), "SANDBOX": str(folder), "HOME": str(folder), "TMPDIR": str(folder)}
        | settings,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    calls = [call.split("\x1f")[:-1] for call in (folder / "log").read_text().split("\x1e")[:-1]]
    return Result(done.returncode, done.stdout, calls, folder)


def can_run() -> bool:
    """Whether the machine has what the scripts and stubs need."""
    return all(shutil.which(name) for name in REAL) and os.name == "posix"
