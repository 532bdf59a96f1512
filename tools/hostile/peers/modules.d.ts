// What the comparison takes from its own dependencies. They aren't installed when the root is type-checked.
declare module '@unkey/api' {
  export class Unkey {
    constructor(options: { rootKey: string; serverURL: string });
    readonly keys: { verifyKey(request: { key: string }): Promise<{ data: { valid: boolean } }> };
  }
}

declare module '@clerk/backend' {
  export function createClerkClient(options: { secretKey: string; apiUrl: string }): {
    readonly apiKeys: { verify(secret: string): Promise<{ revoked: boolean }> };
  };
}

declare module '@unkey/cache' {
  interface Keys {
    remove(key: string): Promise<unknown>;
    swr(key: string, load: () => Promise<unknown>): Promise<{ val?: unknown; err?: Error }>;
  }
  export const DefaultStatefulContext: new () => object;
  export const Namespace: new (
    context: object,
    options: { stores: object[]; fresh: number; stale: number },
  ) => { readonly namespace: true };
  export function createCache(namespaces: { keys: { readonly namespace: true } }): { readonly keys: Keys };
}

declare module '@unkey/cache/stores' {
  export const MemoryStore: new (options: {
    persistentMap: Map<string, unknown>;
    unstableEvictOnSet?: { frequency: number; maxItems: number };
  }) => object;
}

declare module 'bentocache' {
  interface Load {
    readonly key: string;
    readonly factory: () => Promise<unknown>;
    readonly ttl: number;
    readonly grace: number;
    /** How long the factory may take before an older value is served, in milliseconds. */
    readonly timeout: number;
  }
  export class BentoCache {
    constructor(options: { default: string; stores: Record<string, object> });
    getOrSet(load: Load): Promise<unknown>;
    delete(options: { key: string }): Promise<boolean>;
  }
  export function bentostore(): { useL1Layer(layer: object): object };
}

declare module 'bentocache/drivers/memory' {
  export function memoryDriver(options: { maxItems: number }): object;
}

declare module 'cacheable' {
  export function createKeyv(options: { lruSize: number }): object;
  export class Cacheable {
    constructor(options: { primary: object; ttl: number });
    getOrSet(
      key: string,
      load: () => Promise<unknown>,
      options: { ttl: number; throwErrors: boolean },
    ): Promise<unknown>;
    delete(key: string): Promise<boolean>;
  }
}

declare module 'better-auth' {
  interface Answer {
    readonly valid: boolean;
    readonly error: { readonly code: string } | null;
  }
  export function betterAuth(options: object): {
    readonly api: {
      signUpEmail(request: { body: object }): Promise<{ user: { id: string } }>;
      createApiKey(request: { body: object }): Promise<{ key: string }>;
      verifyApiKey(request: { body: { key: string } }): Promise<Answer>;
    };
  };
}

declare module 'better-auth/adapters/memory' {
  export function memoryAdapter(tables: Record<string, unknown[]>): object;
}

declare module 'better-auth/plugins' {
  export function apiKey(options: object): object;
}
