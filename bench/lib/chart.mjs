const WIDTH = 760;
const LABEL = 270;
const ROW = 26;
const escape = (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');

/** Horizontal bars as SVG. Bars are logarithmic where the values span more than a hundredfold, and the title says so. */
export function bars(title, rows, show) {
  const values = rows.map(({ value }) => value);
  const least = Math.min(...values);
  const most = Math.max(...values);
  const logarithmic = most / least > 100;
  const share = (value) =>
    logarithmic ? (1 + Math.log10(value / least)) / (1 + Math.log10(most / least)) : value / most;
  const height = 44 + rows.length * ROW;
  const lines = rows.map(({ name, value }, i) => {
    const y = 38 + i * ROW;
    const width = Math.max(2, share(value) * (WIDTH - LABEL - 110));
    const colour = name.startsWith('keyverify') ? '#0b6e4f' : '#9aa5b1';
    return `<text x="${LABEL - 8}" y="${y + 14}" text-anchor="end">${escape(name)}</text>
<rect x="${LABEL}" y="${y}" width="${width.toFixed(1)}" height="18" rx="2" fill="${colour}"/>
<text x="${(LABEL + width + 6).toFixed(1)}" y="${y + 14}">${escape(show(value))}</text>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" font-family="system-ui, sans-serif" font-size="13">
<rect width="100%" height="100%" fill="#fff"/>
<text x="8" y="22" font-weight="600">${escape(title)}${logarithmic ? ' (logarithmic)' : ''}</text>
${lines.join('\n')}
</svg>
`;
}
