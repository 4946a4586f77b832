"""nulie inside an sd-webui (AUTOMATIC1111, Forge): all of the glue that needs no web UI to be read.

`scripts/` alone imports the web UI's modules, and hands in what is needed here: see `connect`. The
web UI runs those scripts again at each "Reload UI" while this package stays, so what must
outlive a reload (the loaded predictors) is here.
"""

from .host import WebUI, connect, current

__all__ = ["WebUI", "connect", "current"]
