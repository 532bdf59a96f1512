/** `npm run bench`: measures performance; `npm run bench adapters` and `npm run bench peers` compare behavior. */
const [name = 'performance'] = process.argv.splice(2, 1);
const benches = {
  performance: () => import('./performance.mjs'),
  adapters: () => import('./adapters/main.mjs'),
  peers: () => import('./peers/main.mjs'),
};
if (name in benches) await benches[name]();
else {
  console.error(`npm run bench [${Object.keys(benches).join(' | ')}]`);
  process.exitCode = 1;
}
