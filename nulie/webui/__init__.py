"""nulie inside an sd-webui (AUTOMATIC1111, Forge): all of the glue that needs no web UI to be read.

`scripts/` alone imports the web UI's modules, and hands in what is needed here: see `connect`. The
web UI runs those scripts again at each "Reload UI" while this package stays, and with it what must
outlive a reload: the loaded predictors.

`controls` is what the user sets, `options` what the settings page has; `hooks` is what the scripts
call for an image, by way of `job`; `page` and `frame` are the tab, `api` the routes. `state`,
`memory` and `predictors` are how a job gets along with the web UI around it.
"""

from .host import WebUI, connect, current, is_first

__all__ = ["WebUI", "connect", "current", "is_first"]
