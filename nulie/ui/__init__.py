"""The page: `build(host)` gives it as gradio Blocks, to be launched or put into another page.

Runs on gradio 3.41, 4.40 and newer. Only this package imports gradio.
"""

from .host import LARGEST_UPLOAD, Host
from .page import build, close, mount, serve

__all__ = ["LARGEST_UPLOAD", "Host", "build", "close", "mount", "serve"]
