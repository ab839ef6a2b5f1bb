import type { ProgressEvent, ScanStatus } from '@scanmq/contract';
import { createLogUpdate } from 'log-update';
import { frameOf, wordsOf } from './live-frame.js';
import type { ProgramIo } from './program-io.js';

/** Shows how a task goes: a live view on a terminal, a plain line per change in a log. */
export interface ProgressLine {
  /** The task, at this moment or another. */
  show(status: ScanStatus, at?: string): void;
  /** How far its hosts are. */
  progress(progress: ProgressEvent): void;
  /** Something was done for it, or went wrong. @param at ISO time; now when left out. */
  note(message: string, at?: string): void;
  /** What keeps us from the service now; undefined when nothing does any more. */
  trouble(message: string | undefined): void;
  end(): void;
}

export function createProgressLine({ stderr, env }: Pick<ProgramIo, 'stderr' | 'env'>): ProgressLine {
  return isLive(stderr, env) ? live(stderr, (env.NO_COLOR ?? '') === '') : plain(stderr);
}

/** True for a terminal that can be written over; `TERM=dumb` cannot. */
export function isLive(stream: NodeJS.WriteStream, env: ProgramIo['env']): boolean {
  return stream.isTTY === true && env.TERM !== 'dumb';
}

const FRAME_MS = 1_000;

function live(stream: NodeJS.WriteStream, colored: boolean): ProgressLine {
  const screen = createLogUpdate(stream);
  let status: ScanStatus | undefined;
  let progress: ProgressEvent | undefined;
  let trouble: string | undefined;
  const draw = (): void => {
    if (status === undefined) return;
    const { columns = 80, rows = 24 } = stream;
    const now = new Date();
    screen(frameOf({ status, progress, trouble, columns, rows, now, colored }).join('\n'));
  };
  // the clock goes on also when nothing changes
  const clock = setInterval(draw, FRAME_MS);
  return {
    show(next) {
      status = next;
      draw();
    },
    progress(next) {
      progress = next;
      draw();
    },
    note(message) {
      screen.persist(message);
      draw();
    },
    trouble(message) {
      trouble = message;
      draw();
    },
    end() {
      clearInterval(clock);
      draw();
      screen.done();
    },
  };
}

/** For machines: shows nothing. */
export const NO_PROGRESS: ProgressLine = {
  show() {},
  progress() {},
  note() {},
  trouble() {},
  end() {},
};

/** Between two lines that only say that the percentage is another. */
const STEP_PERCENT = 5;
const STEP_MS = 60_000;

function plain(stream: NodeJS.WriteStream): ProgressLine {
  let hosts = '';
  let last = { words: '', percent: -1, atMs: 0 };
  const write = (text: string, at = new Date().toISOString()): void => void stream.write(`${at} ${text}\n`);
  return {
    show(status, at) {
      const words = wordsOf(status);
      const percent = status.progress;
      const nowMs = Date.now();
      const step =
        percent !== last.percent && (percent >= last.percent + STEP_PERCENT || nowMs >= last.atMs + STEP_MS);
      if (words === last.words && !step) return;
      last = { words, percent, atMs: nowMs };
      write(`${percent} % ${words}${status.status === 'running' ? hosts : ''}`, at);
    },
    progress: ({ hosts_seen: seen, hosts_done: done }) => {
      hosts = seen === 0 ? '' : `, ${done} of ${seen} hosts done`;
    },
    note: (message, at) => write(message, at),
    trouble: (message) => write(message ?? 'Following it again.'),
    end() {},
  };
}
