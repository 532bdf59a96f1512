import type { Curve } from './simulation.js';

const WIDTH = 720;
const HEIGHT = 280;
const LEFT = 52;
const TOP = 34;
const BOTTOM = 40;

/** The two curves over one another, the outage in grey. */
export function draw(jittered: Curve, plain: Curve): string {
  const seconds = jittered.perSecond.length;
  const highest = Math.max(...jittered.perSecond, ...plain.perSecond);
  const x = (second: number): number => LEFT + (second / seconds) * (WIDTH - LEFT - 12);
  const y = (load: number): number => HEIGHT - BOTTOM - (load / highest) * (HEIGHT - TOP - BOTTOM);
  const line = (curve: Curve, colour: string): string => {
    const points = curve.perSecond.map((load, second) => `${x(second).toFixed(1)},${y(load).toFixed(1)}`);
    return `<polyline fill="none" stroke="${colour}" stroke-width="1.5" points="${points.join(' ')}"/>`;
  };
  const { outageFrom, outageTo, steady } = jittered;
  const label = (at: number, text: string): string =>
    `<text x="${LEFT - 6}" y="${y(at) + 4}" text-anchor="end">${text}</text>`;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12" fill="#444">
<title>Requests a second to the key server around an outage, with and without jitter</title>
<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>
<rect x="${x(outageFrom)}" y="${TOP}" width="${x(outageTo) - x(outageFrom)}" height="${HEIGHT - TOP - BOTTOM}" fill="#eee"/>
<line x1="${LEFT}" x2="${WIDTH - 12}" y1="${y(2 * steady)}" y2="${y(2 * steady)}" stroke="#999" stroke-dasharray="4 4"/>
${line(plain, '#d33')}
${line(jittered, '#06c')}
${label(0, '0')}${label(2 * steady, '2×')}${label(highest, String(highest))}
<text x="${x(outageFrom) + 4}" y="${TOP + 14}">outage</text>
<text x="${LEFT}" y="${HEIGHT - 12}">seconds, ${seconds} in all; requests a second upwards; dashed: twice the steady load</text>
<text x="${LEFT}" y="20" fill="#06c">with jitter</text><text x="${LEFT + 80}" y="20" fill="#d33">without jitter</text>
</svg>
`;
}
