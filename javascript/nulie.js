// The tab is a frame with a page of its own, made when it is first seen. Pictures travel between the
// two by tickets; what is named here is called by the buttons of both.

var nulieStarted = false;
var nulieFrame = null;
var nulieHere = false; // the page in the frame listens
var nulieTicket = ''; // of a picture for the frame
var nulieNote = null; // of a picture for another tab

// Not onUiLoaded, which waits for txt2img: tabs can be hidden.
onAfterUiUpdate(function() {
    const place = nuliePlace();
    if (nulieStarted || !place) return;
    nulieStarted = true;
    nulieButtons();
    const watcher = new IntersectionObserver(function(entries) {
        if (!entries.some((e) => e.isIntersecting)) return;
        watcher.disconnect();
        nulieMake();
    });
    watcher.observe(place);
});

// Copies of the buttons that send a picture to Extras, behind them. Components of gradio's would
// make the page slower to load.
function nulieButtons() {
    const told = 'Send image and generation parameters to the NUlIE tab.';
    ['txt2img', 'img2img', 'extras', 'pnginfo'].forEach(function(tab) {
        // PNG Info has a button with a text, whose id others have as well.
        const wordy = tab === 'pnginfo';
        const like = gradioApp().querySelector(
            wordy ? '#tab_pnginfo #extras_tab' : `#${tab}_send_to_extras`);
        if (!like) return;
        const button = like.cloneNode(true);
        button.id = `nulie_from_${tab}`;
        button.textContent = wordy ? 'Send to NUlIE' : '🪄';
        button.title = wordy ? '' : told;
        button.onclick = () => nulieBring(nulieChosen(tab));
        like.after(button);
    });
}

// The picture that is chosen in a gallery, or its first one, or that of PNG Info.
function nulieChosen(tab) {
    const place = gradioApp().querySelector(tab === 'pnginfo' ? '#pnginfo_image' : `#${tab}_gallery`);
    return place.querySelector('.thumbnail-item.selected img') || place.querySelector('img');
}

function nuliePlace() {
    return gradioApp().querySelector('#nulie_frame .nulie-frame');
}

function nulieMake() {
    if (nulieFrame) return;
    const theme = document.body.classList.contains('dark') ? 'dark' : 'light';
    nulieFrame = document.createElement('iframe');
    nulieFrame.id = 'nulie_page';
    nulieFrame.title = 'NUlIE';
    nulieFrame.src = `nulie/page/?__theme=${theme}`;
    nulieFrame.style = 'width:100%;height:80vh;border:0;display:block';
    nulieFrame.allow = 'clipboard-write; fullscreen';
    nuliePlace().replaceChildren(nulieFrame);
}

// Called by the page in the frame.
function nulieReady() {
    const page = nulieFrame.contentDocument;
    nulieStyle(page);
    const fit = function() {
        const tabs = page.getElementById('nulie_tabs');
        const top = tabs.getBoundingClientRect().top + nulieFrame.contentWindow.scrollY;
        nulieFrame.style.height = `max(80vh, ${Math.ceil(top + tabs.offsetHeight + 8)}px)`;
    };
    new ResizeObserver(fit).observe(page.getElementById('nulie_tabs'));
    if (typeof hasLocalization === 'function' && hasLocalization()) {
        new MutationObserver(function(changes) {
            changes.forEach((c) => c.addedNodes.forEach((node) => processNode(node)));
        }).observe(page.body, {childList: true, subtree: true});
        processNode(page.body);
    }
    nulieHere = true;
    nulieHandOver();
}

// It looks as the page around does, whose own sheet comes first; and what gradio lays over everything
// that a search changes is left out.
function nulieStyle(page) {
    const sheet = document.querySelector('link[property=stylesheet]');
    if (sheet) page.head.append(Object.assign(page.createElement('link'), {rel: 'stylesheet', href: sheet.href}));
    const style = page.createElement('style');
    style.textContent = '.generating{display:none!important}.pending{opacity:1!important}' +
        '#nulie_host_buttons button{flex:none;min-width:0;padding:var(--button-small-padding);' +
        'font-size:var(--button-small-text-size)}';
    page.head.append(style);
}

function nulieHandOver() {
    if (!nulieHere || !nulieTicket) return;
    nulieFrame.contentWindow.nulieTicket = nulieTicket;
    nulieTicket = '';
    nulieFrame.contentDocument.getElementById('nulie_take').click();
}

// From a gallery or PNG Info to the frame.
async function nulieBring(image) {
    switch_to_nulie();
    nulieMake(); // the page may be scrolled to where it is not seen
    if (!image) return;
    try {
        const file = await (await fetch(image.src)).blob();
        const answer = await fetch('nulie/page/picture', {method: 'POST', body: file});
        nulieTicket = await answer.json();
    } catch (e) {
        // The page in the frame says so.
        nulieTicket = 'lost';
    }
    nulieHandOver();
}

// From the frame to another tab. Called by the page in the frame.
function nulieSend(note) {
    nulieNote = JSON.parse(note);
    gradioApp().getElementById(`nulie_fetch_${nulieNote.target}`).click();
}

function nulieFetch() {
    return [nulieNote.ticket];
}

// The web UI has the picture, and the text is where the prompt was.
function nuliePaste() {
    const show = window[`switch_to_${nulieNote.target}`];
    if (nulieNote.text) {
        // This button shows img2img as well, in its own time.
        const img2img = gradioApp().querySelector('#mode_img2img button');
        img2img.addEventListener('click', () => setTimeout(show), {once: true});
        gradioApp().querySelector('#img2img_tools #paste').click();
    } else {
        show();
    }
    return [];
}

function switch_to_nulie() {
    const tabs = gradioApp().querySelector('#tabs');
    // Tabs can be hidden and moved, and their titles translated: the panel's id alone is certain.
    let button = gradioApp().getElementById('tab_nulie-button');
    if (!button) {
        const panels = Array.from(tabs.children).filter((e) => e.id.startsWith('tab_'));
        const at = panels.findIndex((e) => e.id === 'tab_nulie');
        button = tabs.querySelectorAll(':scope > .tab-nav > button')[at];
    }
    if (button) button.click();
    return Array.from(arguments);
}
