// A grid of cells on a canvas with a cursor that pointer and arrow keys move, and a line that reads the cell under it.

import {make, onThemeChange, onWidthChange, say} from './dom.js';
import {heatColor} from './heat_colors.js';

const kCellMax = 26, kHeightMax = 460;

export class HeatMap {
  #canvas; #reading; #options;
  #rows = [];   // [{label, values: [columns] of ratios or null}]
  #columns = 0;
  #cursor = null;  // {row, column}
  #labels = 92; #w = 1; #h = 1;  // widths of the labels and a cell, its height
  #chosen = -1;

  // options: label; read(row, column) -> text; onPick(row), where rows can be chosen; cellHeight.
  constructor(element, options) {
    this.#options = options;
    this.#canvas = make('canvas', {class: 'heat', tabindex: 0, role: 'application', 'aria-label': `${options.label}. Arrow keys read its cells.`});
    this.#reading = make('div', {class: 'plot-reading', 'aria-live': 'polite'}, '\u00a0');
    element.append(this.#canvas, this.#reading);
    this.#canvas.addEventListener('pointermove', (event) => this.#move(this.#cellAt(event)));
    this.#canvas.addEventListener('pointerleave', () => { if (document.activeElement !== this.#canvas) this.#move(null); });
    this.#canvas.addEventListener('click', (event) => { const cell = this.#cellAt(event); this.#move(cell); if (cell) this.#options.onPick?.(cell.row); });
    this.#canvas.addEventListener('keydown', (event) => this.#key(event));
    this.#canvas.addEventListener('focus', () => { if (!this.#cursor && this.#rows.length) this.#move({row: Math.max(0, this.#chosen), column: 0}); });
    this.#canvas.addEventListener('blur', () => this.#move(null));
    onWidthChange(element, () => this.#draw());
    onThemeChange(() => requestAnimationFrame(() => this.#draw()));
  }

  show(rows, chosen = -1) {
    this.#rows = rows;
    this.#columns = rows[0]?.values.length || 0;
    this.#chosen = chosen;
    if (this.#cursor && (this.#cursor.row >= rows.length || this.#cursor.column >= this.#columns)) this.#cursor = null;
    this.#draw();
    this.#read();
  }

  #cellAt(event) {
    const box = this.#canvas.getBoundingClientRect();
    const column = Math.floor((event.clientX - box.left - this.#labels) / this.#w);
    const row = Math.floor((event.clientY - box.top) / this.#h);
    return row >= 0 && row < this.#rows.length && column >= 0 && column < this.#columns ? {row, column} : null;
  }

  #key(event) {
    const by = {ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1], Home: [0, -1e9], End: [0, 1e9]}[event.key];
    if (event.key === 'Enter' && this.#cursor) this.#options.onPick?.(this.#cursor.row);
    if (!by || !this.#rows.length) return;
    event.preventDefault();
    const clamp = (value, count) => Math.max(0, Math.min(count - 1, value));
    const at = this.#cursor || {row: 0, column: 0};
    this.#move({row: clamp(at.row + by[0], this.#rows.length), column: clamp(at.column + by[1], this.#columns)});
  }

  #move(cell) {
    if (cell?.row === this.#cursor?.row && cell?.column === this.#cursor?.column) return;
    this.#cursor = cell;
    this.#draw();
    this.#read();
  }

  #read() {
    say(this.#reading, this.#cursor ? this.#options.read(this.#cursor.row, this.#cursor.column) : '\u00a0');
  }

  #labelWidth() {
    const context = this.#canvas.getContext('2d');
    context.font = this.#font();
    return Math.max(0, ...this.#rows.map(({label}) => context.measureText(label).width));
  }

  #font() { return `11px ${getComputedStyle(this.#canvas).fontFamily}`; }

  // What fits the width; then as high as wide, within reason.
  #fit() {
    const width = this.#canvas.parentElement.clientWidth;
    this.#labels = Math.min(width / 4, 10 + this.#labelWidth());
    this.#w = Math.max(0.5, (width - this.#labels) / Math.max(1, this.#columns));
    this.#h = Math.max(this.#options.cellHeightMin || 7, Math.min(kCellMax, this.#w, kHeightMax / Math.max(1, this.#rows.length)));
    return width;
  }

  #draw() {
    const width = this.#fit(), height = Math.max(1, this.#h * this.#rows.length), scale = devicePixelRatio || 1;
    if (width === 0) return;
    this.#canvas.style.width = `${width}px`;
    this.#canvas.style.height = `${height}px`;
    this.#canvas.width = Math.round(width * scale);
    this.#canvas.height = Math.round(height * scale);
    const context = this.#canvas.getContext('2d');
    context.scale(scale, scale);
    this.#drawCells(context);
    this.#drawLabels(context);
    this.#drawMarks(context, width);
  }

  // A gap between cells where there is room for one.
  #drawCells(context) {
    const w = this.#w, h = this.#h, gap = w > 6 && h > 6 ? 1 : 0;
    this.#rows.forEach(({values}, row) => {
      for (let column = 0; column < values.length; ++column) {
        if (values[column] === null) continue;
        context.fillStyle = heatColor(values[column]);
        const left = this.#labels + column * w;
        context.fillRect(gap ? left : Math.floor(left), row * h, gap ? w - gap : Math.ceil(w), h - (h > 5 ? 1 : 0));
      }
    });
  }

  #drawLabels(context) {
    const h = this.#h, style = getComputedStyle(this.#canvas), every = Math.max(1, Math.ceil(12 / h));
    context.textBaseline = 'middle';
    context.font = this.#font();
    this.#rows.forEach(({label}, row) => {
      if (row % every && row !== this.#chosen) return;
      context.fillStyle = row === this.#chosen ? style.getPropertyValue('--ink') : style.getPropertyValue('--soft');
      context.fillText(label, 0, Math.max(6, row * h + h / 2), this.#labels - 8);
    });
  }

  #drawMarks(context, width) {
    const w = this.#w, h = this.#h;
    context.strokeStyle = getComputedStyle(this.#canvas).getPropertyValue('--ink');
    context.lineWidth = 1.5;
    if (this.#chosen >= 0) context.strokeRect(this.#labels - 1, this.#chosen * h, width - this.#labels, h - 0.5);
    if (this.#cursor) context.strokeRect(this.#labels + this.#cursor.column * w - 1, this.#cursor.row * h - 1, w + 1, h + 1);
  }
}
