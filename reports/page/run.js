'use strict';
const byId = id => document.getElementById(id);
const data = JSON.parse(byId('data').textContent);
// One array a sample: task, agent, number, verdict, reason (indices of words), turns, tokens, speedup.
data.samples = JSON.parse(byId('data-samples').textContent);
const PAGE = 200;
// Text goes into the page as text nodes only: nothing a candidate wrote is ever parsed as HTML.
function element(tag, text, className) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}
function verdictClass(verdict) {
  return ['correct', 'running', 'failed', 'harness_error'].includes(verdict) ? verdict : 'wrong';
}
const columns = [
  {name: 'task', value: row => data.tasks[row[0]]},
  {name: 'agent', value: row => data.labels[row[1]]},
  {name: 'sample', value: row => row[2], number: true},
  {name: 'verdict', value: row => data.verdicts[row[3]], verdict: true},
  {name: 'reason', value: row => data.reasons[row[4]]},
  {name: 'turns', value: row => row[5], number: true},
  {name: 'tokens', value: row => row[6], number: true},
  {name: 'speedup', value: row => row[7], number: true, show: row => row[7] ? row[7] + 'x' : '-'},
];
let order = data.samples.map((_, index) => index);
let shown = order;
let start = 0;
let sort = {column: -1, down: false};

function drawSummary() {
  const addLine = (cells, tag) => {
    const line = element('tr');
    for (const cell of cells) line.append(element(tag, cell));
    byId('summary').append(line);
  };
  addLine(data.table.head, 'th');
  for (const row of data.table.rows) addLine(row, 'td');
  for (const note of data.notes) byId('notes').append(element('li', note));
}

function drawSamples() {
  const table = byId('samples');
  const head = element('thead'), headLine = element('tr');
  columns.forEach((column, index) => {
    const th = element('th', column.name, column.number ? 'number' : '');
    th.dataset.column = index;
    if (sort.column === index) th.setAttribute('aria-sort', sort.down ? 'descending' : 'ascending');
    headLine.append(th);
  });
  head.append(headLine);
  const body = element('tbody');
  for (const index of shown.slice(start, start + PAGE)) {
    const row = data.samples[index];
    const tr = element('tr');
    tr.tabIndex = 0;
    tr.dataset.sample = index;
    for (const column of columns) {
      const value = column.value(row);
      const td = element('td', column.show ? column.show(row) : value, column.number ? 'number' : '');
      if (column.verdict) td.className = verdictClass(value);
      tr.append(td);
    }
    body.append(tr);
  }
  table.replaceChildren(head, body);
  byId('count').textContent = shown.length === 0 ? 'no samples' :
    `${start + 1} to ${Math.min(start + PAGE, shown.length)} of ${shown.length} samples`;
}

function resort(column) {
  sort = {column, down: sort.column === column && !sort.down};
  const value = columns[column].value, sign = sort.down ? -1 : 1;
  const compare = (a, b) => {
    const x = value(data.samples[a]), y = value(data.samples[b]);
    return sign * (x < y ? -1 : x > y ? 1 : 0) || a - b;
  };
  order.sort(compare);
  refilter();
}

function refilter() {
  const words = byId('filter').value.toLowerCase().split(/\s+/).filter(word => word);
  shown = words.length === 0 ? order : order.filter(index => {
    const row = data.samples[index];
    const text = [0, 1, 3, 4].map(i => columns[i].value(row)).join(' ').toLowerCase();
    return words.every(word => text.includes(word));
  });
  start = 0;
  drawSamples();
}

function showSample(index) {
  const row = data.samples[index], detail = data.details.samples[index];
  const section = byId('sample');
  section.replaceChildren(element('h2', `${data.tasks[row[0]]} / ${data.labels[row[1]]} / sample ${row[2]}`));
  const verdict = data.verdicts[row[3]];
  section.append(element('p', verdict + (data.reasons[row[4]] ? ` (${data.reasons[row[4]]})` : ''), verdictClass(verdict)));
  if (!detail) {
    section.append(element('p', 'Its code was left out of this page to keep it small; assay show prints it.', 'note'));
  } else {
    if (detail.e) section.append(element('p', detail.e));
    for (const [line, severity, message] of detail.d || [])
      section.append(element('p', `${line ? 'line ' + line + ': ' : ''}${severity}: ${message}`));
    if (detail.c) section.append(element('pre', data.details.codes[detail.c]));
  }
  section.hidden = false;
  section.scrollIntoView();
}

function drawCharts() {
  if (typeof Chart === 'undefined') {
    byId('note').textContent += ' Charts are missing: install libjs-chart.js and make the report again.';
    return;
  }
  Chart.defaults.animation = false;
  const counts = data.labels.map(() => data.verdicts.map(() => 0));
  for (const row of data.samples) counts[row[1]][row[3]]++;
  const colour = (i, n) => `hsl(${Math.round(360 * i / Math.max(1, n))} 60% 50%)`;
  window.scoresChart = new Chart(byId('scores'), {
    type: 'bar',
    data: {labels: data.labels, datasets: data.verdicts.map((verdict, i) => ({
      label: verdict, data: counts.map(row => row[i]),
      backgroundColor: verdict === 'correct' ? '#16803c' : colour(i, data.verdicts.length)}))},
    options: {scales: {x: {stacked: true}, y: {stacked: true}}},
  });
  // Speedups fall into bins of half an octave.
  const bins = data.samples.filter(row => row[7] > 0).map(row => Math.floor(2 * Math.log2(row[7])));
  // Nothing was timed: two empty charts would say less than none.
  for (const id of ['distribution', 'speeds']) byId(id).parentElement.hidden = bins.length === 0;
  const first = bins.reduce((a, b) => Math.min(a, b), 0), last = bins.reduce((a, b) => Math.max(a, b), 0);
  const inBins = data.labels.map(() => new Array(last - first + 1).fill(0));
  for (const row of data.samples)
    if (row[7] > 0) inBins[row[1]][Math.floor(2 * Math.log2(row[7])) - first]++;
  window.distributionChart = new Chart(byId('distribution'), {
    type: 'bar',
    data: {labels: inBins[0] ? inBins[0].map((_, i) => `${Number((2 ** ((first + i) / 2)).toPrecision(2))}x`) : [],
      datasets: data.labels.map((label, i) => ({
        label, data: inBins[i], backgroundColor: colour(i, data.labels.length)}))},
    options: {scales: {y: {title: {display: true, text: 'samples'}}}},
  });
  window.speedsChart = new Chart(byId('speeds'), {
    type: 'scatter',
    data: {datasets: data.labels.map((label, i) => ({
      label, backgroundColor: colour(i, data.labels.length),
      data: data.samples.filter(row => row[1] === i && row[7] > 0).slice(0, 5000).map(row => ({x: row[0], y: row[7]}))}))},
    options: {scales: {
      x: {min: -1, max: data.tasks.length, ticks: {display: false}},
      y: {type: 'logarithmic'}},
      plugins: {tooltip: {callbacks: {label: point => `${data.tasks[point.raw.x]}: ${point.raw.y}x`}}}},
  });
}

byId('title').textContent = document.title = data.title;
if (data.details.left_out)
  byId('note').textContent = `Code of ${data.details.left_out} samples was left out to keep this page small.`;
byId('samples').addEventListener('click', event => {
  const head = event.target.closest('th[data-column]'), line = event.target.closest('tr[data-sample]');
  if (head) resort(Number(head.dataset.column));
  else if (line) showSample(Number(line.dataset.sample));
});
byId('samples').addEventListener('keydown', event => {
  const line = event.target.closest('tr[data-sample]');
  if (line && event.key === 'Enter') showSample(Number(line.dataset.sample));
});
byId('filter').addEventListener('input', refilter);
byId('next').addEventListener('click', () => { if (start + PAGE < shown.length) { start += PAGE; drawSamples(); } });
byId('previous').addEventListener('click', () => { start = Math.max(0, start - PAGE); drawSamples(); });
drawSummary();
drawSamples();
drawCharts();
