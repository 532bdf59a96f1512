import { VerifyFailure } from '../core/failure.js';

export const CLOSED = new VerifyFailure('misconfigured', 'keyverify: this verifier is closed');
export const INVALIDATED = new VerifyFailure('overloaded', 'keyverify: invalidated twice in flight');
export const NO_CONTROL = new VerifyFailure('timeout', 'keyverify: no control question was answered in time');
