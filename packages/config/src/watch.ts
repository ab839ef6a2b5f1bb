import { type FSWatcher, watch } from 'node:fs';
import { dirname } from 'node:path';
import { readScannersConfig } from './scanners-file.js';
import type { Environment } from './settings.js';
import type { ScannersConfig, Settings } from './types.js';

export interface ScannersWatch {
  /** What is in force now. */
  readonly current: ScannersConfig;
  /** Reads the file again (SIGHUP). Never throws: a broken file is reported, and the old one stays in force. */
  reload(): Promise<void>;
  close(): void;
}

/** Editors write a file in several steps; one look after the last of them is enough. */
const SETTLE_MS = 200;

/**
 * Reads the scanners and reads them again whenever the file changes. The directory is watched, not the file: editors
 * and Kubernetes replace files by rename.
 * @throws ConfigError when the file is broken now.
 */
export async function watchScannersConfig(
  settings: Pick<Settings, 'scannerConfigFile' | 'maxConcurrentScans'>,
  env: Environment,
  events: { onChange: (config: ScannersConfig) => void; onError: (error: unknown) => void },
): Promise<ScannersWatch> {
  let current = readScannersConfig(settings, env);
  let timer: NodeJS.Timeout | undefined;

  async function reload(): Promise<void> {
    try {
      const next = readScannersConfig(settings, env);
      if (asText(next) === asText(current)) return;
      current = next;
      events.onChange(next);
    } catch (error) {
      events.onError(error);
    }
  }

  let watcher: FSWatcher | undefined;
  try {
    watcher = watch(dirname(settings.scannerConfigFile), { persistent: false }, () => {
      clearTimeout(timer);
      timer = setTimeout(() => void reload(), SETTLE_MS);
    });
    watcher.on('error', events.onError);
  } catch {
    // no such directory: the scanner comes from the environment
  }
  return {
    get current() {
      return current;
    },
    reload,
    close() {
      clearTimeout(timer);
      watcher?.close();
    },
  };
}

function asText(config: ScannersConfig): string {
  return JSON.stringify([...config.pools]);
}
