"""What a web UI is to the page in the frame of its tab: a page around it, a log-in, and scripts
that it puts into every page of gradio's.

python tests/page/framed.py ui --port 7870
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import gradio as gr
import uvicorn
from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import HTMLResponse
from PIL import Image

from nulie.ui import Host, build
from nulie.webui import frame
from nulie.webui.exchange import Exchange

ROOT = Path(__file__).resolve().parents[2]
PORT = int(sys.argv[sys.argv.index("--port") + 1])
AROUND = """<!doctype html><body class="dark">
<script>
const gradioApp = () => document;
const onUiLoaded = (f) => document.addEventListener('DOMContentLoaded', f);
const localization = {'Mode': 'Betriebsart'};
const hasLocalization = () => true;
function processNode(node) {
    const walk = document.createTreeWalker(node, NodeFilter.SHOW_TEXT);
    for (let n = node; n; n = walk.nextNode()) {
        const known = n.nodeType === 3 && localization[n.textContent.trim()];
        if (known) n.textContent = known;
    }
}
var pasted = [];
async function fetchSent(button) {
    const answer = await fetch('/sent?ticket=' + nulieFetch()[0]);
    window.sent = await answer.json();
    nuliePaste();
}
</script>
<script>%s</script>
<div id="tabs"><div class="tab-nav">
<button onclick="document.getElementById('tab_nulie').style.display='none'">txt2img</button>
<button onclick="document.getElementById('tab_nulie').style.display='block'">NUlIE</button>
</div><div id="tab_txt2img"></div>
<div id="tab_nulie" style="display:none"><div id="nulie_frame">
<div class="nulie-frame" style="min-height:80vh">Loading</div></div></div></div>
<button id="nulie_fetch" onclick="fetchSent()"></button>
%s</body>"""
BUTTONS = ("img2img", "img2img_text", "inpaint", "inpaint_text", "extras")

app = FastAPI()
exchange = Exchange()
made: list[Any] = []


@app.middleware("http")
async def between(request: Request, call_next: Any) -> Any:
    """Web UIs have such, which hears of visitors in its own way."""
    return await call_next(request)


@app.get("/", response_class=HTMLResponse)
def around() -> str:
    buttons = (
        f'<button id="nulie_sent_to_{b}" onclick="pasted.push(\'{b}\')"></button>' for b in BUTTONS
    )
    script = (ROOT / "javascript" / "nulie.js").read_text(encoding="utf-8")
    return AROUND % (script, "".join(buttons))


@app.get("/login_check")
def login_check(request: Request) -> None:
    # The oldest gradio's queue passes this cookie on, and no other.
    if request.cookies.get("access-token") != "yes":
        raise HTTPException(401)


@app.get("/ticket")
def ticket() -> str:
    image = Image.linear_gradient("L").resize((120, 80)).convert("RGB")
    image.info["parameters"] = "a cat\nSteps: 20"
    return exchange.give(image)


@app.get("/sent")
def sent(ticket: str) -> dict[str, Any]:
    image, text = exchange.take(ticket)
    return {"size": image.size if image else None, "text": text}


@app.get("/made")
def count() -> int:
    return len(made)


def make() -> FastAPI:
    folder = tempfile.mkdtemp()
    targets = ("img2img", "inpaint", "extras")
    host = Host(
        Path(folder),
        heading=False,
        predictors=("statistics",),
        targets=targets,
        give=exchange.give,
        take=exchange.take_image,
    )
    made.append(build(host))
    return frame.application(made[-1], SimpleNamespace(local_url=f"http://127.0.0.1:{PORT}/"))


def meddle() -> None:
    """As web UIs do."""
    usual = gr.routes.templates.TemplateResponse

    def response(*args: Any, **options: Any) -> Any:
        answer = usual(*args, **options)
        answer.body = answer.body.replace(b"</head>", b"<script>window.meddled=1</script></head>")
        answer.init_headers()
        return answer

    gr.routes.templates.TemplateResponse = response


if __name__ == "__main__":
    meddle()
    app.mount(frame.PATH, frame.Frame(app, make))
    uvicorn.run(app, port=PORT, log_level="warning", timeout_graceful_shutdown=1)
