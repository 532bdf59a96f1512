/**
 * `keyverify/otel`: an observer for OpenTelemetry metrics and traces. It needs `@opentelemetry/api`.
 *
 * @module
 */
import {
  context,
  metrics,
  ROOT_CONTEXT,
  SpanStatusCode,
  trace,
  type Attributes,
  type Context,
  type MeterProvider,
  type Span,
  type TracerProvider,
} from '@opentelemetry/api';

import type {
  AskEvent,
  AskOutcome,
  ObservedVerifier,
  Observer,
  RevocationEvent,
  RevocationGapEvent,
  SharedEvent,
  SharedOutcome,
} from '../core/events.js';
import { checkOptions } from '../core/check-options.js';
import { InvalidOptionsError } from '../core/errors.js';
import { check, fieldOf, isFunction, optional } from '../core/schema.js';
import { VERSION } from '../version.js';
import { metricsOf, sharedAttributes, type Metrics } from './otel-metrics.js';

/** Where metrics and spans go. */
export interface OtelOptions {
  /** Default: the global one. */
  readonly meterProvider?: MeterProvider | undefined;
  /** Default: the global one. */
  readonly tracerProvider?: TracerProvider | undefined;
}

/** The options, by the method that makes a provider of them. */
const KINDS: Readonly<Record<string, keyof OtelOptions>> = { getMeter: 'meterProvider', getTracer: 'tracerProvider' };

const provider = (method: string) =>
  optional(check((value): value is object => isFunction(fieldOf(value, method)), `an object with ${method}()`));

/** How many callers who wait for an answer that another one asked for are linked to its span. */
const MOST_LINKS = 32;

/**
 * An observer for OpenTelemetry: metrics of every verifier that it is given to, and a span for each question to the key
 * server and each operation on the shared cache, below which the client's own spans are. Hits cost nothing: their metrics are read from `stats()`.
 * Start the SDK before you build a verifier. Metrics and spans name no key, client or tenant. Throws `InvalidOptionsError` for
 * wrong options.
 *
 * @example
 * ```ts
 * import { KeyVerifier } from 'keyverify';
 * import { otel } from 'keyverify/otel';
 *
 * const verifier = new KeyVerifier({ observers: [otel()] });
 * ```
 */
export function otel(options: OtelOptions = {}): Observer {
  // In place of the options, a provider would be one without any, and the global ones be used.
  const given = Object.keys(KINDS).find((method) => isFunction(fieldOf(options, method)));
  if (given !== undefined) throw new InvalidOptionsError([`options: got a provider: write otel({ ${KINDS[given]} })`]);
  checkOptions({ meterProvider: provider('getMeter'), tracerProvider: provider('getTracer') }, options);
  const { meterProvider, tracerProvider } = options;
  return new OtelObserver(meterProvider, tracerProvider ?? trace);
}

class OtelObserver implements Observer {
  readonly #meterProvider: MeterProvider | undefined;
  readonly #tracerProvider: Pick<TracerProvider, 'getTracer'>;
  readonly #spans = new WeakMap<AskEvent, { readonly span: Span; links: number }>();
  #metrics: Metrics | undefined;

  constructor(meterProvider: MeterProvider | undefined, tracerProvider: Pick<TracerProvider, 'getTracer'>) {
    this.#meterProvider = meterProvider;
    this.#tracerProvider = tracerProvider;
  }

  onAttach(verifier: ObservedVerifier): void {
    // Not before: the SDK may have been started meanwhile.
    this.#metrics ??= metricsOf(this.#meterProvider ?? metrics.getMeterProvider());
    this.#metrics.add(verifier);
  }

  onDetach(verifier: ObservedVerifier): void {
    this.#metrics?.remove(verifier);
  }

  onAsk(event: AskEvent, run: () => Promise<AskOutcome>): void {
    // The timer that asks a control question was set by one of the callers, to whom it does not belong.
    const parent = event.purpose === 'control' ? ROOT_CONTEXT : context.active();
    const server = serverOf(event.url);
    const span = this.#startSpan('keyverify.ask', { 'keyverify.purpose': event.purpose, ...server }, parent);
    this.#spans.set(event, { span, links: 0 });
    after(context.with(trace.setSpan(parent, span), run), (outcome) => {
      endSpan(span, outcome);
      if (event.purpose !== 'control') this.#metrics?.recordQuestion(outcome, server['server.address']);
    });
  }

  onJoin(event: AskEvent): void {
    const joined = this.#spans.get(event);
    const caller = trace.getSpanContext(context.active());
    if (joined === undefined || caller === undefined || joined.links === MOST_LINKS) return;
    joined.links++;
    joined.span.addLink({ context: caller });
  }

  onShared(event: SharedEvent, run: () => Promise<SharedOutcome>): void {
    // As for a control question: what set the timer is another matter.
    const parent = event.operation === 'probe' ? ROOT_CONTEXT : context.active();
    const span = this.#startSpan('keyverify.shared', {}, parent);
    after(context.with(trace.setSpan(parent, span), run), (outcome) => {
      span.setAttributes(sharedAttributes(event, outcome));
      if (outcome.outcome === 'timeout') span.setStatus({ code: SpanStatusCode.ERROR, message: 'no answer in time' });
      if (outcome.error !== undefined) span.setStatus({ code: SpanStatusCode.ERROR, message: outcome.error.message });
      span.end();
      this.#metrics?.recordShared(event, outcome);
    });
  }

  onRevocation(event: RevocationEvent): void {
    this.#metrics?.recordRevocations(event);
  }

  onRevocationGap(event: RevocationGapEvent): void {
    this.#metrics?.recordGap(event);
  }

  #startSpan(name: string, attributes: Attributes, parent: Context): Span {
    return this.#tracerProvider.getTracer('keyverify', VERSION).startSpan(name, { attributes }, parent);
  }
}

/** A span processor of the caller's own may throw: that must not end the process. */
function after<T>(work: Promise<T>, record: (outcome: T) => void): void {
  work.then(record).catch(() => undefined);
}

function endSpan(span: Span, { outcome, failure, attempts }: AskOutcome): void {
  span.setAttributes({ 'keyverify.outcome': outcome, 'keyverify.attempts': attempts });
  if (failure !== undefined) {
    span.setAttribute('error.type', failure.kind);
    const cause = failure.cause instanceof Error ? ` (${failure.cause.message})` : '';
    span.setStatus({ code: SpanStatusCode.ERROR, message: failure.message + cause });
  }
  span.end();
}

interface ServerAttributes extends Attributes {
  readonly 'server.address': string;
}

function serverOf(url: string): ServerAttributes {
  const { hostname, port, protocol } = new URL(url);
  return { 'server.address': hostname, 'server.port': Number(port || (protocol === 'https:' ? 443 : 80)) };
}
