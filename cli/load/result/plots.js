// Small plots as inline SVG: lines, stacked bars, legends, marks and a reading under the pointer. No dependency, no
// request. Pages bring the colours as CSS variables: --plot-ink, --plot-grid, --plot-1 .. --plot-6.
//
//   AtollPlots.lines(element, {title, xLabel, yLabel, series: [{name, points: [[x, y], ...]}], ...});
//   AtollPlots.stacks(element, {title, xLabel, yLabel, width, series: [{name, points: [[x, y], ...]}], ...});
//
// y null breaks a line. Options: xLog, yMax, color of a series (1 to 6), marks: [{x, label}] as vertical lines, bounds:
// [{y, label}] as horizontal ones. `width` is a bar's width in units of x. Calling it again on the element redraws.
const AtollPlots = (() => {
  const W = 560, H = 230, LEFT = 56, RIGHT = 12, TOP = 12, BOTTOM = 34;

  function svg(parent, name, attributes, text) {
    const node = document.createElementNS('http://www.w3.org/2000/svg', name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    if (text !== undefined) node.textContent = text;
    parent.appendChild(node);
    return node;
  }

  function html(parent, name, className, text) {
    const node = document.createElement(name);
    if (className) node.className = className;
    if (text !== undefined) node.textContent = text;
    parent.appendChild(node);
    return node;
  }

  const color = (series, i) => `var(--plot-${series.color || i % 6 + 1})`;

  function number(value) {
    if (value === null || value === undefined) return '–';
    const size = Math.abs(value);
    if (size >= 1e9) return +(value / 1e9).toPrecision(3) + 'G';
    if (size >= 1e6) return +(value / 1e6).toPrecision(3) + 'M';
    if (size >= 1e4) return +(value / 1e3).toPrecision(3) + 'k';
    return String(+value.toPrecision(3));
  }

  // About n round numbers that cover [low, high].
  function ticks(low, high, n) {
    const rough = (high - low) / n, power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough) || power * 10;
    const list = [];
    for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-6; ++k) list.push(k * step);
    return list;
  }

  function logTicks(low, high) {
    const list = [];
    for (let k = Math.floor(Math.log10(low)); k <= Math.ceil(Math.log10(high)); ++k)
      for (const m of high / low > 1000 ? [1] : [1, 2, 5]) if (m * 10 ** k >= low * 0.999 && m * 10 ** k <= high * 1.001) list.push(m * 10 ** k);
    return list;
  }

  // The scales of a plot; x and y turn values into pixels.
  function frame(options, points, yTop) {
    const xs = points.map((p) => p[0]).concat((options.marks || []).map((m) => m.x)).filter((x) => !options.xLog || x > 0);
    let low = Math.min(...xs), high = Math.max(...xs);
    if (options.width) high += options.width;
    if (!(high > low)) { low = options.xLog ? low / 2 || 0.5 : low - 0.5; high = options.xLog ? high * 2 || 2 : low + 1; }
    const t = (x) => options.xLog ? Math.log10(Math.max(x, low)) : x;
    const top = options.yMax || Math.max(yTop, ...(options.bounds || []).map((b) => b.y * 1.05), 1e-9);
    return {
      xTicks: options.xLog ? logTicks(low, high) : ticks(low, high, 8), yTicks: ticks(0, top, 5), low, high,
      x: (x) => LEFT + (t(x) - t(low)) / (t(high) - t(low)) * (W - LEFT - RIGHT),
      y: (y) => H - BOTTOM - Math.min(y, top) / top * (H - TOP - BOTTOM),
      value: (pixel) => { const u = t(low) + (pixel - LEFT) / (W - LEFT - RIGHT) * (t(high) - t(low)); return options.xLog ? 10 ** u : u; },
    };
  }

  function axes(root, f, options) {
    for (const y of f.yTicks) {
      svg(root, 'line', {x1: LEFT, x2: W - RIGHT, y1: f.y(y), y2: f.y(y), stroke: 'var(--plot-grid)'});
      svg(root, 'text', {x: LEFT - 6, y: f.y(y) + 3.5, 'text-anchor': 'end', fill: 'var(--plot-ink)'}, number(y));
    }
    for (const x of f.xTicks) {
      svg(root, 'line', {x1: f.x(x), x2: f.x(x), y1: H - BOTTOM, y2: H - BOTTOM + 4, stroke: 'var(--plot-ink)'});
      svg(root, 'text', {x: f.x(x), y: H - BOTTOM + 15, 'text-anchor': 'middle', fill: 'var(--plot-ink)'}, number(x));
    }
    svg(root, 'line', {x1: LEFT, x2: W - RIGHT, y1: H - BOTTOM, y2: H - BOTTOM, stroke: 'var(--plot-ink)'});
    svg(root, 'text', {x: (LEFT + W - RIGHT) / 2, y: H - 4, 'text-anchor': 'middle', fill: 'var(--plot-ink)'}, options.xLabel || '');
    for (const mark of options.marks || []) {
      svg(root, 'line', {x1: f.x(mark.x), x2: f.x(mark.x), y1: TOP, y2: H - BOTTOM, stroke: 'var(--plot-ink)', 'stroke-dasharray': '4 3'});
      svg(root, 'text', {x: f.x(mark.x) + 3, y: TOP + 9, fill: 'var(--plot-ink)'}, mark.label);
    }
    for (const bound of options.bounds || []) {
      svg(root, 'line', {x1: LEFT, x2: W - RIGHT, y1: f.y(bound.y), y2: f.y(bound.y), stroke: 'var(--plot-ink)', 'stroke-dasharray': '2 3'});
      svg(root, 'text', {x: W - RIGHT - 3, y: f.y(bound.y) - 4, 'text-anchor': 'end', fill: 'var(--plot-ink)'}, bound.label);
    }
  }

  function drawLine(root, f, points, stroke) {
    let path = '', open = false;
    for (const [x, y] of points) {
      if (y === null) { open = false; continue; }
      path += `${open ? 'L' : 'M'}${f.x(x).toFixed(1)} ${f.y(y).toFixed(1)}`;
      if (!open && points.filter((p) => p[1] !== null).length === 1) path += 'h1';
      open = true;
    }
    svg(root, 'path', {d: path, fill: 'none', stroke, 'stroke-width': 1.8, 'stroke-linejoin': 'round', 'stroke-linecap': 'round'});
  }

  function drawStacks(root, f, options) {
    const heights = new Map();
    options.series.forEach((series, i) => {
      for (const [x, y] of series.points) {
        if (!y) continue;
        const below = heights.get(x) || 0;
        heights.set(x, below + y);
        const left = f.x(x), right = f.x(x + options.width);
        svg(root, 'rect', {x: left, width: Math.max(right - left - 0.6, 0.6), y: f.y(below + y), height: Math.max(f.y(below) - f.y(below + y), 0.4), fill: color(series, i)});
      }
    });
  }

  // A vertical line under the pointer, and what the series are there.
  function reading(root, element, f, options) {
    const line = svg(root, 'line', {y1: TOP, y2: H - BOTTOM, stroke: 'var(--plot-ink)', opacity: 0});
    const out = html(element, 'div', 'plot-reading', '\u00a0');
    const nearest = (points, x) => points.reduce((best, p) => Math.abs(f.x(p[0]) - f.x(x)) < Math.abs(f.x(best[0]) - f.x(x)) ? p : best, points[0]);
    root.addEventListener('pointermove', (event) => {
      const box = root.getBoundingClientRect(), pixel = (event.clientX - box.left) / box.width * W;
      if (pixel < LEFT || pixel > W - RIGHT) return;
      const x = f.value(pixel);
      line.setAttribute('x1', pixel); line.setAttribute('x2', pixel); line.setAttribute('opacity', 0.6);
      out.textContent = `${options.xLabel || 'x'} ${number(x)}: ` + options.series.filter((s) => s.points.length).map((s) => `${s.name} ${number(nearest(s.points, x)[1])}`).join(', ');
    });
    root.addEventListener('pointerleave', () => { line.setAttribute('opacity', 0); out.textContent = '\u00a0'; });
  }

  function draw(element, options, yTop, body) {
    element.textContent = '';
    element.classList.add('plot');
    html(element, 'div', 'plot-title', options.title + (options.yLabel ? ` (${options.yLabel})` : ''));
    const points = options.series.flatMap((s) => s.points);
    if (!points.length) { html(element, 'div', 'plot-reading', 'nothing to show'); return; }
    const root = svg(element, 'svg', {viewBox: `0 0 ${W} ${H}`, role: 'img', 'aria-label': options.title, 'font-size': 10.5});
    const f = frame(options, points, yTop);
    axes(root, f, options);
    body(root, f);
    const legend = html(element, 'div', 'plot-legend');
    options.series.forEach((series, i) => {
      const entry = html(legend, 'span', '');
      html(entry, 'i', '').style.background = color(series, i);
      entry.appendChild(document.createTextNode(series.name));
    });
    reading(root, element, f, options);
  }

  function lines(element, options) {
    const top = Math.max(0, ...options.series.flatMap((s) => s.points.map((p) => p[1] || 0)));
    draw(element, options, top * 1.05, (root, f) => options.series.forEach((s, i) => drawLine(root, f, s.points, color(s, i))));
  }

  function stacks(element, options) {
    const sums = new Map();
    for (const s of options.series) for (const [x, y] of s.points) sums.set(x, (sums.get(x) || 0) + y);
    draw(element, options, Math.max(0, ...sums.values()) * 1.05, (root, f) => drawStacks(root, f, options));
  }

  return {lines, stacks, number};
})();
