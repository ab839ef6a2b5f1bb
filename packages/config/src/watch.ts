import { existsSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { ConfigError } from './config-error.js';
import { fileSignature } from './file-signature.js';
import { readScannersConfig, type ScannersSource } from './scanners-file.js';
import type { Environment, ScannersConfig } from './types.js';

export interface ScannersWatch {
  /** What is in force now. */
  readonly current: ScannersConfig;
  /** Reads the file again (SIGHUP). Never throws: a broken file is reported, and the old one stays in force. */
  reload(): Promise<void>;
  close(): void;
}

export interface ScannersWatchEvents {
  /** The scanners are others than before. */
  readonly onChange: (config: ScannersConfig) => void;
  /** The file is broken or gone; what was read before stays in force. */
  readonly onError: (error: unknown) => void;
  /** Ends the watch, like `close`. */
  readonly signal?: AbortSignal;
  /** How often the file is looked at. */
  readonly intervalMs?: number;
}

/** A file that is written in place is empty for a moment. */
const SETTLE_MS = 50;
const LOOK_MS = 1_000;

/**
 * Reads the scanners, and reads them again whenever the file changes. The file is looked at once a second, through
 * links, rather than watched by the kernel: so it does not matter whether it was written in place, replaced by rename
 * (editors), swapped by a link (Kubernetes), or lies on a network file system.
 * @throws ConfigError when the file is broken now.
 */
export async function watchScannersConfig(
  settings: ScannersSource,
  env: Environment,
  events: ScannersWatchEvents,
): Promise<ScannersWatch> {
  const file = settings.scannerConfigFile;
  let current = readScannersConfig(settings, env);
  let fromFile = existsSync(file);

  function read(): ScannersConfig {
    // otherwise a file that is being replaced would give way to NESSUS_URL for a moment
    if (fromFile && !existsSync(file))
      throw new ConfigError('The list of scanners', [{ path: 'SCANNER_CONFIG', message: `${file} is gone` }]);
    const next = readScannersConfig(settings, env);
    fromFile = existsSync(file);
    return next;
  }

  async function reload(): Promise<void> {
    let next: ScannersConfig;
    try {
      next = read();
    } catch (error) {
      events.onError(error);
      return;
    }
    if (asText(next) === asText(current)) return;
    current = next;
    events.onChange(next);
  }

  let settled: NodeJS.Timeout | undefined;
  // the first look reads again in any case: nobody knows what became of the file since it was read above
  let seen: string | undefined;
  let looking = false;
  let closed = false;
  async function look(): Promise<void> {
    // a network file system may hang
    if (looking) return;
    looking = true;
    const found = fileSignature(await stat(file).catch(() => undefined));
    looking = false;
    if (closed || found === seen) return;
    seen = found;
    clearTimeout(settled);
    settled = setTimeout(() => void reload(), SETTLE_MS);
  }
  const looks = setInterval(() => void look(), events.intervalMs ?? LOOK_MS);
  looks.unref();
  const close = (): void => {
    closed = true;
    clearInterval(looks);
    clearTimeout(settled);
  };
  if (events.signal?.aborted) close();
  events.signal?.addEventListener('abort', close, { once: true });
  return {
    get current() {
      return current;
    },
    reload,
    close,
  };
}

/** The order of the pools counts: the first may be the default. */
function asText(config: ScannersConfig): string {
  return JSON.stringify(config, (_key, value: unknown) =>
    value instanceof Map ? [...value] : typeof value === 'bigint' ? String(value) : value,
  );
}
