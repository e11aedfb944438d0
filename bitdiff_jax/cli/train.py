"""`bitdiff train --config NAME[:variant] --workdir DIR [--config.key=value ...]`."""

import argparse

from absl import flags
from ml_collections import ConfigDict, config_flags

from bitdiff_jax import config as config_lib
from bitdiff_jax.errors import InputError

_EPILOG = """\
--config.KEY=VALUE changes one setting, for instance
  --config.data.train=folder:my_pictures,split=train,zero=ignore --config.train.batch_size=16
All keys are in bitdiff_jax/config.py. Running the same command again resumes the training."""


def main(argv: list[str]) -> int:
    """Parses the command line and trains."""
    parser = argparse.ArgumentParser(
        prog="bitdiff train",
        description="Train a model, or resume a training.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--config",
        required=True,
        metavar="NAME[:VARIANT]",
        help=f"one of {', '.join(config_lib.names())}, or a path to a config file",
    )
    parser.add_argument("--workdir", required=True, help="the run's folder; may be gs://...")
    args, overrides = parser.parse_known_args(argv)
    config = override(config_lib.load(args.config), overrides)

    # After the parsing: they import jax.
    import jax

    from bitdiff_jax.compile import accelerators
    from bitdiff_jax.parallel import compilation_cache, dispatch, hosts
    from bitdiff_jax.training import loop

    compilation_cache.enable()
    dispatch.split_cpu(config.mesh.cpu_devices)
    hosts.initialize(hosts.Settings(**config.hosts))
    if not config.telemetry.peak_flops:
        kind, dtype = jax.devices()[0].device_kind, config.model.net.dtype
        config.telemetry.peak_flops = accelerators.peak_flops(kind, dtype) or 0.0
    loop.train(config, args.workdir)
    return 0


def override(config: ConfigDict, overrides: list[str]) -> ConfigDict:
    """Applies `--config.KEY=VALUE` arguments.

    Raises:
        InputError: an unknown key, or a value of another type.
    """
    for argument in overrides:
        if argument.startswith("-") and not argument.startswith("--config."):
            raise InputError(f"unexpected argument {argument!r}; settings are --config.KEY=VALUE")
    values = flags.FlagValues()
    argv = ["bitdiff train", *overrides]
    try:
        config_flags.DEFINE_config_dict("config", config, flag_values=values, sys_argv=argv)
        rest = values(argv)[1:]
    except (AttributeError, KeyError) as error:
        unknown = [o for o in overrides if not _is_key(config, o)] or overrides
        raise InputError(
            f"unknown setting {' '.join(unknown)}; all keys are in bitdiff_jax/config.py"
        ) from error
    except (flags.Error, TypeError, ValueError) as error:
        raise InputError(" ".join(str(error).split())) from error
    if rest:
        raise InputError(f"unexpected argument {rest[0]!r}; settings are --config.KEY=VALUE")
    # Worker processes of the input pipeline read absl's global flags.
    if not flags.FLAGS.is_parsed():
        flags.FLAGS.mark_as_parsed()
    return values.config


def _is_key(config: ConfigDict, argument: str) -> bool:
    """Whether `--config.a.b=value` names a setting that there is."""
    node = config
    for part in argument.lstrip("-").partition("=")[0].split(".")[1:]:
        if not isinstance(node, ConfigDict) or part not in node:
            return False
        node = node[part]
    return True
