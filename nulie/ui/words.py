"""Small pieces of HTML: what the page says. Everything from outside is escaped here."""

from __future__ import annotations

from html import escape

from ..recipe import Recipe
from ..recipe.settings import Settings
from ..transforms import describe
from .opened import Opened
from .running import Outcome, State

LEAVING = "nulie/left/"
"""Address, with a run's token behind it, that the browser calls when the page is closed."""
# The older gradios notice that only after a quarter of a minute. And the headings of 3.41's folded
# parts are nothing that a keyboard reaches, its sliders' numbers have no names. On a phone the
# picture is below what starts the search.
_SCRIPT = (
    "if(!window.nulieHere){window.nulieHere=1;window.addEventListener('pagehide',function(){"
    "document.querySelectorAll('.nulie-run').forEach(function(e){"
    f"navigator.sendBeacon('{LEAVING}'+e.dataset.token)}})}});"
    "window.addEventListener('click',function(k){"
    "if(window.innerWidth<700&&k.target.closest('#nulie_enhance'))"
    "document.getElementById('nulie_view').scrollIntoView({behavior:'smooth'})},true);"
    "window.addEventListener('keydown',function(k){var t=k.target;"
    "if(k.key==='Tab'){document.querySelectorAll('[id^=nulie_] div.label-wrap').forEach("
    "function(e){e.tabIndex=0;e.setAttribute('role','button')});"
    "document.querySelectorAll('[id^=nulie_] input[type=number]').forEach(function(e){"
    "var b=e.closest('[id^=nulie_]').querySelector('label');"
    "if(b&&!e.labels.length&&!e.ariaLabel)e.title=b.textContent.trim()})}"
    "else if((k.key==='Enter'||k.key===' ')&&t.matches('[id^=nulie_] div.label-wrap'))"
    "{k.preventDefault();t.click()}},true)}"
)
FRAMED = (
    "body,gradio-app{background:transparent!important}footer{display:none!important}"
    ".gradio-container{min-height:0!important;max-width:none!important;padding:0!important;"
    "background:transparent!important}"
)
"""Style of a page in a frame, which is as high as what it shows."""
READY = "() => { if (window.parent.nulieReady) window.parent.nulieReady(); }"
TICKET = "(session) => [session, window.nulieTicket]"
SENT = "(note) => { if (note) window.parent.nulieSend(note); }"
"""What comes from the page around, and what is sent there: see `javascript/nulie.js`."""
EMPTY = f'<div class="nulie-empty"><style onload="{_SCRIPT}"></style>Drop a photo to begin.</div>'
HEADING = (
    '<h1 style="margin:0">nulie</h1><p class="nulie-note">Makes a photo more pleasing by trying'
    " thousands of chains of simple changes, and shows the recipe of the best one.</p>"
)
COPY = (
    '<button type="button" class="nulie-copy" id="nulie_copy" onclick="'
    "var t=document.querySelector('#nulie_recipe textarea');"
    "var b=this,done=function(){b.textContent='Copied'};"
    "setTimeout(function(){b.textContent='Copy recipe'},1500);"
    "if(navigator.clipboard){navigator.clipboard.writeText(t.value).then(done)}"
    "else{t.select();document.execCommand('copy');done()}"
    '">Copy recipe</button>'
)

HELP = """<div class="nulie-help">
<h3>What it does</h3>
<p>nulie tries chains of well-known changes (brightness, contrast, colours, sharpness and so on)
on a small copy of your photo, asks a predictor what each result is worth, and goes on from the
best. When the time is up, the best few are made again at full size and judged again. What does
not beat your photo is thrown away; it may well be that nothing does. The file you drop is never
changed.</p>
<h3>Modes</h3>
<p><b>soft</b> turns every dial a little: the result is your photo, better printed. <b>hard</b>
turns them far and adds drastic ones (hue, invert, solarize, posterize): for surprises. More
seconds find better results, with less and less to gain. The same seed tries the same things.</p>
<h3>What the score means</h3>
<p>It is the predictor's opinion, roughly from 0 to 10. Compare it between versions of <i>one</i>
photo only: a good photo of a plain wall may score less than a poor one of a sunset. A tenth of a
point says little. The built-in predictor <b>statistics</b> guesses how the photo should look and
says how near a version comes: 10 leaves nothing to mend. The <b>clip</b> predictors learned from
people's ratings of pictures. The guards take points off: for getting darker than the minimum
light, for darker skin, and, if you ask for it, for drifting away from the photo.</p>
<h3>What it tends to get wrong</h3>
<p>It does not know what you meant: fog, dusk and silhouettes may be brightened, muted colours
made loud. Night scenes and drawings are judged poorly. It changes whole pictures, never a part of
one. Look at the result with the slider, take another variant, or turn the steps yourself
under <i>Touch up</i>.</p>
<h3>By keyboard</h3>
<p>Tab reaches everything; on the before/after slider use the arrow keys, Home and End.</p>
</div>"""


def status(
    text: str, *, share: float | None = None, strong: str = "", note: str = "", token: str = ""
) -> str:
    """The line of the state, with a bar where something is under way. `token`: of the run that
    ends when the page is closed."""
    lead = f"<b>{escape(strong)}</b> " if strong else ""
    bar = ""
    if share is not None:
        percent = 100 * min(1.0, max(0.0, share))
        bar = (
            '<div class="nulie-bar" role="progressbar" aria-label="progress" aria-valuemin="0"'
            f' aria-valuemax="100" aria-valuenow="{percent:.0f}">'
            f'<span style="width:{percent:.1f}%"></span></div>'
        )
    small = f'<p class="nulie-note">{escape(note)}</p>' if note else ""
    run = f'<i class="nulie-run" data-token="{token}"></i>' if token else ""
    return f'<div class="nulie-status"><p>{lead}{escape(text)}</p>{bar}{small}{run}</div>'


def error(text: str) -> str:
    return f'<div class="nulie-status" role="alert"><p class="nulie-error">{escape(text)}</p></div>'


def about(opened: Opened) -> str:
    """What was dropped."""
    photo = opened.photo
    kept = [
        word
        for word, there in (
            ("colour profile", photo.metadata.icc_profile),
            ("EXIF", photo.metadata.exif),
            ("texts", photo.metadata.text),
            ("transparency", photo.transparent),
        )
        if there
    ]
    keeps = f", with {' and '.join(kept)}, kept when saving" if kept else ""
    width, height = photo.size
    text = f"{opened.name}: {width} x {height}, {photo.format}{keeps}."
    return status(text, note=" ".join(photo.notes))


def searching(state: State, settings: Settings, stopping: bool) -> str:
    """How a run stands, in one line and a bar."""
    strong, text = _stand(state, settings, stopping)
    done = share(state, settings)
    return status(text, strong=strong, share=done, note=state.note, token=state.token)


def progress(state: State, settings: Settings, stopping: bool) -> str:
    """How a run stands, in one line."""
    return " ".join(_stand(state, settings, stopping)).strip()


def _stand(state: State, settings: Settings, stopping: bool) -> tuple[str, str]:
    """The best score, once there is one, and the rest."""
    if state.phase == "waiting":
        return "", waiting(state.before)
    if state.phase != "searching":
        return "", _loading(state)
    left = max(0.0, (settings.seconds or 0.0) - state.seconds)
    rate = state.evaluations / state.seconds if state.seconds else 0.0
    rest = f"{left:.0f} s left"
    if stopping:
        rest = "stopping"
    elif left < 0.05:
        rest = "making the best ones at full size"
    return f"{state.best:.2f}", (
        f"best score ({state.best - state.base:+.2f}) \u00b7 {state.evaluations:,} nodes \u00b7"
        f" {rate:,.0f} a second \u00b7 {rest}"
    )


def waiting(before: int) -> str:
    """A search's place in the line."""
    if before <= 0:
        return "starting"
    others = "one search comes" if before == 1 else f"{before} searches come"
    return f"{others} first; yours begins by itself"


def _loading(state: State) -> str:
    if state.download is None:
        return f"loading the predictor {state.predictor}"
    file, done, size = state.download
    return f"downloading {file}, once: {done / 1e6:,.0f} of {size / 1e6:,.0f} MB"


def share(state: State, settings: Settings) -> float:
    """How much of a run is done, 0 to 1; while something is downloaded, how much of that is."""
    if state.download is not None:
        _, done, size = state.download
        return min(1.0, done / max(1, size))
    return min(1.0, state.seconds / settings.seconds) if settings.seconds else 0.0


def found(outcome: Outcome) -> str:
    """How a run ended."""
    stopped = "stopped after " if outcome.stopped else ""
    rate = outcome.evaluations / outcome.seconds if outcome.seconds else 0.0
    spent = (
        f"{stopped}{outcome.evaluations:,} nodes in {outcome.seconds:.1f} s"
        f" ({rate:,.0f} a second), judged by {outcome.predictor}"
    )
    if not outcome.variants:
        return status(
            f"Nothing found that beats it (score {outcome.base.score:.2f}): it stays as it is."
            f" {spent}"
        )
    score = outcome.variants[0].terms.score
    return status(
        f"score, from {outcome.base.score:.2f} ({score - outcome.base.score:+.2f}) \u00b7 {spent}",
        strong=f"{score:.2f}",
    )


def words(recipe: Recipe) -> str:
    return f'<p class="nulie-words"><b>Recipe:</b> {escape(describe(recipe))}</p>'
