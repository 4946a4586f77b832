// What the web UI's buttons call by name.

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

function nulieSendTo(target, text) {
    const button = gradioApp().getElementById(`nulie_sent_to_${target}${text ? '_text' : ''}`);
    if (button) button.click();
    return [];
}

function nulieSendTo_img2img(text) {
    return nulieSendTo('img2img', text);
}

function nulieSendTo_inpaint(text) {
    return nulieSendTo('inpaint', text);
}

function nulieSendTo_extras(text) {
    return nulieSendTo('extras', text);
}
