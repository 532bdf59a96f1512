import { fileURLToPath } from 'node:url';

import { defineConfig } from 'vitest/config';

const source = (path: string): string => fileURLToPath(new URL(`src/${path}`, import.meta.url));

export default defineConfig({
  resolve: {
    alias: [
      { find: '#platform', replacement: source('platform/server.ts') },
      { find: '#transport', replacement: source('transport/runtime/node.ts') },
      { find: /^keyverify$/, replacement: source('index.ts') },
      { find: /^keyverify\/(guard|protocols|testing)$/, replacement: source('$1/index.ts') },
      { find: 'keyverify/otel', replacement: source('observe/otel.ts') },
      { find: /^keyverify\/(fleet|redis|sse)$/, replacement: source('backends/$1.ts') },
      { find: /^keyverify\/([\w.]+)$/, replacement: source('adapters/$1.ts') },
    ],
  },
  test: {
    include: ['test/**/*.test.ts'],
    // Long, because tests assert no times and machines may be busy. It only bounds a hang.
    testTimeout: 30_000,
    // Concurrent tests share one event loop, and those of test/attacks have bounds of real time.
    maxConcurrency: 2,
    hookTimeout: 30_000,
    typecheck: { enabled: true, include: ['test/**/*.test-d.ts'], tsconfig: 'tsconfig.node.json' },
    coverage: {
      provider: 'v8',
      include: ['src/**/*.ts'],
      reporter: ['text-summary', 'text'],
      reportOnFailure: true,
      thresholds: { lines: 100, branches: 100, functions: 100, statements: 100 },
    },
  },
});
