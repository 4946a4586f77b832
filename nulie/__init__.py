"""nulie makes an image more pleasing by search, and keeps the recipe that made it.

>>> result = nulie.enhance("examples/faded.jpg", evaluations=200, predictor="statistics")
>>> result.image.size
(451, 300)
"""

from __future__ import annotations

import logging
from importlib import import_module
from typing import TYPE_CHECKING, Any

from .threads import set_defaults

if TYPE_CHECKING:
    from .jobs.front_door import apply, enhance, score

__all__ = ["__version__", "apply", "enhance", "score"]
__version__ = "1.0.0"

# A library is silent unless the program around it asks for more.
logging.getLogger(__name__).addHandler(logging.NullHandler())
set_defaults()


def __getattr__(name: str) -> Any:
    """Brings the functions along only when one of them is asked for: they need torch."""
    if name in __all__:
        return getattr(import_module(".jobs.front_door", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
