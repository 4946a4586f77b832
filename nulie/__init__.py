"""nulie makes an image more pleasing by search, and keeps the recipe that made it."""

__version__ = "1.0.0"
