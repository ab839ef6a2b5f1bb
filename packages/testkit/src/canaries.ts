/** Looking for secrets where none may be: everything that a service keeps or says, searched in every form. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Redis } from 'ioredis';

/** A text as it looks in JSON, in URLs and forms, in hex, and in base64 wherever it begins there. */
function formsOf(secret: string): readonly string[] {
  const bytes = Buffer.from(secret);
  const inBase64 = [0, 1, 2].map((before) =>
    Buffer.concat([Buffer.alloc(before), bytes])
      .toString('base64')
      .slice(Math.ceil((before * 8) / 6), Math.floor(((before + bytes.length) * 8) / 6)),
  );
  return [
    secret,
    JSON.stringify(secret).slice(1, -1),
    encodeURIComponent(secret),
    bytes.toString('hex'),
    ...inBase64,
    ...inBase64.map((text) => text.replaceAll('+', '-').replaceAll('/', '_')),
  ];
}

/** Those of the secrets that are in one of the texts, in any form, by name. */
export function secretsIn(
  texts: Iterable<string>,
  secrets: Readonly<Record<string, string>>,
): readonly string[] {
  const forms = Object.entries(secrets).map(([name, secret]) => ({ name, forms: formsOf(secret) }));
  const found = new Set<string>();
  for (const text of texts)
    for (const { name, forms: looks } of forms)
      if (looks.some((form) => text.includes(form))) found.add(name);
  return [...found];
}

/** Every key with what it holds, as text. */
export async function redisDump(redis: Redis, pattern: string): Promise<readonly string[]> {
  const texts: string[] = [];
  for (const key of await redis.keys(pattern))
    texts.push(`${key} ${JSON.stringify(await contentOf(redis, key))}`);
  return texts;
}

async function contentOf(redis: Redis, key: string): Promise<unknown> {
  const type = await redis.type(key);
  switch (type) {
    case 'string':
      return await redis.get(key);
    case 'hash':
      return await redis.hgetall(key);
    case 'list':
      return await redis.lrange(key, 0, -1);
    case 'set':
      return await redis.smembers(key);
    case 'zset':
      return await redis.zrange(key, 0, '-1');
    case 'stream':
      return await redis.xrange(key, '-', '+');
    case 'none':
      // it ran out in this very moment
      return null;
    default:
      throw new Error(`${key} is a ${type}, which nobody looked into`);
  }
}

/** Every file below a directory, byte for byte. */
export async function filesBelow(directory: string): Promise<readonly string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  const texts = await Promise.all(files.map((file) => textOf(join(file.parentPath, file.name))));
  return texts.filter((text) => text !== undefined);
}

async function textOf(path: string): Promise<string | undefined> {
  try {
    return (await readFile(path)).toString('latin1');
  } catch (error) {
    // a program that still works moved or removed it in this very moment
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
