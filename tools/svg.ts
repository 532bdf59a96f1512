/** The charts of the generated pages, as SVG. */
const OURS = '#0b6e4f';
const OTHERS = '#9aa5b1';
const WIDTH = 760;

const escape = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');

function chart(height: number, title: string, body: readonly string[]): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" font-family="system-ui, sans-serif" font-size="13">
<rect width="100%" height="100%" fill="#fff"/>
<text x="8" y="22" font-weight="600">${escape(title)}</text>
${body.join('\n')}
</svg>
`;
}

export interface Bar {
  readonly name: string;
  readonly value: number;
}

/** Horizontal bars, `show` giving the text of a value. Logarithmic, and labelled so, if the values span more than 100 : 1. */
export function bars(title: string, rows: readonly Bar[], show: (value: number) => string): string {
  const [left, row] = [270, 26];
  const values = rows.map(({ value }) => value);
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const logarithmic = most / least > 100;
  const share = (value: number): number =>
    logarithmic ? (1 + Math.log10(value / least)) / (1 + Math.log10(most / least)) : value / most;
  const body = rows.map(({ name, value }, i) => {
    const y = 38 + i * row;
    const width = Math.max(2, share(value) * (WIDTH - left - 110));
    const colour = name.startsWith('keyverify') ? OURS : OTHERS;
    return `<text x="${left - 8}" y="${y + 14}" text-anchor="end">${escape(name)}</text>
<rect x="${left}" y="${y}" width="${width.toFixed(1)}" height="18" rx="2" fill="${colour}"/>
<text x="${(left + width + 6).toFixed(1)}" y="${y + 14}">${escape(show(value))}</text>`;
  });
  return chart(44 + rows.length * row, title + (logarithmic ? ' (logarithmic)' : ''), body);
}

export interface Curve {
  readonly name: string;
  readonly values: readonly number[];
}

/** Curves over the same seconds, ours first; `shaded` is a span of seconds, `reference` a dashed line with its label. */
export function lines(
  title: string,
  [ours, ...others]: readonly [Curve, ...Curve[]],
  shaded: { readonly name: string; readonly from: number; readonly to: number },
  reference: Bar,
): string {
  const [height, left, right, top, bottom] = [290, 62, 12, 60, 40];
  const curves = [...others.map((curve) => ({ ...curve, colour: '#d33' })), { ...ours, colour: OURS }];
  const highest = Math.max(...curves.flatMap(({ values }) => values));
  const x = (second: number): number => left + (second / ours.values.length) * (WIDTH - left - right);
  const y = (value: number): number => height - bottom - (value / highest) * (height - top - bottom);
  const label = (value: number, text: string): string =>
    `<text x="${left - 6}" y="${(y(value) + 4).toFixed(1)}" text-anchor="end">${escape(text)}</text>`;
  const [from, to] = [x(shaded.from), x(shaded.to)];
  return chart(height, title, [
    `<rect x="${from.toFixed(1)}" y="${top}" width="${(to - from).toFixed(1)}" height="${height - top - bottom}" fill="#eee"/>`,
    `<text x="${(from + 4).toFixed(1)}" y="${top + 14}">${escape(shaded.name)}</text>`,
    `<path d="M${left} ${y(reference.value).toFixed(1)}H${WIDTH - right}" stroke="${OTHERS}" stroke-dasharray="4 4"/>`,
    ...curves.map(({ values, colour }) => {
      const points = values.map((value, second) => `${x(second).toFixed(1)},${y(value).toFixed(1)}`);
      return `<polyline fill="none" stroke="${colour}" stroke-width="1.5" points="${points.join(' ')}"/>`;
    }),
    ...curves.map(
      ({ name, colour }, i) => `<text x="${left + i * 140}" y="44" fill="${colour}">${escape(name)}</text>`,
    ),
    label(0, '0') + label(reference.value, reference.name) + label(highest, String(highest)),
    `<text x="${left}" y="${height - 12}">${ours.values.length} seconds</text>`,
  ]);
}
