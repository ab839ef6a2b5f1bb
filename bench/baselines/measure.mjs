/** What the JavaScript contestants have in common: the fields of the job, where its lines go, and the peak of memory. */
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { devNull } from 'node:os';

/** Attributes of an item, by the name they get. With host, host_ip, cve and FIELDS these are the 19 fields. */
export const ATTRIBUTES = {
  port: 'port',
  svc_name: 'svc_name',
  protocol: 'protocol',
  severity: 'severity',
  plugin_id: 'pluginID',
  plugin_name: 'pluginName',
  plugin_family: 'pluginFamily',
};
export const FIELDS = new Set([
  'synopsis',
  'description',
  'solution',
  'plugin_output',
  'risk_factor',
  'see_also',
  'cvss_base_score',
  'cvss3_base_score',
  'exploit_available',
]);

const WRITE_CHARS = 64 * 1024;

/** Lines to the null device, in blocks, as a file would be written. */
export function createSink() {
  const file = openSync(devNull, 'w');
  const facts = { items: 0, chars: 0 };
  let pending = '';
  return {
    line(fields) {
      const text = JSON.stringify(fields);
      facts.items += 1;
      facts.chars += text.length;
      pending += `${text}\n`;
      if (pending.length < WRITE_CHARS) return;
      writeSync(file, pending);
      pending = '';
    },
    end() {
      writeSync(file, pending);
      closeSync(file);
      return facts;
    },
  };
}

/** Runs a contestant and prints what the bench wants to know. */
export async function measure(job) {
  const start = performance.now();
  const facts = await job();
  const seconds = (performance.now() - start) / 1000;
  const { user, system } = process.cpuUsage();
  const cpuSeconds = (user + system) / 1e6;
  process.stdout.write(`${JSON.stringify({ ...facts, seconds, cpuSeconds, peakBytes: peakBytes() })}\n`);
}

function peakBytes() {
  try {
    return Number(/^VmHWM:\s+([0-9]+)/m.exec(readFileSync('/proc/self/status', 'ascii'))[1]) * 1024;
  } catch {
    return process.resourceUsage().maxRSS * 1024;
  }
}
