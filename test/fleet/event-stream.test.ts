import { expect, test } from 'vitest';

import { EventStreamParser } from '../../src/fleet/event-stream.js';

const read = (...chunks: readonly string[]): unknown => {
  const parser = new EventStreamParser();
  return chunks.flatMap((chunk) => parser.push(chunk));
};

test.each(['\n', '\r\n', '\r'])('events end with an empty line, whatever the line break: %j', (end) => {
  const text = ['id: 1-1', 'data: {"a":1}', '', 'id: 1-2', 'data:b', '', 'x'].join(end);
  const events = [
    { id: '1-1', data: '{"a":1}' },
    { id: '1-2', data: 'b' },
  ];
  expect(read(text)).toEqual(events);
  for (let at = 0; at < text.length; at++) expect(read(text.slice(0, at), text.slice(at))).toEqual(events);
  expect(read(...text.split(/(?<=.)/s))).toEqual(events);
});

test('an event takes effect with the CR that ends it: nothing has to come after it', () => {
  const parser = new EventStreamParser();
  expect(parser.push('data: a\r\r')).toEqual([{ id: '', data: 'a' }]);
  expect(parser.push('data: b\r\n\r')).toEqual([{ id: '', data: 'b' }]);
  // The LF of the last one, also after the half of a character; another one is a line of its own.
  for (const chunk of ['', '\n', 'data: c\r', '\n']) expect(parser.push(chunk)).toEqual([]);
  expect(parser.push('\n')).toEqual([{ id: '', data: 'c' }]);
});

test('comments, other fields and events without data are passed over; an id stays until the next one', () => {
  expect(read(': hello\n\nid: 7\n\nevent: x\nretry: 5\ndata: a\ndata: b\n\ndata\n\n')).toEqual([
    { id: '7', data: 'a\nb' },
    { id: '7', data: '' },
  ]);
});

test.each([`data: ${'x'.repeat(70_000)}`, `data: ${'x'.repeat(999)}\n`.repeat(70), 'data\n'.repeat(70_000)])(
  'an event without an end is refused',
  (text) => {
    expect(() => read(text)).toThrow('too long');
  },
);

test('lines without data count as well, in however many chunks', () => {
  const parser = new EventStreamParser();
  const push = (lines: number): void => void parser.push('data\n'.repeat(lines));
  push(60_000);
  expect(() => push(6_000)).toThrow('too long');
  expect(new EventStreamParser().push(`${'data\n'.repeat(60_000)}\n${'data\n'.repeat(60_000)}`)).toHaveLength(1);
});
