import { TOKEN } from './keys.mjs';

/** The shortest client of a key server: what one writes where a package wants a function that checks a key. */
export async function ask(verifyUrl, key, signal) {
  const response = await fetch(verifyUrl, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-service-token': TOKEN },
    body: JSON.stringify({ key }),
    signal,
  });
  if (!response.ok) throw new Error(`the key server answered ${response.status}`);
  return await response.json();
}
