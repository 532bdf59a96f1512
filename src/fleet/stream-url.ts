/** What may be shown of a URL: its query may hold a secret. */
export function withoutQuery(url: string | URL): string {
  const { origin, pathname } = new URL(url);
  return origin + pathname;
}

/** What an error may quote of a URL and nobody else must know: its query, and the values in it that are nowhere else in it. */
export function secretsIn(url: string | URL): readonly string[] {
  const { search, searchParams } = new URL(url);
  // A value that is also in what is shown is none, and to look for it would cut that up.
  const values = [...searchParams.values()].filter((value) => !withoutQuery(url).includes(value));
  return [search.slice(1), ...values];
}

/** The name of a source, which may be a URL, as it may be shown. */
export const publicName = (source: string): string => source.replace(/[?#].*$/s, '');
