// What a curve has besides its line, drawn on the canvas of uPlot as the picture has it: levels, single and doubtful
// points, readings by people. `look(selector, property)` says how the picture draws a thing.

/** Levels with their digits beside the field, and under them the named ones that nobody judges by. */
export function drawLevels(plot, { levels, named }, look, family) {
  const { ctx, bbox } = plot;
  const unit = devicePixelRatio;
  let lowest = -Infinity; // of the digits so far: two thresholds may lie nearer than two digits can
  ctx.save();
  // First what nobody judges by.
  const heights = [...levels, ...named].map(([, value]) => plot.valToPos(value, 'y', true));
  for (const [name, value] of named) {
    const y = plot.valToPos(value, 'y', true);
    ctx.strokeStyle = look('.reference-mark', 'stroke');
    ctx.lineWidth = 1.5 * unit;
    ctx.setLineDash([2 * unit, 4 * unit]);
    ctx.beginPath();
    ctx.moveTo(bbox.left, y);
    ctx.lineTo(bbox.left + bbox.width, y);
    ctx.stroke();
    // Where no other line goes through its name: the key below the picture has them all.
    const foot = [y - 3 * unit, y + 12 * unit].find((each) => each > bbox.top + 12 * unit
      && !heights.some((line) => line > each - 12 * unit && line < each + 2 * unit && line !== y));
    if (foot === undefined) continue;
    ctx.fillStyle = look('.mark-name', 'fill');
    ctx.font = `400 ${11 * unit}px ${family}`;
    ctx.textAlign = 'left';
    ctx.textBaseline = 'alphabetic';
    ctx.fillText(name, bbox.left + 4 * unit, foot);
  }
  for (const [level, value] of [...levels].sort((a, b) => b[1] - a[1])) {
    const y = plot.valToPos(value, 'y', true);
    ctx.strokeStyle = look(`.reference-${level}`, 'stroke');
    ctx.lineWidth = 2 * unit;
    ctx.setLineDash([7 * unit, 4 * unit]);
    ctx.beginPath();
    ctx.moveTo(bbox.left, y);
    ctx.lineTo(bbox.left + bbox.width, y);
    ctx.stroke();
    ctx.fillStyle = look('.reference-name', 'fill');
    ctx.font = `700 ${12 * unit}px ${family}`;
    ctx.textAlign = 'left';
    ctx.textBaseline = 'middle';
    lowest = Math.max(y, lowest + 12 * unit);
    ctx.fillText(String(level), bbox.left + bbox.width + 6 * unit, lowest);
  }
  ctx.restore();
}

/** Moments that stand alone between gaps, which a line cannot show, the doubtful ones, and the newest one. */
export function drawPoints(plot, { points, known, doubted }, look) {
  const { ctx, bbox } = plot;
  const last = known.at(-1);
  ctx.save();
  ctx.strokeStyle = look('.doubted', 'stroke');
  ctx.lineWidth = 2 * devicePixelRatio;
  for (const i of known) {
    const doubtful = doubted.has(points[i][0]);
    const alone = (points[i - 1]?.[1] ?? null) === null && (points[i + 1]?.[1] ?? null) === null;
    if (!alone && !doubtful && i !== last) continue;
    const [x, y] = [plot.valToPos(points[i][0], 'x', true), plot.valToPos(points[i][1], 'y', true)];
    if (x < bbox.left - 1 || x > bbox.left + bbox.width + 1) continue;
    ctx.beginPath();
    ctx.arc(x, y, (doubtful || i === last ? 4 : 2.5) * devicePixelRatio, 0, 2 * Math.PI);
    ctx.fillStyle = look(doubtful && i !== last ? '.doubted' : '.end', 'fill');
    ctx.fill();
    if (doubtful) ctx.stroke();
  }
  ctx.restore();
}

/** Readings by people, apart from the series: they have the table below to be read by. */
export function drawReported(plot, reported, look) {
  const { ctx, bbox } = plot;
  const size = 6 * devicePixelRatio;
  ctx.save();
  ctx.lineWidth = 2 * devicePixelRatio;
  ctx.strokeStyle = look('.reported', 'stroke');
  ctx.fillStyle = look('.reported', 'fill');
  for (const [time, value] of reported) {
    const [x, y] = [plot.valToPos(time, 'x', true), plot.valToPos(value, 'y', true)];
    if (x < bbox.left - 1 || x > bbox.left + bbox.width + 1) continue;
    ctx.beginPath();
    ctx.moveTo(x, y - size);
    for (const [dx, dy] of [[size, 0], [0, size], [-size, 0]]) ctx.lineTo(x + dx, y + dy);
    ctx.closePath();
    ctx.fill();
    ctx.stroke();
  }
  ctx.restore();
}
