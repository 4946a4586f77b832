"""Scripts and style that live in the markup, since a script of a component never runs."""

from __future__ import annotations

LEAVING = "nulie/left/"
"""Address, with a run's token behind it, that the browser calls when the page is closed."""
# Older gradios notice only after a quarter of a minute that a page was closed. In 3.41 no keyboard
# reaches the headings of folded parts, and the numbers of sliders have no names. On a phone the
# picture is below the button that starts the search.
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
COPY = (
    '<button type="button" class="nulie-copy" id="nulie_copy" onclick="'
    "var t=document.querySelector('#nulie_recipe textarea');"
    "var b=this,done=function(){b.textContent='Copied'};"
    "setTimeout(function(){b.textContent='Copy recipe'},1500);"
    "if(navigator.clipboard){navigator.clipboard.writeText(t.value).then(done)}"
    "else{t.select();document.execCommand('copy');done()}"
    '">Copy recipe</button>'
)
