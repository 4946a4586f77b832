// The tab is a frame with a page of its own, made when it is first seen. Pictures travel between the
// two by tickets; what is named here is called by the buttons of both.

var nulieFrame = null;
var nulieHere = false; // the page in the frame listens
var nulieTicket = ''; // of a picture for the frame
var nulieNote = null; // of a picture for another tab

onUiLoaded(function() {
    const place = gradioApp().querySelector('#nulie_frame .nulie-frame');
    if (!place) return;
    const watcher = new IntersectionObserver(function(entries) {
        if (!entries.some((e) => e.isIntersecting)) return;
        watcher.disconnect();
        nulieMake(place);
    });
    watcher.observe(place);
});

function nulieMake(place) {
    const theme = document.body.classList.contains('dark') ? 'dark' : 'light';
    nulieFrame = document.createElement('iframe');
    nulieFrame.id = 'nulie_page';
    nulieFrame.title = 'NUlIE';
    nulieFrame.src = `nulie/page/?__theme=${theme}`;
    nulieFrame.style = 'width:100%;height:80vh;border:0;display:block';
    nulieFrame.allow = 'clipboard-write; fullscreen';
    place.replaceChildren(nulieFrame);
}

// Called by the page in the frame.
function nulieReady() {
    const page = nulieFrame.contentDocument;
    const fit = function() {
        const tabs = page.getElementById('nulie_tabs');
        const top = tabs.getBoundingClientRect().top + nulieFrame.contentWindow.scrollY;
        // A list that opens at the end has some room.
        nulieFrame.style.height = `max(80vh, ${Math.ceil(top + tabs.offsetHeight + 120)}px)`;
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

function nulieHandOver() {
    if (!nulieHere || !nulieTicket) return;
    nulieFrame.contentWindow.nulieTicket = nulieTicket;
    nulieTicket = '';
    nulieFrame.contentDocument.getElementById('nulie_take').click();
}

// From a gallery to the frame.
function nulieBring(ticket) {
    nulieTicket = ticket;
    switch_to_nulie();
    nulieHandOver();
    return [];
}

// From the frame to another tab. Called by the page in the frame.
function nulieSend(note) {
    nulieNote = JSON.parse(note);
    gradioApp().getElementById('nulie_fetch').click();
}

function nulieFetch() {
    return [nulieNote.ticket];
}

function nuliePaste() {
    // Extras has no use for a text.
    const text = nulieNote.text && nulieNote.target !== 'extras' ? '_text' : '';
    gradioApp().getElementById(`nulie_sent_to_${nulieNote.target}${text}`).click();
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
