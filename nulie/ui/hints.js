// Points of the photo whose colour somebody knows. The page's events give their texts to the search.
(function () {
  const place = document.getElementById('nulie_hints');
  if (!place || place.firstChild) return;
  // Outlives this part of the page, which may be made anew.
  const kept = window.nuliePoints = window.nuliePoints || {points: [], photo: '', on: false, armed: false};
  const {points} = kept;
  place.innerHTML = `<p>Where you know a colour, place a point of it on the photo.</p><div>
    <label>Colour <input type="color" value="#b03a2e"></label>
    <button type="button" aria-pressed="false">Place by a click on the photo</button>
    <button type="button">Add one in the middle</button></div><ol aria-label="Points"></ol>`;
  const color = place.querySelector('input'), list = place.querySelector('ol');
  const [arm, add] = place.querySelectorAll('button');
  const frames = () => document.querySelectorAll('#nulie_view .nulie-frame');

  window.nulieHints = () => kept.on ? points.map(
    (p) => `${p.x.toFixed(4)}%,${p.y.toFixed(4)}%=${p.color}`).join(' ') : '';

  function put(x, y) {
    points.push({x, y, color: color.value});
    rows();
  }
  function rows() {
    list.replaceChildren(...points.map((point, at) => {
      const row = document.createElement('li'), name = `point ${at + 1}`;
      row.innerHTML = `${at + 1}: <label>% from the left <input type="number" min="0" max="100"
        step="0.1"></label> <label>from the top <input type="number" min="0" max="100" step="0.1"></label>
        <input type="color" aria-label="Colour of ${name}"><button type="button">Remove ${name}</button>`;
      const [x, y, shade] = row.querySelectorAll('input');
      x.value = point.x.toFixed(1);
      y.value = point.y.toFixed(1);
      shade.value = point.color;
      row.oninput = () => {
        const share = (e) => Math.min(100, Math.max(0, Number(e.value) || 0));
        Object.assign(point, {x: share(x), y: share(y), color: shade.value});
        draw();
      };
      row.querySelector('button').onclick = () => {
        points.splice(at, 1);
        rows();
        (list.querySelectorAll('button')[Math.min(at, points.length - 1)] || add).focus();
      };
      return row;
    }));
    draw();
  }

  function draw() {
    const html = points.map((p, at) => `<span style="left:${p.x}%;top:${p.y}%;background:${p.color}">` +
      `${at + 1}</span>`).join('');
    const armed = kept.on && kept.armed;
    if (arm.ariaPressed !== String(armed)) arm.ariaPressed = String(armed);
    frames().forEach((frame) => {
      let layer = frame.querySelector('.nulie-points');
      if (!layer && !kept.on) return;
      if (!layer) {
        layer = frame.appendChild(document.createElement('div'));
        layer.className = 'nulie-points';
        layer.onclick = (event) => {
          const box = layer.getBoundingClientRect();
          put(100 * (event.clientX - box.left) / box.width, 100 * (event.clientY - box.top) / box.height);
        };
      }
      if (layer.drawn !== html) layer.innerHTML = layer.drawn = html;
      layer.hidden = !kept.on;
      layer.classList.toggle('nulie-armed', armed);
    });
  }

  function look() {
    const box = document.querySelectorAll('#nulie_restored input[type=checkbox]')[COLORIZE];
    const token = document.getElementById('nulie_token');
    const photo = token ? token.dataset.photo : '';
    if (photo !== kept.photo) {
      kept.photo = photo;
      points.length = 0;
      rows();
    }
    if (box && box.checked !== kept.on) {
      kept.on = kept.armed = box.checked;
      place.hidden = !kept.on;
    }
    draw();
  }
  arm.onclick = () => {
    kept.armed = !kept.armed;
    draw();
  };
  add.onclick = () => put(50, 50);
  // What was found is looked at with the slider.
  window.addEventListener('click', (event) => {
    if (event.target.closest('#nulie_enhance')) kept.armed = false;
    setTimeout(look);
  });
  let due = 0;
  new MutationObserver(() => {
    due = due || setTimeout(() => { due = 0; look(); }, 60);
  }).observe(document.body, {subtree: true, childList: true, attributeFilter: ['data-photo']});
  place.hidden = !kept.on;
  rows();
  look();
})();
