import { mayBeOutage, rulesOutOutage } from '../core/failure.js';
import type { ControlResult } from './control.js';

/** Below this ratio of failed attempts the server is not flaky, and one failed control question is enough. */
const FLAKY_RATIO = 0.02;
/** The accepted probability that a flaky server is taken for one that is down. */
const FALSE_ALARM = 1e-4;
const MOST_CONTROLS = 8;

/** A caller was answered in what looked like an outage: it is over if so many control questions in a row are answered then. */
const CONFIRMATIONS = 2;

/** Up to so many control questions that fail in a row before a caller is answered may have had bad luck. */
const MOST_FAILURES = 3;

/** Over how many attempts the ratio of failures is an average. The first ones weigh more. */
const WINDOW = 32;
const FIRST_WEIGHT = 8;

/**
 * How far failed control questions are believed. A flaky server fails some by chance, and one that limits how many unknown keys
 * it is asked about fails them for as long as callers want.
 */
export class ControlTrust {
  /** Whether they were answered, and can be again: a server may answer 500 to every key that it doesn't know. */
  isCalibrated = false;
  /** How many have failed since somebody was answered; one that is in doubt counts for less. */
  failedInRow = 0;
  #contradicted = false;
  /** How many have yet to be answered since a caller was, in what they had shown to be an outage. */
  #unconfirmed = 0;
  /** When that was, on the monotonic clock. */
  #disputedAt = 0;
  /** How many must be answered in a row before they prove an outage again. */
  #untilTrusted = 1;
  #mostUntilTrusted = 1;
  #failureRatio = 0;
  #observed = 0;

  /** Whether callers were answered although a control question had failed, and none was ever answered. */
  get controlsFail(): boolean {
    return this.#contradicted && !this.isCalibrated;
  }

  /** Whether a caller was answered in what looked like an outage, and it is not known yet if that is over. */
  get isDisputed(): boolean {
    return this.#unconfirmed > 0;
  }

  /** Whether those that have failed in a row, with so many `more`, are too many for bad luck, and nobody disputes it. */
  isOutage(more = 0): boolean {
    const ratio = this.#failureRatio;
    const needed = ratio < FLAKY_RATIO ? 1 : Math.log(FALSE_ALARM) / Math.log(ratio);
    return !this.isDisputed && this.failedInRow + more >= Math.min(needed, MOST_CONTROLS);
  }

  /** A control question was answered, or a caller who asked `before` or `after` the latest one, after so many failed attempts. */
  recordAnswer(mono: number, failedAttempts: number, caller?: 'before' | 'after'): void {
    const disputes = caller === 'after' && this.isCalibrated && this.isOutage();
    if (disputes) {
      this.#unconfirmed = CONFIRMATIONS;
      this.#disputedAt = mono;
    }
    // More were an outage, which is over. It mostly ends with a control question that is answered.
    const most = caller ? MOST_FAILURES : 1;
    const unlucky = caller === 'before' ? 0 : Math.ceil(this.failedInRow);
    let failures = disputes || this.failedInRow > most ? 0 : unlucky || failedAttempts;
    // And then the answer.
    for (; failures >= 0; failures--) {
      const weight = 1 / Math.min(this.#observed++ + FIRST_WEIGHT, WINDOW);
      this.#failureRatio += (Number(failures > 0) - this.#failureRatio) * weight;
    }
    this.#contradicted ||= this.failedInRow > 0;
    this.failedInRow = 0;
  }

  /** `weight`: how much it counts if it failed; 0 if somebody was answered since it was sent. */
  recordControl({ sentAt, failure }: ControlResult, weight: number): void {
    if (failure === undefined) {
      this.#unconfirmed--;
      if (--this.#untilTrusted <= 0) this.isCalibrated = true;
    } else if (rulesOutOutage(failure)) {
      this.failedInRow = 0;
      this.#unconfirmed = 0;
    } else if (mayBeOutage(failure)) {
      // Where others are answered, it is no sign of an outage.
      if (weight > 0) {
        this.failedInRow += weight;
        this.#untilTrusted = this.#mostUntilTrusted;
      }
      // One that was sent before may still hang from the outage.
      if (this.isDisputed && sentAt >= this.#disputedAt) {
        // Callers decide how a control question ends. Each time that it happens takes longer to forget.
        this.#unconfirmed = 0;
        this.isCalibrated = false;
        this.#mostUntilTrusted = Math.min(2 * this.#mostUntilTrusted, MOST_CONTROLS);
        this.#untilTrusted = this.#mostUntilTrusted;
      }
    }
  }
}
