import { fileURLToPath } from 'node:url';

export default {
  // It runs from a folder beside the packages, not above them.
  turbopack: { root: fileURLToPath(new URL('../..', import.meta.url)) },
};
