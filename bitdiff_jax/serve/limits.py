"""What a visitor of the page may ask for."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Limits:
    """The bounds of a server.

    Attributes:
        max_bytes: of an uploaded file.
        max_pixels: of an image; it is refused by its header, before it is decoded.
        max_samples: label maps drawn of an image.
        max_waiting: visitors that may wait for the device.
        keep_seconds: how long an image, its results and its temporary files are kept after they
            were last asked for.
        memory: bytes that the images kept for links and the results being looked at may take, each;
            the ones that were not asked for longest go first.
    """

    max_bytes: int = 32_000_000
    max_pixels: int = 50_000_000
    max_samples: int = 32
    max_waiting: int = 20
    keep_seconds: int = 3600
    memory: int = 1 << 30

    @property
    def keep_text(self) -> str:
        """`keep_seconds` in words: '60 minutes'."""
        if self.keep_seconds < 60:
            return f"{self.keep_seconds} seconds"
        minutes = round(self.keep_seconds / 60)
        return f"{minutes} minute{'' if minutes == 1 else 's'}"
