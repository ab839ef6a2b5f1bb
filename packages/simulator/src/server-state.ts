/** Whether the simulated server is ready (nessus-api.md section 2.1). */
export interface ServerState {
  readonly pluginSet: string;
  readonly loading: boolean;
  status(): { word: string; progress: number };
  /** Loading from now on, for so long. */
  load(forMs: number): void;
  /** A state that only an operator ends, such as `register`; `ready` ends it. */
  setWord(word: string): void;
}

export function createServerState(): ServerState {
  let loadingFromMs = 0;
  let loadingUntilMs = 0;
  let word = 'ready';
  const loading = (): boolean => Date.now() < loadingUntilMs;
  return {
    pluginSet: '202611010000',
    get loading() {
      return loading();
    },
    status() {
      if (!loading()) return { word, progress: 100 };
      return {
        word: 'loading',
        progress: Math.floor(((Date.now() - loadingFromMs) / (loadingUntilMs - loadingFromMs)) * 100),
      };
    },
    load(forMs) {
      loadingFromMs = Date.now();
      loadingUntilMs = loadingFromMs + forMs;
    },
    setWord(next) {
      word = next;
    },
  };
}
