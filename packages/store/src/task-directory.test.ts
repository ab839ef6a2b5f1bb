import { isAbsolute, relative, resolve } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { isTaskId, newTaskId, ScanmqError } from '@scanmq/contract';
import fc from 'fast-check';
import { taskDirectory } from './task-directory.js';

const DATA = resolve('/srv/scanmq/tasks');

/** Undefined when it is refused. */
function directoryOf(id: string): string | undefined {
  try {
    return taskDirectory(DATA, id);
  } catch (error) {
    // an id is not repeated: it may be anything
    if (
      error instanceof ScanmqError &&
      error.code === 'not_found' &&
      error.message === 'There is no such task.'
    )
      return undefined;
    throw error;
  }
}

describe('the directory of a task', () => {
  it('lies in the data directory, under the id itself', () => {
    fc.assert(
      fc.property(
        fc.string(),
        fc.date({ min: new Date(0), max: new Date('9999-12-31'), noInvalidDate: true }),
        (pool, now) => {
          const id = newTaskId(pool, now);
          return directoryOf(id) === `${DATA}/${id}`;
        },
      ),
      { numRuns: 2_000 },
    );
  });

  it.each([
    '',
    '.',
    '..',
    '../ne_ness_20261123_152923_0a1b2c3d',
    'ne_ness_20261123_152923_0a1b2c3d/..',
    'ne_ness_20261123_152923_0a1b2c3d\n',
    'ne_ness_20261123_152923_0a1b2c3d\0',
    'ne_../_20261123_152923_0a1b2c3d',
    'ne_..\\x_20261123_152923_0a1b2c3d',
    'ne_%2e%2_20261123_152923_0a1b2c3d',
    'NE_NESS_20261123_152923_0A1B2C3D',
    '/etc/passwd',
    'task.json',
  ])('is not to be had for %j', (id) => expect(directoryOf(id)).toBeUndefined());

  it('is never another one, whatever is given as an id', () => {
    const id = 'ne_ness_20261123_152923_0a1b2c3d';
    const near = fc
      .tuple(fc.nat(id.length), fc.nat(3), fc.string({ maxLength: 4 }))
      .map(([at, removed, put]) => id.slice(0, at) + put + id.slice(at + removed));
    const parts = fc
      .array(
        fc.constantFrom(
          '..',
          '.',
          '/',
          '\\',
          '\0',
          '%2f',
          '%2e',
          id,
          'ne_',
          '_',
          '~',
          'C:',
          '\uff0e',
          '\u2215',
        ),
        {
          maxLength: 8,
        },
      )
      .map((all) => all.join(''));
    fc.assert(
      fc.property(fc.oneof(near, parts, fc.string({ unit: 'binary' })), (text) => {
        const directory = directoryOf(text);
        if (directory === undefined) return !isTaskId(text);
        const inside = relative(DATA, directory);
        return inside === text && !isAbsolute(inside) && !/^\.\.|[/\\]/.test(inside);
      }),
      { numRuns: 20_000 },
    );
  });
});
