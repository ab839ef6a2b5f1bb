import type { Clock } from './options.js';

/** Whether the simulated server is ready (nessus-api.md section 2.1). */
export interface ServerState {
  readonly pluginSet: string;
  readonly loading: boolean;
  /** Status and body of GET /server/status. */
  status(): { code: 200 | 503; body: Record<string, unknown> };
  /** Loading from now on, for so long. */
  load(forMs: number): void;
  /** A state that only an operator ends, such as `register`; `ready` ends it. */
  setWord(word: string): void;
}

export function createServerState(clock: Clock): ServerState {
  let loadingFromMs = 0;
  let loadingUntilMs = 0;
  let word = 'ready';
  const isLoading = (): boolean => clock() < loadingUntilMs;

  function parts(): Record<string, unknown> {
    const done = { progress: 100, status: 'ready' };
    if (isLoading()) {
      const progress = Math.floor(((clock() - loadingFromMs) / (loadingUntilMs - loadingFromMs)) * 100);
      return {
        detailed_status: {
          login_status: 'allow',
          feed_status: done,
          db_status: { progress, status: 'compiling' },
          engine_status: { progress, status: 'loading' },
        },
        pluginData: false,
        initLevel: 3,
        progress,
        status: 'loading',
      };
    }
    if (word === 'ready') {
      return {
        detailed_status: {
          login_status: 'allow',
          feed_status: done,
          db_status: done,
          engine_status: done,
        },
        pluginData: true,
        initLevel: 5,
        progress: null,
        status: 'ready',
      };
    }
    // as recorded: the parts are ready and have no progress, the word alone tells
    return {
      detailed_status: {
        login_status: 'allow',
        feed_status: word === 'download-failed' ? { status: 'downloading-failed' } : done,
        db_status: { status: 'ready' },
        engine_status: { status: 'ready' },
      },
      pluginData: true,
      initLevel: 4,
      progress: null,
      status: word,
    };
  }

  return {
    pluginSet: '202611010000',
    get loading() {
      return isLoading();
    },
    status() {
      const code = !isLoading() && word === 'ready' ? 200 : 503;
      return { code, body: { code, ...parts(), pluginSet: true, simulator: true } };
    },
    load(forMs) {
      loadingFromMs = clock();
      loadingUntilMs = loadingFromMs + forMs;
    },
    setWord(next) {
      word = next;
    },
  };
}
