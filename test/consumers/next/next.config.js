import { fileURLToPath } from 'node:url';

export default {
  // The app lies beside node_modules, not above it.
  turbopack: { root: fileURLToPath(new URL('../..', import.meta.url)) },
};
