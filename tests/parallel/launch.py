"""Runs of a test program in processes of their own, with fake devices."""

import os
import pathlib
import socket
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[2]


def environment(devices):
    flags = os.environ.get("XLA_FLAGS", "")
    return os.environ | {
        "XLA_FLAGS": f"{flags} --xla_force_host_platform_device_count={devices}",
        "JAX_PLATFORMS": "cpu",
        "PYTHONPATH": str(ROOT),
    }


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def run(commands, *, devices, timeout=900, **variables):
    """(exit code, stdout, stderr) of each command; they run side by side."""
    processes = [
        subprocess.Popen(
            [sys.executable, *map(str, command)],
            env=environment(devices) | variables,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for command in commands
    ]
    try:
        outputs = [process.communicate(timeout=timeout) for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [(p.returncode, *output) for p, output in zip(processes, outputs, strict=True)]


def succeed(*arguments, **options):
    """The stdouts, of commands that must end well."""
    results = run(*arguments, **options)
    for code, _, stderr in results:
        assert code == 0, stderr[-3000:]
    return [stdout for _, stdout, _ in results]
