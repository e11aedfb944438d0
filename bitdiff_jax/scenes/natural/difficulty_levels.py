"""How hard a scene is: the numbers in which levels 2 and 3 differ."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Difficulty:
    """Ranges and shares of one level; lengths in units of the picture's side."""

    # Regions that are laid out: median and spread of a log-normal, and the most that are kept.
    median_regions: float
    spread_regions: float
    max_regions: int
    min_area: float  # of the picture; what shows less is taken away
    min_radius: float  # of a thing
    kinds: tuple[float, float, float]  # odds of natural, herd and mosaic scenes
    tricky: float  # odds of the harder families of outlines, against 1 for the others
    # Colour: shares of regions that copy the colour of one they touch, nearly or entirely.
    faint: float
    camouflaged: float
    colour_choices: int  # a region takes the one farthest from the colour of one it touches
    free_colours: float  # share of scenes whose colours are not those of photographs
    # Standard deviation of a texture, in L: log-mean, log-sd, least and most.
    contrast: tuple[float, float, float, float]
    decals: float  # share of things with inner drawings
    # Light.
    shadows: float  # share of scenes with cast shadows
    dapples: float  # share of scenes with shadows of what is outside the picture
    shading: float  # scale of gradients, domes and highlights
    # Camera: the most of each; blur as standard deviation in 1/64 of the side.
    blur: float
    noise: float
    vignette: float
    cast: float  # spread of the white balance, in log gain
    jpeg: tuple[float, int]  # share of scenes that are compressed, and the lowest quality


MODERATE = Difficulty(
    median_regions=11,
    spread_regions=0.6,
    max_regions=30,
    min_area=0.002,
    min_radius=0.05,
    kinds=(0.66, 0.2, 0.14),
    tricky=0.5,
    faint=0.16,
    camouflaged=0.08,
    colour_choices=3,
    free_colours=0.1,
    contrast=(2.0, 0.9, 1.0, 30.0),
    decals=0.3,
    shadows=0.5,
    dapples=0.2,
    shading=0.7,
    blur=0.5,
    noise=0.02,
    vignette=0.25,
    cast=0.05,
    jpeg=(0.4, 60),
)

HARD = Difficulty(
    median_regions=16,
    spread_regions=0.8,
    max_regions=40,
    min_area=0.001,
    min_radius=0.035,
    kinds=(0.5, 0.32, 0.18),
    tricky=1.0,
    faint=0.2,
    camouflaged=0.12,
    colour_choices=3,
    free_colours=0.2,
    contrast=(2.2, 0.9, 1.0, 34.0),
    decals=0.4,
    shadows=0.65,
    dapples=0.35,
    shading=1.0,
    blur=0.75,
    noise=0.04,
    vignette=0.45,
    cast=0.1,
    jpeg=(0.5, 40),
)
