import type { ScanStatus } from '@scanmq/contract';
import { Presets, SingleBar } from 'cli-progress';

/** Shows how a task goes: a bar on a terminal, a plain line per change in a log. */
export interface ProgressLine {
  show(status: ScanStatus): void;
  end(): void;
}

export function createProgressLine(stream: NodeJS.WriteStream): ProgressLine {
  return stream.isTTY ? bar(stream) : plain(stream);
}

function wordsOf(status: ScanStatus): string {
  const scanner =
    status.scanner_instance === null ? '' : ` on ${status.scanner_pool}:${status.scanner_instance}`;
  const waiting = status.queue_position === null ? '' : ` (number ${status.queue_position})`;
  const word =
    status.status === 'running' && status.scanner_status !== null
      ? `running (${status.scanner_status})`
      : status.status;
  return `${word}${waiting}${scanner}`;
}

function bar(stream: NodeJS.WriteStream): ProgressLine {
  const shown = new SingleBar(
    {
      format: '{bar} {percentage} %  {words}',
      stream,
      hideCursor: true,
      clearOnComplete: false,
      etaBuffer: 1,
    },
    Presets.shades_grey,
  );
  let started = false;
  return {
    show(status) {
      if (!started) shown.start(100, status.progress, { words: wordsOf(status) });
      else shown.update(status.progress, { words: wordsOf(status) });
      started = true;
    },
    end() {
      if (started) shown.stop();
    },
  };
}

function plain(stream: NodeJS.WriteStream): ProgressLine {
  let last = '';
  return {
    show(status) {
      const line = `${status.progress} % ${wordsOf(status)}`;
      if (line === last) return;
      last = line;
      stream.write(`${new Date().toISOString()} ${line}\n`);
    },
    end() {},
  };
}
