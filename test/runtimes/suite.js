/** The conformance suite of every runtime. It takes the library as an argument and controls a real key server over HTTP. */

/** In browsers nothing opens: one text of theirs stands for a server that is down, for DNS, TLS, offline, CORS and CSP. */
const IN_BROWSER = typeof navigator === 'object' && /Chrome\//.test(navigator.userAgent ?? '');

const TENANT = 'cust-A';
const TIMEOUT_MS = 10_000;

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function equal(actual, expected, what) {
  const [is, should] = [JSON.stringify(actual), JSON.stringify(expected)];
  if (is !== should) throw new Error(`${what}: expected ${should}, got ${is}`);
}

async function eventually(check, what) {
  for (const since = Date.now(); Date.now() - since < TIMEOUT_MS; await sleep(10)) if (await check()) return;
  throw new Error(`${what}: not within ${TIMEOUT_MS} ms`);
}

const cases = {
  async 'a valid key is verified by the key server and has an identity'({ verifier, lib }) {
    const result = await verifier().verify('sk-good');
    equal([result.valid, result.source, result.client, result.tenant], [true, 'server', 'acme', TENANT], 'result');
    equal([result.keyId, result.claims.plan, lib.isVerified(result)], ['k-1', 'gold', true], 'keyId, claim, guard');
    equal(Object.isFrozen(result), true, 'frozen');
  },

  async 'a second call is a cache hit'({ verifier, control }) {
    const verify = verifier();
    const before = await control('asked', 'sk-good');
    await verify.verify('sk-good');
    equal((await verify.verify('sk-good')).source, 'cache', 'source');
    equal(verify.peek('sk-good')?.source, 'cache', 'peek');
    equal((await control('asked', 'sk-good')) - before, 1, 'requests');
  },

  async 'an unknown key is rejected, and the rejection is cached'({ verifier, lib }) {
    const verify = verifier();
    const [first, second] = [await verify.verify('sk-unknown'), await verify.verify('sk-unknown')];
    equal([first.valid, first.source, first.reason], [false, 'server', 'unknown_key'], 'first');
    equal([second.source, lib.isRejected(second)], ['cache', true], 'second');
  },

  async 'a missing or malformed key is rejected without a request'({ verifier, control }) {
    const { requests } = await control('counts');
    const verify = verifier({ keyFormat: /^sk-[\w-]+$/ });
    equal((await verify.verify(undefined)).reason, 'missing_key', 'missing');
    equal((await verify.verify('pk-good')).reason, 'malformed_key', 'malformed');
    equal((await control('counts')).requests, requests, 'requests');
  },

  async 'a key of another scope is rejected'({ verifier }) {
    equal((await verifier({ scope: TENANT }).verify('sk-good')).valid, true, 'own scope');
    equal((await verifier({ scope: 'cust-B' }).verify('sk-good')).reason, 'scope_mismatch', 'other scope');
  },

  async 'a verdict past its TTL is served in an outage'({ verifier, control }) {
    const verify = verifier({ cacheTtlMs: 1 });
    const fresh = await verify.verify('sk-good');
    await sleep(5);
    await control('stop');
    const stale = await verify.verify('sk-good');
    equal([stale.source, stale.client, stale.verifiedAt], ['stale', 'acme', fresh.verifiedAt], 'stale');
  },

  async 'an unknown key fails closed in an outage and is no rejection'({ verifier, control, lib }) {
    await control('stop');
    const result = await verifier().verify('sk-good');
    equal([result.valid, result.source, result.reason], [false, 'fail-closed', 'unavailable'], 'result');
    equal(
      [result.failure.kind, lib.isRejected(result)],
      [IN_BROWSER ? 'misconfigured' : 'unreachable', false],
      'failure',
    );
  },

  async 'with failOpen, an unknown key fails open in an outage, without an identity'({ verifier, control }) {
    await control('stop');
    const result = await verifier({ failOpen: true }).verify('sk-good');
    const expected = IN_BROWSER ? [false, 'fail-closed', undefined] : [true, 'fail-open', null];
    equal([result.valid, result.source, result.client], expected, 'result');
  },

  async 'a call to a hanging server ends at its deadline'({ verifier, control }) {
    await control('injectFault', { kind: 'hang' });
    const result = await verifier({ timeoutMs: 100 }).verify('sk-good');
    equal([result.source, result.failure.kind], ['fail-closed', 'timeout'], 'result');
    await eventually(async () => (await control('counts')).inFlight === 0, 'the request is aborted');
  },

  async 'a server error, a redirect and a page of HTML are failures of their own kinds'({ verifier, control }) {
    const faults = { server_error: { kind: 'status', status: 503 }, invalid_response: { kind: 'html' } };
    faults.misconfigured = { kind: 'redirect', location: 'http://127.0.0.1:9/' };
    for (const [kind, fault] of Object.entries(faults)) {
      await control('injectFault', fault);
      equal((await verifier({ logger: { warn() {} } }).verify('sk-good')).failure?.kind, kind, fault.kind);
    }
  },

  async 'a failed request is retried'({ verifier, control }) {
    await control('injectFault', { kind: 'reset-before-headers' }, { times: 1 });
    equal((await verifier({ retries: 1 }).verify('sk-good')).source, 'server', 'source');
  },

  async 'an aborted call rejects with its reason, and the others get their verdict'({ verifier, control }) {
    await control('injectFault', { kind: 'delay', ms: 200 });
    const verify = verifier();
    const controller = new AbortController();
    const left = verify.verify('sk-good', { signal: controller.signal }).then(
      () => 'a result',
      (reason) => reason,
    );
    const stayed = verify.verify('sk-good');
    const reason = new Error('gone');
    controller.abort(reason);
    equal((await left) === reason, true, 'the reason is that of the signal');
    equal((await stayed).source, 'server', 'the other');
  },

  async 'an invalidated key is requested again'({ verifier, control }) {
    const verify = verifier();
    await verify.verify('sk-good');
    equal(verify.invalidate({ keyId: 'k-1' }), 1, 'invalidated');
    equal(verify.peek('sk-good'), undefined, 'peek');
    await control('revoke', 'sk-good');
    equal((await verify.verify('sk-good')).reason, 'revoked', 'reason');
  },

  async 'a revoked key is rejected after the TTL, even if it is used all the time'({ verifier, control }) {
    const verify = verifier({ cacheTtlMs: 150 });
    equal((await verify.verify('sk-good')).valid, true, 'before');
    await control('revoke', 'sk-good');
    await eventually(async () => !(await verify.verify('sk-good')).valid, 'refused');
  },

  async 'maxAgeMs: 0 gets a verdict from the server'({ verifier }) {
    const verify = verifier();
    await verify.verify('sk-good');
    equal((await verify.verify('sk-good', { maxAgeMs: 0 })).source, 'server', 'source');
  },

  async 'a hit near the end of its TTL is refreshed in the background'({ verifier, control }) {
    const verify = verifier({ refreshAheadRatio: 0.0001 });
    await verify.verify('sk-good');
    const before = await control('asked', 'sk-good');
    const work = [];
    await eventually(async () => {
      const { source } = await verify.verify('sk-good', { waitUntil: (promise) => work.push(promise) });
      equal(source, 'cache', 'the hit does not wait for the refresh');
      return (await control('asked', 'sk-good')) > before;
    }, 'refreshed');
    equal(work.length > 0, true, 'passed to waitUntil');
    await Promise.all(work);
  },

  'the matched key does not stay in RegExp.input'({ verifier }) {
    // With peek(), and checked at once: parsing a response would overwrite it with another match.
    verifier({ keyFormat: /^sk-[\w-]+$/ }).peek('sk-good');
    // Not every engine has it.
    equal(String(RegExp.input ?? '').includes('sk-good'), false, 'RegExp.input contains the key');
  },

  async 'invalid options throw one error with all mistakes'({ verifier, lib }) {
    try {
      verifier({ verifyUrl: 'ftp://x', cacheTtl: 1 });
    } catch (error) {
      equal([error instanceof lib.InvalidOptionsError, error.code], [true, 'KEYVERIFY_INVALID_OPTIONS'], 'error');
      return equal(error.issues.length, 2, 'issues');
    }
    throw new Error('nothing was thrown');
  },
};

/** Observes which transport and which hash the library uses here, and whether callers share a flight. */
async function observe({ verifier, control }) {
  const { fetch } = globalThis;
  const { getUint32 } = DataView.prototype;
  let fetched = 0;
  let read = 0;
  globalThis.fetch = (...args) => (fetched++, fetch(...args));
  DataView.prototype.getUint32 = function (...args) {
    read++;
    return getUint32.apply(this, args);
  };
  try {
    const verify = verifier();
    verify.peek('sk-good');
    // The hash in JavaScript reads its input with it, the native ones don't.
    const hash = read > 0 ? 'JavaScript' : 'native';
    await control('injectFault', { kind: 'delay', ms: 100 });
    const before = await control('asked', 'sk-good');
    await Promise.all([verify.verify('sk-good'), verify.verify('sk-good')]);
    const flights = (await control('asked', 'sk-good')) - before === 1 ? 'shared' : 'one per caller';
    return { transport: fetched > 0 ? 'fetch' : 'undici', hash, flights };
  } finally {
    globalThis.fetch = fetch;
    DataView.prototype.getUint32 = getUint32;
  }
}

/** Runs all cases. `observe` must find `expects`; every verifier gets `options`. */
export async function conform({ lib, verifyUrl, controlUrl, options, expects }) {
  const { fetch } = globalThis;
  const control = async (method, ...args) => {
    const response = await fetch(controlUrl, { method: 'POST', body: JSON.stringify({ method, args }) });
    if (response.status !== 200) throw new Error(`control ${method}: ${await response.text()}`);
    return (await response.json()).value;
  };
  const run = async (test) => {
    const built = [];
    const verifier = (own) => {
      const base = { verifyUrl, serviceToken: 'service-token', retries: 0, random: () => 0 };
      const one = new lib.KeyVerifier({ ...base, ...options, ...own });
      built.push(one);
      return one;
    };
    await control('reset');
    try {
      return await test({ verifier, control, lib });
    } finally {
      for (const one of built) await one.close();
    }
  };

  const results = [];
  const record = async (title, test) => {
    try {
      await test();
      results.push({ title, ok: true });
    } catch (error) {
      results.push({ title, ok: false, error: String(error?.stack ?? error) });
    }
  };
  let observed;
  await record('the export condition selects the expected platform module', async () => {
    observed = await run(observe);
    equal(observed, expects, 'observed');
  });
  for (const [title, test] of Object.entries(cases)) await record(title, () => run(test));
  return { observed, results };
}
