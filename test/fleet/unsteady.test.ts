import { describe, expect, onTestFinished, test } from 'vitest';

import { KeyVerifier, type RevocationSource } from 'keyverify';
import { redisRevocations, type SendCommand } from 'keyverify/redis';
import { sseRevocations } from 'keyverify/sse';
import { testClock } from 'keyverify/testing';

import { serve } from '../helpers/http.js';
import { connectClient, startRedis, withoutRedis } from '../helpers/redis.js';
import { TOKEN, breathe, settle } from '../helpers/rig.js';

/** A verifier that follows a stream, and what it logs. */
async function follower(revocations: RevocationSource, verifyUrl = 'http://127.0.0.1:1/verify') {
  const clock = testClock();
  const lines: string[] = [];
  const verifier = new KeyVerifier({
    verifyUrl,
    serviceToken: TOKEN,
    revocations,
    clock,
    random: () => 0,
    logger: { warn: (line) => lines.push(`warn ${line}`), info: (line) => lines.push(`info ${line}`) },
  });
  onTestFinished(async () => await verifier.close());
  await settle(verifier.warmUp(), clock, 5_000);
  const pass = async (ms: number): Promise<void> => {
    for (let passed = 0; passed < ms; passed += 50) {
      await clock.advance(50);
      await breathe();
    }
  };
  return { verifier, lines, pass };
}

test('server-sent events that end at once are asked for ever less often, and nothing is lost', async () => {
  let number = 0;
  const { origin, heard } = await serve((response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write(`id: 1-${String(++number)}\ndata: {"v":1,"type":"heartbeat"}\n\n`);
    response.end();
  });
  const { verifier, lines, pass } = await follower(sseRevocations({ heartbeatMs: 5_000 }), `${origin}/verify`);
  await pass(10_000);
  expect(heard.length).toBeLessThan(9);
  expect(verifier.health().revocations?.status).toBe('degraded');
  expect(verifier.stats().revocations).toMatchObject({ gaps: 0, down: false });
  await pass(20_000);
  expect(heard.length).toBeLessThan(13);
  expect(verifier.health().revocations?.status).toBe('degraded');
  expect(verifier.stats().revocations).toMatchObject({ gaps: 0, down: false });
  expect(lines).toEqual([expect.stringMatching(/^warn keyverify: sse ends again and again.* 5 s late\./)]);
});

describe.skipIf(withoutRedis)('a stream in Redis that may be read, but not trimmed', { timeout: 60_000 }, () => {
  const ways: Readonly<Record<string, () => Promise<SendCommand>>> = {
    'SET is not allowed': async () => {
      const send = await connectClient('ioredis', (await startRedis()).port);
      await send(['ACL', 'SETUSER', 'default', '-set'], '');
      return send;
    },
    'it is a replica': async () => {
      const { port } = await startRedis();
      const master = await connectClient('ioredis', port);
      // It begins the stream.
      await follower(redisRevocations({ send: master }));
      const send = await connectClient('ioredis', (await startRedis(['--replicaof', `127.0.0.1 ${port}`])).port);
      while ((await send(['EXISTS', 'keyverify:revocations'], '')) !== 1) await breathe();
      return send;
    },
  };

  test.each(Object.keys(ways))(
    'is read as often as another one, and the log says which command failed: %s',
    async (way) => {
      const send = await ways[way]?.();
      let reads = 0;
      const { verifier, lines, pass } = await follower(
        redisRevocations({
          send: async (command, key) => {
            if (command[0] === 'EVAL') reads++;
            return await send?.(command, key);
          },
        }),
      );
      await pass(10_000);
      expect(reads).toBeLessThan(16);
      expect(verifier.health().revocations).toMatchObject({ status: 'degraded', lagMs: expect.any(Number) as number });
      expect(verifier.stats().revocations).toMatchObject({ gaps: 0, down: false });
      expect(lines).toEqual([
        expect.stringMatching(/ends again and again.*\(SET, to trim the stream: (?:NOPERM|READONLY)/),
      ]);
    },
  );
});
