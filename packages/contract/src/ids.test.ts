import { describe, expect, it } from '@jest/globals';
import { instanceIdSchema, instanceKey, isTaskId, newTaskId, newTraceId, poolNameSchema } from './index.js';

const NOW = new Date('2026-11-23T15:29:23.999Z');

describe('a task id', () => {
  it('tells place and moment of the submission in UTC', () => {
    expect(newTaskId('nessus_dmz', NOW, Buffer.from('0a1b2c3d', 'hex'))).toBe(
      'ne_ness_20261123_152923_0a1b2c3d',
    );
  });

  it.each([
    ['dmz', 'ne_dmz_'],
    ['Scanner1', 'ne_scan_'],
    ['a-b_c', 'ne_a-b__'],
    ['../..', 'ne_pool_'],
    ['', 'ne_pool_'],
    ['ä:/b', 'ne_b_'],
  ])('of %j begins with %s, and is a valid file name and job id', (place, start) => {
    const id = newTaskId(place, NOW);
    expect(id.startsWith(start)).toBe(true);
    expect(isTaskId(id)).toBe(true);
    expect(id).toMatch(/^[a-z0-9_-]+$/);
  });

  it('is another one each time', () => {
    // of 32 random bits: among many more, two could be the same
    expect(new Set(Array.from({ length: 50 }, () => newTaskId('nessus', NOW))).size).toBe(50);
  });

  it.each([
    'ne_ness_20261123_152923_0A1B2C3D',
    'ne_ness_20261123_152923_0a1b2c3',
    'ne_nessus_20261123_152923_0a1b2c3d',
    'ne_ness_20261123_152923_0a1b2c3d\n',
    '../ne_ness_20261123_152923_0a1b2c3d',
    'ne_../_20261123_152923_0a1b2c3d',
    '',
  ])('is not %j', (text) => expect(isTaskId(text)).toBe(false));
});

describe('a trace id', () => {
  it('has 32 hex digits, as W3C says', () => expect(newTraceId()).toMatch(/^[0-9a-f]{32}$/));
});

describe('names of pools and instances', () => {
  it.each(['nessus', 'nessus_dmz', 'a-1', 'a'.repeat(63)])('may be a pool: %s', (name) =>
    expect(poolNameSchema.safeParse(name).success).toBe(true),
  );
  it.each(['', 'Nessus', '1a', 'a:b', 'a b', 'a/b', 'a'.repeat(64)])('may not be a pool: %j', (name) =>
    expect(poolNameSchema.safeParse(name).success).toBe(false),
  );
  it.each(['scanner1', 'Scanner-1', '1'])('may be an instance: %s', (name) =>
    expect(instanceIdSchema.safeParse(name).success).toBe(true),
  );
  it.each(['', 'a:b', '-a', 'a.b'])('may not be an instance: %j', (name) =>
    expect(instanceIdSchema.safeParse(name).success).toBe(false),
  );
  it('join to one key', () => expect(instanceKey('nessus', 'scanner1')).toBe('nessus:scanner1'));
});
