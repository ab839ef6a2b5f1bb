/** The tools of scanmq on both SDKs. Loaded with the first request. */

import type { McpMount } from './answers.js';
import { legacyServers } from './legacy-server.js';
import { modernServers } from './modern-server.js';
import { type SurfaceDeps, scanmqSurface } from './scanmq-surface.js';

export function createScanmqMount(deps: SurfaceDeps): McpMount {
  const surface = scanmqSurface(deps);
  const streaming = new Set(surface.tools.filter((tool) => tool.streams).map((tool) => tool.name));
  return {
    legacy: legacyServers(surface),
    modern: modernServers(surface),
    streams: (name) => streaming.has(name),
  };
}
