"""nulie makes an image more pleasing by search, and keeps the recipe that made it."""

from .threads import set_defaults

__version__ = "1.0.0"

set_defaults()
