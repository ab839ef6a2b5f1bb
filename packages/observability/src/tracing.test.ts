import { describe, expect, it } from '@jest/globals';
import { NO_TRACING, parentOfTask, traceIdOf } from './index.js';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const SPAN = '00f067aa0ba902b7';
const ZEROS = '0'.repeat(32);

describe('the trace id of a traceparent', () => {
  it.each([
    ['version 00', `00-${TRACE}-${SPAN}-01`, TRACE],
    ['a later version, with more behind it', `cc-${TRACE}-${SPAN}-01-what-comes`, TRACE],
    ['version 00 with more behind it', `00-${TRACE}-${SPAN}-01-what-comes`, undefined],
    ['the version that is none', `ff-${TRACE}-${SPAN}-01`, undefined],
    ['a trace of zeros', `00-${ZEROS}-${SPAN}-01`, undefined],
    ['a span of zeros', `00-${TRACE}-${'0'.repeat(16)}-01`, undefined],
    ['capital letters', `00-${TRACE.toUpperCase()}-${SPAN}-01`, undefined],
    ['two headers', [`00-${TRACE}-${SPAN}-01`, `00-${TRACE}-${SPAN}-01`], undefined],
    ['nothing', undefined, undefined],
  ])('%s', (_, header, expected) => {
    expect(traceIdOf(header)).toBe(expected);
  });
});

describe('what the spans of a task hang from', () => {
  const task = { task_id: 'ne_ness_20261123_152923_0a1b2c3d', trace_id: TRACE, trace_parent: null };

  it('is the span that submitted it', () => {
    const trace_parent = `00-${TRACE}-${SPAN}-00`;
    expect(parentOfTask({ ...task, trace_parent })).toBe(trace_parent);
  });

  it('is a place in its own trace where that was not traced, the same for every worker', () => {
    const place = parentOfTask(task);
    expect(traceIdOf(place)).toBe(TRACE);
    expect(parentOfTask({ ...task })).toBe(place);
    expect(parentOfTask({ ...task, task_id: 'ne_ness_20261123_152923_ffffffff' })).not.toBe(place);
  });

  it('is never in another trace than its own', () => {
    const place = parentOfTask({ ...task, trace_parent: `00-${'a'.repeat(32)}-${SPAN}-01` });
    expect(traceIdOf(place)).toBe(TRACE);
  });
});

describe('without a collector', () => {
  it('work is done as ever, and errors are thrown on', async () => {
    expect(await NO_TRACING.span('x', {}, async () => 1)).toBe(1);
    expect(NO_TRACING.begin('x', {}).within(() => 2)).toBe(2);
    expect(NO_TRACING.current()).toBeUndefined();
    await expect(
      NO_TRACING.childSpan('x', {}, async () => {
        throw new Error('mine');
      }),
    ).rejects.toThrow('mine');
  });
});
