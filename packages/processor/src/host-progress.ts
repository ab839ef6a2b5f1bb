import { hostLabel, LIMITS, type ProgressEvent } from '@scanmq/contract';
import type { HostState } from '@scanmq/scanners';

/** How far the hosts are, as it is told: names of ours or none, and no more than somebody looks at. */
export function hostProgress(
  hosts: readonly HostState[],
): Pick<ProgressEvent, 'hosts_seen' | 'hosts_done' | 'hosts' | 'hosts_omitted'> {
  const active = hosts.filter((host) => host.progressPercent < 100);
  const done = hosts.filter((host) => host.progressPercent >= 100);
  const shown = [...active, ...done].slice(0, LIMITS.progressHosts);
  return {
    hosts_seen: hosts.length,
    hosts_done: done.length,
    hosts: shown.map(({ name, progressPercent, found }) => ({
      host: hostLabel(name),
      progress: Math.floor(progressPercent),
      severity_breakdown: found,
    })),
    hosts_omitted: hosts.length - shown.length,
  };
}
