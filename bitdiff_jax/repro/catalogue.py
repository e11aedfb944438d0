"""All claims, in the order of importance: controls, tables, figures, settings."""

from bitdiff_jax.errors import InputError, did_you_mean
from bitdiff_jax.repro import claims_controls, claims_figures, claims_settings, claims_tables
from bitdiff_jax.repro.arms import Evaluation
from bitdiff_jax.repro.claims import Claim

CLAIMS = {
    claim.name: claim
    for claim in (
        *claims_controls.CLAIMS,
        *claims_tables.CLAIMS,
        *claims_figures.CLAIMS,
        *claims_settings.CLAIMS,
    )
}
ALL = "all"


def named(name: str) -> list[Claim]:
    """The claim of a name, or all of them for 'all'.

    Raises:
        InputError: there is no such claim.
    """
    if name == ALL:
        return list(CLAIMS.values())
    if name not in CLAIMS:
        raise InputError(
            f"there is no claim {name!r}; known are {ALL}, {', '.join(CLAIMS)}"
            f"{did_you_mean(name, CLAIMS)}"
        )
    return [CLAIMS[name]]


def evaluations(claims: list[Claim]) -> list[Evaluation]:
    """What these claims need, each once, in their order.

    Raises:
        ValueError: two evaluations of one name differ.
    """
    found: dict[str, Evaluation] = {}
    for claim in claims:
        for each in claim.arms.values():
            if found.setdefault(each.key, each) != each:
                raise ValueError(f"{each.key} is the name of two evaluations")
    return list(found.values())
