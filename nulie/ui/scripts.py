"""Scripts and style that live in the markup, since a script of a component never runs."""

from __future__ import annotations

from html import escape
from pathlib import Path

LEAVING = "nulie/left/"
"""Address, with a visitor's token behind it, that the browser calls when the page is closed."""
LIBRARY = "nulie/library/"
"""The same of a visitor's library."""


def _file(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


_SCRIPT = _file("page.js").replace("LEAVING", LEAVING)
FRAMED = (
    "body,gradio-app{background:transparent!important}footer{display:none!important}"
    ".gradio-container{min-height:0!important;max-width:none!important;padding:0!important;"
    "background:transparent!important}#nulie_go{position:static!important}"
    ".gradio-container>.main.app{padding:8px 0!important}"
)
"""Style of a page in a frame, which is as high as what it shows."""
READY = "() => { if (window.parent.nulieReady) window.parent.nulieReady(); }"
TICKET = "(session) => [session, window.nulieTicket]"
SENT = "(note) => { if (note) window.parent.nulieSend(note); }"
"""What comes from the page around, and what is sent there: see `javascript/nulie.js`."""
KEEP = (
    "(...v) => { if (window.nulieKept) sessionStorage.nulie_set = JSON.stringify(v); return []; }"
)
KEPT = """(...v) => { const kept = JSON.parse(sessionStorage.nulie_set || '[]');
window.nulieKept = true;
const token = sessionStorage.nulie_token, take = document.getElementById('nulie_take');
if (token) setTimeout(() => {
  if (!window.nulieTicket) { window.nulieTicket = token; take.click(); }
}, 100);
return kept.length === COUNT ? kept : v.slice(0, COUNT); }"""
"""So many settings. Components tell of their first values, too, before these are back; and the
oldest gradio gives the values of outputs behind those of inputs, and loses an upload when something
is answered meanwhile: thus new pages ask for nothing."""
EMPTY = (
    f'<style onload="{escape(_SCRIPT)}"></style><button type="button" class="nulie-empty" onclick="'
    "document.querySelector('#nulie_photo input[type=file]').click()"
    '">Drop a photo here to begin, or choose one.</button>'
)
COPY = (
    '<button type="button" class="nulie-copy" id="nulie_copy" data-recipe="RECIPE" onclick="'
    "var b=this,done=function(){b.textContent='Copied'};"
    "setTimeout(function(){b.textContent='Copy recipe'},1500);"
    "if(navigator.clipboard){navigator.clipboard.writeText(b.dataset.recipe).then(done)}"
    "else{var t=document.createElement('textarea');t.value=b.dataset.recipe;b.after(t);t.select();"
    "document.execCommand('copy');t.remove();done()}"
    '">Copy recipe</button>'
)
"""With the recipe's text, escaped, in place of `RECIPE`."""
ASKED = "window.nulieAsked"
"""What `library.js` asks for."""
HINTED = "window.nulieHints ? nulieHints() : ''"
"""The points that `hints.js` has, as texts."""


def given(what: str, inputs: int) -> str:
    """The values of an event of so many inputs, with what the browser knows in place of the second;
    older gradio gives the values of outputs behind them."""
    return f"(...v) => [v[0], {what}, ...v.slice(2, {inputs})]"


def library(*, folders: bool) -> str:
    """What `library.js` fills. `folders`: whether folders of the server may be named."""
    place = f'<div id="nulie_grid" data-folders="{int(folders)}"></div>'
    return _filled(place, "library", LIBRARY=LIBRARY)


def hints(place: int) -> str:
    """What `hints.js` fills, once the checkbox of that place in what is restored is ticked."""
    return _filled('<div id="nulie_hints" hidden></div>', "hints", COLORIZE=str(place))


def _filled(place: str, name: str, **values: str) -> str:
    """A place in the markup with its style, and the script that fills it."""
    code = _file(f"{name}.js")
    for key, value in values.items():
        code = code.replace(key, value)
    return f'<style>{_file(f"{name}.css")}</style>{place}<style onload="{escape(code)}"></style>'
