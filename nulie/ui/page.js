// Stands in the markup, since a script of a component never runs. What gradio leaves out, or does in
// some of its versions only: names, states, a place for the focus; and who leaves is told of.
(function () {
  if (window.nulieHere) return;
  window.nulieHere = 1;
  const all = (what) => [...document.querySelectorAll(what)];
  const seen = (what) => all(what).find((e) => e.offsetParent);
  const live = document.body.appendChild(document.createElement('div'));
  live.id = 'nulie_live';
  live.setAttribute('role', 'status');

  const set = (e, name, value) => e.getAttribute(name) === value || e.setAttribute(name, value);
  // In 3.41 no keyboard reaches what is to be pressed.
  const press = (e) => e.tagName === 'DIV' && (set(e, 'role', 'button'), set(e, 'tabindex', '0'));

  function name() {
    all('[id^=nulie_] input[type=file]').forEach((e) => {
      const area = e.parentElement, box = e.closest('[id^=nulie_]'), label = box.querySelector('label');
      if (box.id !== 'nulie_recipe_file') set(e, 'accept', 'image/*,.tif,.tiff,.jfif,.jpe');
      press(area);
      const text = `${label ? label.innerText : ''} ${area.innerText}`;
      set(area, 'aria-label', text.replace(/\s+/g, ' ').trim());
    });
    all('[id^=nulie_] .label-wrap').forEach((e) => {
      set(e, 'aria-expanded', String(e.classList.contains('open')));
      press(e);
    });
    all('[id^=nulie_] input[type=radio]').forEach((e) => set(e, 'name', e.closest('[id^=nulie_]').id));
    all('[id^=nulie_] input[type=number]').forEach((e) => {
      const label = e.closest('[id^=nulie_]').querySelector('label');
      if (label && !e.labels.length && !e.ariaLabel) set(e, 'title', label.textContent.trim());
    });
  }

  // What is said, to those who do not see it: progress now and then, all else at once.
  const told = {};
  let progress = 0;
  let awaited = null; // something that was done, and is answered by a picture
  function tell() {
    ['#nulie_status', '#nulie_batch_status', '#nulie_library_status'].forEach((place) => {
      const state = seen(place + ' .nulie-status');
      const text = state ? state.innerText.trim() : '';
      if (text === told[place]) return;
      // On a phone the picture may be out of sight; what else changes with it may move it once more.
      if (awaited && window.innerWidth < 700) [0, 400].forEach((wait) => setTimeout(() => {
        document.getElementById('nulie_view').scrollIntoView({block: 'nearest'});
      }, wait));
      awaited = null;
      if (state && state.querySelector('.nulie-bar')) {
        if (Date.now() - progress < 10000) return;
        progress = Date.now();
      }
      told[place] = text;
      if (!text) return;
      if (state.matches('[role=alert]')) state.scrollIntoView({block: 'nearest'});
      else live.textContent = text;
    });
  }

  // Where the focus was, from the element outwards. When that is gone, the nearest takes its place.
  let chain = [];
  const usable = (e) => e.isConnected && !e.disabled && e.getClientRects().length > 0;
  function rescue() {
    if (!chain.length || document.activeElement !== document.body || usable(chain[0])) return;
    for (const around of chain.filter((e) => e.isConnected)) {
      const next = [...around.querySelectorAll('button, input, select, textarea, a[href]')].find(usable);
      if (next) return next.focus({preventScroll: true});
    }
  }
  window.addEventListener('focusin', (event) => {
    chain = [];
    for (let e = event.target; e && e !== document.body; e = e.parentElement) chain.push(e);
  });
  window.addEventListener('focusout', () => setTimeout(() => {
    if (document.activeElement === document.body && chain.length && usable(chain[0])) chain = [];
  }));

  let due = 0;
  const tidy = () => { due = 0; name(); tell(); rescue(); };
  new MutationObserver(() => { due = due || setTimeout(tidy, 100); }).observe(document.body, {
    subtree: true, childList: true, characterData: true, attributeFilter: ['class', 'disabled', 'style'],
  });
  tidy();

  const look = (what) => (event) => { awaited = awaited || event.target.closest(what); };
  window.addEventListener('click', look('#nulie_enhance'), true);
  window.addEventListener('change', look('#nulie_photo'), true);
  window.addEventListener('keydown', (event) => {
    const on = event.target;
    if (!['Enter', ' '].includes(event.key)) return;
    if (!on.matches('[id^=nulie_] :is(div.label-wrap, div[role=button]:has(> input[type=file]))')) return;
    event.preventDefault();
    on.click();
  }, true);

  // In 3.41 gradio forgets an upload when anything is answered meanwhile, and a search answers all
  // the time: answers wait. From 4 on none of them comes by a socket.
  let uploaded = Promise.resolve();
  const Socket = window.WebSocket;
  window.WebSocket = class extends Socket {
    set onmessage(take) {
      super.onmessage = async (event) => { await uploaded; take.call(this, event); };
    }
  };
  const hold = (event) => {
    const from = event.dataTransfer || event.target;
    if (!from.files || !from.files.length) return;
    uploaded = new Promise((done) => {
      const watch = new PerformanceObserver((list) => {
        if (!list.getEntries().some((e) => e.name.endsWith('/upload'))) return;
        watch.disconnect();
        setTimeout(done, 150); // gradio reads the answer meanwhile
      });
      watch.observe({type: 'resource'});
      setTimeout(done, 60000);
    });
  };
  window.addEventListener('change', hold, true);
  window.addEventListener('drop', hold, true);

  // A photo can be dropped anywhere; elsewhere the browser would leave the page for it.
  window.addEventListener('dragover', (event) => event.preventDefault());
  window.addEventListener('drop', (event) => {
    const files = event.dataTransfer && event.dataTransfer.files;
    if (event.defaultPrevented || !files || !files.length) return;
    event.preventDefault();
    const place = ['#nulie_photo', '#nulie_batch_files', '#nulie_library_files'].find((e) => seen(e));
    const input = place && document.querySelector(place + ' input[type=file]');
    if (!input) return;
    input.files = files;
    input.dispatchEvent(new Event('change', {bubbles: true}));
  });

  const photo = () => document.querySelector('#nulie_view .nulie-frame');
  window.addEventListener('beforeunload', (event) => {
    if (!photo()) return;
    event.preventDefault();
    event.returnValue = '';
  });
  window.addEventListener('pagehide', (event) => {
    const token = document.getElementById('nulie_token');
    if (!token || event.persisted) return;
    navigator.sendBeacon('LEAVING' + token.dataset.token);
    sessionStorage.nulie_token = photo() ? token.dataset.token : ''; // should it be loaded anew
  });
})();
