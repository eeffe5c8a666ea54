/** Draws a `Chart` with uPlot: axes from zero, hatched spans, bands, steps, a threshold, the line of now. */
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { type Chart, highest, type Line, type Span, steps } from './chart';

export type Colours = Record<'accent' | 'forecast' | 'band' | 'text' | 'line' | 'bad' | 'unknown' | 'capacity' | 'area', string>;
type Drawn = { colours: Colours; small: boolean; time: (seconds: number, long: boolean) => string; onhover: (index: number | null) => void };

const FONT = '11px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif';

/** What uPlot's own values are: the times, then each line, with its band's edges after it. */
export function columns(chart: Chart): uPlot.AlignedData {
  const data: (number | null)[][] = [];
  for (const line of chart.lines) {
    data.push(line.values);
    if (line.low && line.high) data.push(line.low, line.high);
  }
  return [chart.times, ...data] as uPlot.AlignedData;
}

export function options(chart: Chart, width: number, height: number, drawn: Drawn): uPlot.Options {
  const { colours, small } = drawn;
  const top = steps(highest(chart), small ? 2 : 4, chart.seconds);
  const most = Math.max(top.at(-1) ?? 1, chart.most ?? 0);
  const spread = chart.lines.flatMap((line) => (line.low && line.high ? [line] : []));
  const series: uPlot.Series[] = [{}];
  const bands: uPlot.Band[] = [];
  for (const line of chart.lines) {
    series.push(style(line, colours));
    if (!spread.includes(line)) continue;
    const at = series.length;
    series.push({ show: true, stroke: 'transparent', points: { show: false } }, { show: true, stroke: 'transparent', points: { show: false } });
    bands.push({ series: [at + 1, at], fill: colours.band });
  }
  const from = chart.from ?? chart.times[0] ?? 0;
  const to = chart.to ?? chart.times.at(-1) ?? 1;
  return {
    width,
    height,
    // Room for the unit above the highest value, and for half of the last time.
    padding: [small ? 6 : chart.unit ? 22 : 14, 20, 0, 0],
    series,
    bands,
    legend: { show: false },
    cursor: { show: !small, y: false, drag: { x: false, y: false }, points: { show: !small, size: 6 } },
    scales: { x: { time: true, range: [from, Math.max(to, from + 1)] }, y: { range: [0, most] } },
    axes: [
      {
        stroke: colours.text,
        font: FONT,
        size: 20,
        gap: 4,
        grid: { show: false },
        ticks: { show: false },
        space: 90,
        // Three times need their own width; a narrow chart says where it begins and ends.
        ...(small ? { splits: (plot) => (plot.bbox.width < 120 * devicePixelRatio ? [from, to] : [from, (from + to) / 2, to]) } : {}),
        values: (_plot, splits) => splits.map((at) => drawn.time(at, to - from > 2 * 86_400)),
      },
      {
        stroke: colours.text,
        font: FONT,
        size: (_plot, values) => 12 + 6.2 * Math.max(2, ...(values ?? []).map((text) => text.length)),
        gap: 4,
        grid: { stroke: colours.line, width: 1 },
        ticks: { show: false },
        splits: () => top,
        // A threshold stands on the axis of a small chart; it is not to be written over.
        values: (_plot, splits) => splits.map((value) => (small && near(value, chart, most) ? '' : chart.format(value))),
      },
    ],
    hooks: {
      drawClear: [(plot) => spans(plot, chart, colours)],
      draw: [(plot) => over(plot, chart, colours, small)],
      setCursor: [(plot) => drawn.onhover(plot.cursor.idx ?? null)],
    },
  };
}

const near = (value: number, chart: Chart, most: number): boolean =>
  chart.threshold !== undefined && Math.abs(value - chart.threshold.value) < most * 0.16;

function style(line: Line, colours: Colours): uPlot.Series {
  const plain = { points: { show: false }, spanGaps: false };
  const stepped = uPlot.paths.stepped?.({ align: 1 });
  if (line.kind === 'capacity') {
    return { ...plain, stroke: colours.capacity, width: 1.5, fill: colours.area, ...(stepped ? { paths: stepped } : {}) };
  }
  if (line.kind === 'held') {
    return { ...plain, stroke: colours.accent, width: 1.6, fill: colours.area, ...(stepped ? { paths: stepped } : {}) };
  }
  if (line.kind === 'kept') return { ...plain, stroke: colours.capacity, width: 1.2, dash: [2, 3] };
  if (line.kind === 'forecast') return { ...plain, stroke: colours.forecast, width: 1.5, dash: [5, 4] };
  return { ...plain, stroke: colours.accent, width: 1.6 };
}

function spans(plot: uPlot, chart: Chart, colours: Colours): void {
  for (const span of chart.unknown ?? []) hatch(plot, span, colours.unknown);
  for (const span of chart.over ?? []) hatch(plot, span, colours.bad);
}

/** Lines at 45 degrees between two times, over the whole height. */
function hatch(plot: uPlot, [from, to]: Span, colour: string): void {
  const { ctx } = plot;
  const { left, top, width, height } = plot.bbox;
  const start = Math.max(left, plot.valToPos(from, 'x', true));
  const end = Math.min(left + width, Math.max(plot.valToPos(to, 'x', true), start + 1.5 * devicePixelRatio));
  if (end <= start) return;
  ctx.save();
  ctx.beginPath();
  ctx.rect(start, top, end - start, height);
  ctx.clip();
  ctx.strokeStyle = colour;
  ctx.globalAlpha = 0.55;
  ctx.lineWidth = devicePixelRatio;
  ctx.beginPath();
  const step = 6 * devicePixelRatio;
  // Aligned to the chart, not to the span, so that neighbouring spans do not shimmer.
  for (let at = left - height + Math.floor((start - left) / step) * step; at < end; at += step) {
    ctx.moveTo(at, top + height);
    ctx.lineTo(at + height, top);
  }
  ctx.stroke();
  ctx.restore();
}

function over(plot: uPlot, chart: Chart, colours: Colours, small: boolean): void {
  const { ctx } = plot;
  const { left, top, width } = plot.bbox;
  const unit = devicePixelRatio;
  ctx.save();
  ctx.fillStyle = colours.bad;
  for (const [from, to] of chart.over ?? []) {
    const start = Math.max(left, plot.valToPos(from, 'x', true));
    const end = Math.min(left + width, plot.valToPos(to, 'x', true));
    if (end >= start) ctx.fillRect(start, top, Math.max(end - start, 2 * unit), 4 * unit);
  }
  ctx.font = `650 ${11 * unit}px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif`;
  if (chart.threshold) {
    const y = plot.valToPos(chart.threshold.value, 'y', true);
    line(ctx, [left, y, left + width, y], colours.bad, 1.4 * unit, [2 * unit, 3 * unit]);
    ctx.textAlign = small ? 'right' : 'left';
    ctx.textBaseline = small ? 'middle' : 'bottom';
    ctx.fillText(chart.threshold.label, small ? left - 5 * unit : left + 4 * unit, small ? y : y - 3 * unit);
  }
  ctx.fillStyle = colours.text;
  if (chart.now !== undefined) upright(plot, chart.now, small ? '' : 'now', colours.text);
  for (const mark of chart.marks ?? []) upright(plot, mark.at, mark.label, colours.text);
  ctx.restore();
}

function upright(plot: uPlot, at: number, label: string, colour: string): void {
  const { left, top, width, height } = plot.bbox;
  const x = plot.valToPos(at, 'x', true);
  if (x < left || x > left + width) return;
  line(plot.ctx, [x, top, x, top + height], colour, devicePixelRatio, []);
  if (!label) return;
  const late = x > left + width * 0.7;
  plot.ctx.textAlign = late ? 'right' : 'left';
  plot.ctx.textBaseline = 'top';
  plot.ctx.fillText(label, x + (late ? -4 : 4) * devicePixelRatio, top - 12 * devicePixelRatio);
}

function line(ctx: CanvasRenderingContext2D, [x1, y1, x2, y2]: [number, number, number, number], colour: string, width: number, dash: number[]): void {
  ctx.save();
  ctx.strokeStyle = colour;
  ctx.lineWidth = width;
  ctx.setLineDash(dash);
  ctx.beginPath();
  ctx.moveTo(x1, y1);
  ctx.lineTo(x2, y2);
  ctx.stroke();
  ctx.restore();
}
