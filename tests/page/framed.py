"""What a web UI is to the page in the frame of its tab: a page around it, a log-in, and scripts
that it puts into every page of gradio's.

python tests/page/framed.py ui --port 7870
"""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import gradio as gr
import uvicorn
from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import HTMLResponse, Response
from PIL import Image, PngImagePlugin

from nulie.ui import Host, build
from nulie.webui import frame
from nulie.webui.frame import TARGETS, Exchange

ROOT = Path(__file__).resolve().parents[2]
PORT = int(sys.argv[sys.argv.index("--port") + 1])
AROUND = """<!doctype html><body class="dark">
<script>
const gradioApp = () => document;
const onAfterUiUpdate = (f) => document.addEventListener('DOMContentLoaded', f);
const localization = {'Mode': 'Betriebsart'};
const hasLocalization = () => true;
function processNode(node) {
    const walk = document.createTreeWalker(node, NodeFilter.SHOW_TEXT);
    for (let n = node; n; n = walk.nextNode()) {
        const known = n.nodeType === 3 && localization[n.textContent.trim()];
        if (known) n.textContent = known;
    }
}
var shown = [], pasted = [], sent = null;
for (const target of ['img2img', 'inpaint', 'extras'])
    window['switch_to_' + target] = () => {
        if (target === 'img2img') document.querySelector('#mode_img2img button').click();
        shown.push(target);
    };
async function fetchSent() {
    const answer = await fetch('/sent?ticket=' + nulieFetch()[0]);
    sent = await answer.json();
    nuliePaste();
}
function paste() {
    pasted.push(sent.text);
    setTimeout(switch_to_img2img, 50);
}
</script>
<script>%s</script>
<div id="tabs"><div class="tab-nav">
<button onclick="document.getElementById('tab_nulie').style.display='none'">txt2img</button>
<button onclick="document.getElementById('tab_nulie').style.display='block'">NUlIE</button>
</div><div id="tab_txt2img"></div>
<div id="tab_nulie" style="display:none"><div id="nulie_frame">
<div class="nulie-frame" style="min-height:80vh">Loading</div></div>
<button id="nulie_fetch_img2img" onclick="fetchSent()"></button>
<button id="nulie_fetch_inpaint" onclick="fetchSent()"></button>
<button id="nulie_fetch_extras" onclick="fetchSent()"></button></div></div>
<div id="mode_img2img"><button></button></div>
<div id="img2img_tools"><button id="paste" onclick="paste()"></button></div>
<div id="txt2img_gallery">
<button class="thumbnail-item"><img src="/picture?width=200"></button>
<button class="thumbnail-item"><img src="/picture?width=120"></button></div>
<button id="txt2img_send_to_extras" class="tool">E</button>
<div id="extras_gallery"></div><button id="extras_send_to_extras">E</button>
<div id="tab_pnginfo"><div id="pnginfo_image"><img src="/broken"></div>
<button id="extras_tab">Send to extras</button></div></body>"""

app = FastAPI()
came: Exchange[bytes] = Exchange()
gone: Exchange[tuple[Image.Image, str]] = Exchange()
made: list[Any] = []


@app.middleware("http")
async def between(request: Request, call_next: Any) -> Any:
    """Web UIs have such, which hears of visitors in its own way."""
    return await call_next(request)


@app.get("/", response_class=HTMLResponse)
def around() -> str:
    return AROUND % (ROOT / "javascript" / "nulie.js").read_text(encoding="utf-8")


@app.get("/login_check")
def login_check(request: Request) -> None:
    # The oldest gradio's queue passes this cookie on, and no other.
    if request.cookies.get("access-token") != "yes":
        raise HTTPException(401)


@app.get("/picture")
def picture(width: int) -> Response:
    image = Image.linear_gradient("L").resize((width, 80)).convert("RGB")
    text = PngImagePlugin.PngInfo()
    text.add_text("parameters", "a cat\nSteps: 20")
    file = io.BytesIO()
    image.save(file, "PNG", pnginfo=text)
    return Response(file.getvalue(), media_type="image/png")


@app.get("/broken")
def broken() -> Response:
    return Response(b"GIF89a of a kind", media_type="image/gif")


@app.get("/sent")
def sent(ticket: str) -> dict[str, Any]:
    image, text = gone.take(ticket) or (None, "")
    return {"size": image.size if image else None, "text": text}


@app.get("/made")
def count() -> int:
    return len(made)


def make() -> FastAPI:
    folder = tempfile.mkdtemp()
    host = Host(
        Path(folder),
        heading=False,
        predictors=("statistics",),
        targets=TARGETS,
        give=lambda image, text: gone.give((image, text)),
        take=came.take,
    )
    made.append(build(host))
    outer = SimpleNamespace(local_url=f"http://127.0.0.1:{PORT}/")
    return frame.application(made[-1], outer, came)


def meddle() -> None:
    """As web UIs do."""
    templates: Any = gr.routes.templates
    usual = templates.TemplateResponse

    def response(*args: Any, **options: Any) -> Any:
        answer = usual(*args, **options)
        answer.body = answer.body.replace(b"</head>", b"<script>window.meddled=1</script></head>")
        answer.init_headers()
        return answer

    templates.TemplateResponse = response


if __name__ == "__main__":
    meddle()
    app.mount(frame.PATH, frame.Frame(app, make))
    uvicorn.run(app, port=PORT, log_level="warning", timeout_graceful_shutdown=1)
