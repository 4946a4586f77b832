// The tab of a library. What is shown comes from the server, some rows at a time: of a hundred
// thousand tiles only those in sight are there.
(function () {
  const place = document.getElementById('nulie_grid');
  if (!place || place.firstChild) return;
  const HIGH = 172, WIDE = 150, PAGE = 120, KEPT = 40;
  const folder = place.dataset.folders === '1' ? `<label class="nulie-wide">Or a folder, or a library's
    file <input type="text" name="folder"></label>` : '';
  place.innerHTML = `<div class="nulie-lib">
    <div>${folder}<button type="button" class="nulie-first" data-do="score">Score</button>
    <button type="button" data-do="stop" disabled>Stop</button></div>
    <div><label class="nulie-wide">Name contains <input type="text" name="name"></label>
    <label>Least score <input type="number" step="any" name="least"></label>
    <label>Most <input type="number" step="any" name="most"></label>
    <label><input type="checkbox" name="failed"> Failed only</label>
    <label><input type="checkbox" name="folded"> Fold near-duplicates</label></div>
    <div><label class="nulie-wide">Threshold <input type="range" name="line" min="0" max="10" value="0"
    disabled>
    <output></output></label></div>
    <div class="nulie-shelf"><div role="listbox" aria-multiselectable="true"
    aria-label="Pictures, the best first"></div><p>No pictures yet: they are shown here, the best
    first, as they are scored.</p></div>
    <div role="radiogroup" aria-label="Which pictures">
    <label><input type="radio" name="which" value="above" checked> <span></span></label>
    <label><input type="radio" name="which" value="below"> <span></span></label>
    <label><input type="radio" name="which" value="picked"> <span></span></label></div>
    <div><button type="button" class="nulie-first" data-do="enhance">Enhance these</button>
    <button type="button" data-do="csv">CSV</button>
    <button type="button" data-do="paths">List of paths</button>
    <button type="button" data-do="mark">XMP sidecars</button>
    <label>Stars from <input type="text" name="stars" value="5,5.5,6,6.5,7"
    title="The least scores of 1 to 5 stars; empty: no stars"></label></div>
    <p class="nulie-error" role="alert" hidden></p></div>`;
  const $ = (what) => place.querySelector(what);
  const field = (name) => $(`[name=${name}]`);
  const shelf = $('.nulie-shelf'), list = $('[role=listbox]'), alarm = $('[role=alert]');
  const line = field('line');
  const picked = new Set(), opened = new Set(), pages = new Map(), tiles = new Map();
  let key = '', version = '', busy = false, at = 0; // `at`: the place that Tab goes to
  let known = {total: 0, above: 0, failed: 0, range: null, folds: false};
  let round = 0, failed = -1; // answers of earlier rounds count for nothing

  const view = () => ({
    name: field('name').value, least: field('least').value, most: field('most').value,
    failed: field('failed').checked, folded: field('folded').checked, opened: [...opened],
    line: line.disabled || line.value === line.min ? null : Number(line.value),
  });
  const columns = () => Math.max(1, Math.floor(list.clientWidth / WIDE));
  const row = (place) => (pages.get(Math.floor(place / PAGE)) || [])[place % PAGE];
  const which = () => $('[type=radio]:checked').value;

  async function ask(what, more) {
    const token = document.getElementById('nulie_token');
    const answer = await fetch('LIBRARY' + token.dataset.token + '/' + what, {
      method: 'POST', body: JSON.stringify({...view(), ...more}),
    });
    if (!answer.ok) throw new Error(await answer.text());
    return answer;
  }
  function complain(error) {
    alarm.hidden = !error;
    alarm.textContent = error ? error.message : '';
  }

  // Rows come in pages. Two are under way at most: who scrolls far passes by many.
  const coming = new Set();
  async function load(page) {
    if (coming.has(page) || coming.size > 1 || failed === round) return;
    coming.add(page);
    const mine = round;
    try {
      const found = await (await ask('rows', {start: page * PAGE, count: PAGE})).json();
      if (mine !== round) return;
      pages.delete(page);
      pages.set(page, found.rows);
      while (pages.size > KEPT) pages.delete(pages.keys().next().value);
      take(found);
      complain();
    } catch (error) {
      if (mine !== round) return;
      failed = round; // until something else is asked for
      complain(error);
    } finally {
      if (mine === round) coming.delete(page);
      draw();
    }
  }
  function take(found) {
    known = found;
    const range = found.range;
    line.disabled = !range;
    if (range) {
      const low = Math.floor(range[0] * 100) / 100, high = Math.ceil(range[1] * 100) / 100;
      const first = line.value === line.min;
      Object.assign(line, {min: low, max: high, step: 0.01});
      if (first) line.value = low;
    }
    tell();
    draw();
  }
  function tell() {
    const total = known.total, low = line.disabled ? '' : Number(line.value).toFixed(2);
    $('output').textContent = low;
    const words = [`${known.above.toLocaleString()} at or above it`,
      `${(total - known.above).toLocaleString()} below it`, `${picked.size.toLocaleString()} picked`];
    place.querySelectorAll('[role=radiogroup] span').forEach((e, n) => { e.textContent = words[n]; });
    shelf.classList.toggle('nulie-some', total > 0);
    shelf.querySelector('p').hidden = total > 0;
    if (!total && key) shelf.querySelector('p').textContent = busy ? 'Looking.' : 'None of them.';
    place.querySelectorAll('[data-do]').forEach((e) => {
      const some = {picked: picked.size, above: known.above, below: total - known.above}[which()];
      const off = {score: busy, stop: !busy, csv: !some, paths: !some};
      e.disabled = e.dataset.do in off ? off[e.dataset.do] : busy || !some;
    });
  }

  // Another view, or other rows: what is there stays until the new rows are here.
  function anew() {
    round += 1;
    pages.clear();
    coming.clear();
    draw();
  }

  let due = 0;
  function draw() { due = due || requestAnimationFrame(() => { due = 0; lay(); }); }
  function lay() {
    if (!list.clientWidth || !key) return;
    const across = columns(), wide = Math.floor(list.clientWidth / across);
    list.style.height = Math.ceil(known.total / across) * HIGH + 'px';
    const top = Math.floor(shelf.scrollTop / HIGH), rows = Math.ceil(shelf.clientHeight / HIGH);
    const first = Math.max(0, top - 1) * across;
    const last = Math.max(first, Math.min(known.total, (top + rows + 2) * across));
    at = Math.max(0, Math.min(at, known.total - 1));
    const there = new Set(), least = view().line ?? -Infinity;
    let whole = true;
    for (let page = Math.floor(first / PAGE); page * PAGE < Math.max(last, 1); page++) {
      if (pages.has(page)) continue;
      whole = false;
      load(page);
    }
    for (let n = first; n < last; n++) {
      const what = row(n);
      if (!what) continue;
      there.add(what[0]);
      const box = {left: (n % across) * wide, top: Math.floor(n / across) * HIGH, width: wide};
      put(n, what, box, what[2] !== null && what[2] < least);
    }
    // Until its rows are here, what was there stays.
    for (const [number, tile] of whole ? [...tiles] : []) {
      if (there.has(number) || tile === document.activeElement) continue;
      tile.remove();
      tiles.delete(number);
    }
    look();
  }
  function put(n, [number, name, score, error, folded, within], box, under) {
    let tile = tiles.get(number);
    if (!tile) {
      tile = document.createElement('div');
      tile.setAttribute('role', 'option');
      tile.innerHTML = '<img alt=""><b></b><span></span>';
      tile.dataset.number = number;
      tiles.set(number, tile);
    }
    tile.className = 'nulie-tile' + (under ? ' nulie-under' : '') + (within ? ' nulie-within' : '');
    tile.dataset.at = n;
    tile.title = name + (folded ? ', Enter opens its near-duplicates' : '');
    tile.tabIndex = n === at ? 0 : -1;
    tile.setAttribute('aria-selected', String(picked.has(number)));
    tile.setAttribute('aria-posinset', n + 1);
    tile.setAttribute('aria-setsize', known.total);
    for (const side in box) tile.style[side] = box[side] + 'px';
    tile.style.height = HIGH + 'px';
    tile.children[1].textContent = score === null ? 'failed' : score.toFixed(2);
    tile.children[2].textContent = name;
    mark(tile, 'I', error);
    mark(tile, 'EM', folded ? `+${folded}` : '');
    if (tile.parentNode !== list) list.append(tile);
  }
  function mark(tile, tag, text) {
    let there = tile.querySelector(tag);
    if (!text) return there && there.remove();
    if (!there) there = tile.appendChild(document.createElement(tag));
    if (there.textContent !== text) there.textContent = text;
  }

  // Pictures are asked for once the grid stands still, and only of tiles that are in sight.
  let still = 0;
  function look() {
    clearTimeout(still);
    still = setTimeout(() => {
      const token = document.getElementById('nulie_token');
      const from = shelf.scrollTop - HIGH / 2, to = shelf.scrollTop + shelf.clientHeight + HIGH / 2;
      for (const [number, tile] of tiles) {
        const image = tile.firstChild, top = tile.offsetTop;
        if (top + HIGH < from || top > to || image.dataset.of === key) continue;
        if (tile.querySelector('i')) continue;
        image.dataset.of = key;
        image.onerror = () => image.removeAttribute('src');
        image.src = 'LIBRARY' + `${token.dataset.token}/${key}/${number}`;
      }
    }, 120);
  }
  shelf.addEventListener('scroll', () => { draw(); });
  new ResizeObserver(draw).observe(shelf);

  // What is picked, and opened.
  function pick(tile) {
    const number = Number(tile.dataset.number);
    if (!picked.delete(number)) picked.add(number);
    tell();
    draw();
  }
  function open(tile) {
    if (!tile.querySelector('em')) return;
    const number = Number(tile.dataset.number);
    if (!opened.delete(number)) opened.add(number);
    anew();
  }
  list.addEventListener('click', (event) => {
    const tile = event.target.closest('.nulie-tile');
    if (!tile) return;
    at = Number(tile.dataset.at);
    (event.target.matches('em') ? open : pick)(tile);
  });
  list.addEventListener('keydown', (event) => {
    const tile = event.target.closest('.nulie-tile');
    if (!tile || event.altKey || event.ctrlKey || event.metaKey) return;
    const across = columns(), far = across * Math.max(1, Math.floor(shelf.clientHeight / HIGH));
    const by = {ArrowRight: 1, ArrowLeft: -1, ArrowDown: across, ArrowUp: -across, PageDown: far,
      PageUp: -far, Home: -Infinity, End: Infinity}[event.key];
    if (event.key === ' ') pick(tile);
    else if (event.key === 'Enter') open(tile);
    else if (by) go(Number(tile.dataset.at) + by);
    else return;
    event.preventDefault();
  });
  async function go(to) {
    at = Math.max(0, Math.min(known.total - 1, to));
    const top = Math.floor(at / columns()) * HIGH;
    if (top < shelf.scrollTop) shelf.scrollTop = top;
    if (top + HIGH > shelf.scrollTop + shelf.clientHeight) shelf.scrollTop = top + HIGH - shelf.clientHeight;
    const aim = at;
    for (let wait = 0; wait < 40 && aim === at; wait++) { // until its row is here
      lay();
      const what = row(at), tile = what && tiles.get(what[0]);
      if (tile) return tile.focus({preventScroll: true});
      await new Promise((done) => setTimeout(done, 50));
    }
  }

  // Filters, the threshold, the buttons.
  let typing = 0;
  place.addEventListener('input', (event) => {
    const name = event.target.name;
    if (name === 'line') {
      tell();
      draw();
    }
    if (event.target.type === 'radio') return tell();
    if (!['line', 'name', 'least', 'most', 'failed', 'folded'].includes(name)) return;
    if (name === 'folded' && event.target.checked && key && !known.folds) return press('fold');
    clearTimeout(typing);
    typing = setTimeout(() => {
      if (!key) return;
      if (name !== 'line') shelf.scrollTop = 0;
      anew();
    }, name === 'line' ? 100 : 250);
  });
  function press(what) {
    window.nulieAsked = JSON.stringify({
      do: what, ...view(), which: which(), picked: [...picked], stars: field('stars').value,
      folder: folder ? field('folder').value : '',
    });
    document.getElementById('nulie_library_go').click();
  }
  place.addEventListener('click', async (event) => {
    const button = event.target.closest('[data-do]');
    const what = button && button.dataset.do;
    if (!what) return;
    complain();
    try {
      if (what === 'stop') return void (await ask('stop'));
      // Beside uploads there is no place for sidecars.
      const table = what === 'mark' && known.uploads ? 'sidecars' : what;
      const file = {csv: 'library.csv', paths: 'library.txt', sidecars: 'sidecars.zip'}[table];
      if (!file) return press(what);
      const chosen = {which: which(), picked: [...picked], stars: field('stars').value};
      const answer = await ask(table, chosen);
      const link = document.createElement('a');
      const {URL} = window; // in a handler of the markup it is the document's
      link.href = URL.createObjectURL(await answer.blob());
      link.download = file;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    } catch (error) {
      complain(error);
    }
  });

  // The server says below the state of the tab when there is something new.
  let asked = 0, later = 0;
  function news() {
    const told = document.querySelector('#nulie_library_status #nulie_shelf');
    if (!told) return;
    if (told.dataset.key !== key) {
      key = told.dataset.key;
      version = '';
      [picked, opened, tiles].forEach((all) => all.clear());
      list.replaceChildren();
      shelf.scrollTop = at = 0;
      known = {...known, total: 0, above: 0, folds: false};
      if (field('folded').checked) field('folded').checked = false;
      line.value = line.min;
    }
    const now = told.dataset.busy === '1';
    if (now !== busy) {
      busy = now;
      tell();
    }
    if (told.dataset.version === version) return;
    // Rows come one by one, and an answer that is on its way is waited for.
    const wait = Math.max(asked + 700 - Date.now(), coming.size ? 200 : 0);
    if (wait > 0 && busy) {
      later = later || setTimeout(() => { later = 0; news(); }, wait);
      return;
    }
    version = told.dataset.version;
    asked = Date.now();
    anew();
  }
  new MutationObserver(news).observe(document.getElementById('nulie_library_status'), {
    subtree: true, childList: true, attributes: true,
  });
  tell();
  news();
})();
