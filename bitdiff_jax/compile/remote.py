"""Compiles in a process of its own: the request and its result."""

import dataclasses
import gzip
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
from typing import Any

from bitdiff_jax.compile import accelerators, topology
from bitdiff_jax.errors import InputError
from bitdiff_jax.parallel import compilation_cache


@dataclasses.dataclass(frozen=True)
class Request:
    """A request to compile a program.

    Attributes:
        config: values of a config.
        accelerator: name of the accelerator, a key of `accelerators.ACCELERATORS`.
        program: name of the program, one of `programs.PROGRAMS`.
        batch_size: global batch size.
        folder: folder of results, by a hash of the program and of the compiler's versions; a
            program that is there is not compiled again.
        only_cached: whether to use only results that are there, and compile nothing.
    """

    config: dict[str, Any]
    accelerator: str
    program: str
    batch_size: int
    folder: str
    only_cached: bool = False


@dataclasses.dataclass(frozen=True)
class Measured:
    """Measurements of a compiled program; numbers are for one device.

    Attributes:
        memory: bytes of arguments, outputs, aliased (outputs in the place of arguments),
            temporaries, code and peak; empty if the program does not fit.
        xla: flops and bytes by XLA's own count, which runs loops once; None where the compiler
            does not tell.
        compile_cpu_seconds: CPU seconds of all threads; 0 if they were not measured.
        out_of_memory: bytes that the program would take, if they are too many.
        cached: whether the result is from an earlier compilation.
    """

    program: str
    accelerator: str
    batch_size: int
    key: str
    versions: dict[str, str]
    date: str
    lower_seconds: float
    compile_seconds: float
    compile_cpu_seconds: float = 0
    memory: dict[str, int] = dataclasses.field(default_factory=dict)
    xla: dict[str, float] | None = None
    out_of_memory: int | None = None
    cached: bool = False

    @property
    def per_device(self) -> int:
        """Number of images per device."""
        return self.batch_size // accelerators.find(self.accelerator).devices

    def memory_needed(self) -> int:
        """Bytes that a device needs: the compiler's peak, and not less than what is listed."""
        if self.out_of_memory is not None:
            return self.out_of_memory
        m = self.memory
        listed = m["arguments"] + m["outputs"] - m["aliased"] + m["temporaries"] + m["code"]
        return max(listed, m["peak"])


def compile_remotely(request: Request) -> Measured:
    """Compiles in a new process whose environment is made for it.

    Raises:
        InputError: the compiler is not installed, the request cannot be met, or the compiler broke
            down.
    """
    accelerator = accelerators.find(request.accelerator)
    accelerators.require_compiler(accelerator)
    pathlib.Path(request.folder).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        asked, answer = pathlib.Path(folder) / "request.json", pathlib.Path(folder) / "result.json"
        asked.write_text(json.dumps(dataclasses.asdict(request)))
        run = subprocess.run(
            [sys.executable, "-m", "bitdiff_jax.compile.worker", str(asked), str(answer)],
            env=topology.environment(accelerator, os.environ),
            capture_output=True,
            text=True,
        )
        if run.returncode or not answer.is_file():
            raise InputError(
                f"--accelerator {accelerator.name}: the compiler broke down "
                f"({_reason(run.stderr) or f'exit code {run.returncode}'}); its versions may not "
                "fit each other, or there is too little memory to compile"
            )
        result = json.loads(answer.read_text())
    if "error" in result:
        raise InputError(result["error"])
    return Measured(**result)


def _reason(stderr: str) -> str:
    """The error's own line of what a process left on stderr; '' if there is none."""
    lines = [line for line in stderr.splitlines() if re.match(r"[\w.]*(Error|Exception)\b", line)]
    return lines[-1][:300] if lines else ""


def folder() -> str | None:
    """Where compiled programs are noted by default; None if caches are turned off.

    It lies beside the compilation cache: `~/.cache/bitdiff_jax`, or what BITDIFF_CACHE_DIR says.
    """
    wanted = os.environ.get(compilation_cache.ENVIRONMENT_VARIABLE)
    if wanted == "":
        return None
    return str(pathlib.Path(wanted or "~/.cache/bitdiff_jax").expanduser() / "compiled")


def program_text(measured: Measured, folder: str) -> str:
    """The text of a compiled program; '' if it did not fit."""
    path = pathlib.Path(folder) / f"{measured.key}.hlo.gz"
    if not path.is_file():
        return ""
    with gzip.open(path, "rt") as file:
        return file.read()
