/** Opening hours: when scans may run. Each window opens by a cron expression in a time zone and stays open for so long. */
import { CronExpressionParser } from 'cron-parser';

export interface OpeningWindow {
  /** Cron expression of the moments at which it opens; five fields, or six with seconds first. */
  readonly opens: string;
  readonly durationMs: number;
  /** IANA name; a window of 22:00 to 6:00 keeps its local hours over a change of the clocks. */
  readonly timeZone: string;
}

export interface OpeningHours {
  /** Open while any of them is. */
  readonly windows: readonly OpeningWindow[];
  /** What happens to a scan that runs when they close: paused until they open again, or left alone. */
  readonly atClose: 'pause' | 'continue';
}

export type HoursStatus =
  | { readonly open: true /** Undefined when they never close. */; readonly closesAt: Date | undefined }
  | { readonly open: false; readonly opensAt: Date };

/** Windows that follow each other without a gap are walked through this often; beyond, it counts as never closing. */
const LONGEST_CHAIN = 400;

/** When the window that is open at this moment closes; undefined while it is closed. */
function closing(window: OpeningWindow, atMs: number): number | undefined {
  // `prev` finds moments before the given one: the opening moment itself belongs to the window
  const opened = CronExpressionParser.parse(window.opens, {
    tz: window.timeZone,
    currentDate: atMs + 1,
  }).prev();
  const closesMs = opened.getTime() + window.durationMs;
  return closesMs > atMs ? closesMs : undefined;
}

/** Whether the hours are open at a moment, and until when. */
export function hoursStatus(hours: OpeningHours, now: Date): HoursStatus {
  let atMs = now.getTime();
  for (let walked = 0; walked < LONGEST_CHAIN; walked += 1) {
    const at = atMs;
    const closes = hours.windows
      .map((window) => closing(window, at))
      .filter((closesMs) => closesMs !== undefined);
    if (closes.length === 0) {
      return walked === 0
        ? { open: false, opensAt: nextOpening(hours, now) }
        : { open: true, closesAt: new Date(atMs) };
    }
    atMs = Math.max(...closes);
  }
  return { open: true, closesAt: undefined };
}

function nextOpening(hours: OpeningHours, now: Date): Date {
  const openings = hours.windows.map(({ opens, timeZone }) =>
    CronExpressionParser.parse(opens, { tz: timeZone, currentDate: now }).next().getTime(),
  );
  return new Date(Math.min(...openings));
}
