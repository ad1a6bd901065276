"""The shape of a network for images, without torch."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any, Literal

from ..problem.schedule import NoiseSchedule
from ..support.checks import check_integer
from ..support.errors import InputError

if TYPE_CHECKING:
    from .unet import UNet

GROUPS = 8  # of every group normalisation


@dataclasses.dataclass(frozen=True)
class ImageArchitecture:
    """The shape of a U-Net on three resolutions.

    side : pixels along an edge, a multiple of 4. channels : at full resolution, twice as many
    below, a multiple of 8. condition : width of what tells the blocks level and class. classes :
    0 without. embedding : length of the features of the level, even.
    """

    side: int
    channels: int = 32
    condition: int = 128
    classes: int = 0
    embedding: int = 64
    kind: Literal["unet"] = "unet"

    def __post_init__(self) -> None:
        if self.kind != "unet":
            raise InputError("the kind of a network for images is 'unet'", self.kind, "Name it so.")
        for name, low, high in (
            ("side", 8, 256),
            ("channels", GROUPS, 1024),
            ("condition", 1, 65536),
            ("classes", 0, 1000),
            ("embedding", 2, 65536),
        ):
            check_integer(getattr(self, name), name, low, high)
        for name, whole in (("side", 4), ("channels", GROUPS), ("embedding", 2)):
            if getattr(self, name) % whole:
                raise InputError(
                    f"the {name} of a network for images is a multiple of {whole}",
                    getattr(self, name),
                    "Round it.",
                )

    @property
    def d(self) -> int:
        """Pixels of an image."""
        return self.side**2

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for a file."""
        return dataclasses.asdict(self)

    def weights(self) -> int:
        """Numbers in its tensors."""
        return sum(math.prod(shape) for shape in self.shapes().values())

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of every tensor, by name."""
        c, e = self.channels, self.condition
        found: dict[str, tuple[int, ...]] = {}

        def layer(name: str, *shape: int) -> None:
            found.update({f"{name}.weight": shape, f"{name}.bias": shape[:1]})

        def block(name: str, enter: int, leave: int) -> None:
            layer(f"{name}.norm", enter)
            layer(f"{name}.first", leave, enter, 3, 3)
            layer(f"{name}.condition", 2 * leave, e)
            layer(f"{name}.inner", leave)
            layer(f"{name}.second", leave, leave, 3, 3)
            if enter != leave:
                layer(f"{name}.skip", leave, enter, 1, 1)

        layer("time_first", e, self.embedding)
        layer("time_second", e, e)
        if self.classes:
            found["label.weight"] = (self.classes + 1, e)
        layer("enter", c, 1, 3, 3)
        for k, width in enumerate((c, 2 * c)):
            block(f"down.{k}", c, width)
            layer(f"shrink.{k}", width, width, 3, 3)
            block(f"middle.{k}", 2 * c, 2 * c)
        for k, width in enumerate((2 * c, c)):
            layer(f"grow.{k}", width, 2 * c, 3, 3)
            block(f"up.{k}", 2 * width, width)
        layer("norm", c)
        layer("leave", 1, c, 3, 3)
        return found

    def build(self, schedule: NoiseSchedule) -> UNet:
        """A freshly initialised float32 network (from torch's global generator)."""
        from .unet import UNet

        return UNet(self, schedule)
