/**
 * Protocols for key servers that have a contract of their own, see
 * https://github.com/keyverify/keyverify/blob/main/docs/key-server.md
 */
export { defineProtocol, DefinedProtocol } from './define.js';
export type {
  AuthDefinition,
  ExpiryDefinition,
  KeyDefinition,
  FieldSource,
  ProtocolDefinition,
  RejectRule,
  RequestDraft,
  ScopeDefinition,
  VerdictDefinition,
} from './definition.js';
export { clerk } from './clerk.js';
export type { ClerkOptions } from './clerk.js';
export { introspection } from './introspection.js';
export type { IntrospectionOptions } from './introspection.js';
export { unkey } from './unkey.js';
export type { UnkeyOptions } from './unkey.js';
export { workos } from './workos.js';
