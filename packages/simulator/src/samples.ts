/** Real exports, cut into hosts that can be given other addresses. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { ScanmqError } from '@scanmq/contract';

/** Info, low, medium, high, critical. */
export type Severity = 0 | 1 | 2 | 3 | 4;

export interface SamplePlugin {
  readonly id: number;
  /** As text of XML: the five entities stay escaped. */
  readonly name: string;
  readonly family: string;
  readonly severity: Severity;
}

/** One ReportHost of a sample, without what belongs to the address it had and to the login that was tried. */
export interface SampleHost {
  /** `<tag>` elements. */
  readonly tags: Buffer;
  /** `<ReportItem>` elements. */
  readonly items: Buffer;
  /** One for each item. */
  readonly plugins: readonly SamplePlugin[];
}

const BUNDLED = fileURLToPath(new URL('../samples', import.meta.url));
/** Hosts with more would make demonstrations slow to read. */
const HOST_CHARS = 4 * 1024 * 1024;

/** Tags of the address that a host had; those of the replay take their place. */
const ADDRESS_TAGS = new Set([
  'host-ip',
  'host-fqdn',
  'host-fqdns',
  'host-rdns',
  'hostname',
  'host-uuid',
  'netbios-name',
  'HOST_START',
  'HOST_END',
  'HOST_START_TIMESTAMP',
  'HOST_END_TIMESTAMP',
  'Credentialed_Scan',
]);

/** Plugins that speak of the login (nessus-api.md section 9.7): they would contradict the one that is replayed. */
const LOGIN_PLUGINS = new Set([
  19_506, 141_118, 110_385, 104_410, 110_723, 110_095, 117_885, 117_886, 117_887, 21_745,
]);

// Exports have no CDATA and escape every < in texts: cutting at the tags is sound. A > in an attribute is legal.
const HOST = /<ReportHost\b(?:[^>"]|"[^"]*")*(?<!\/)>([\s\S]*?)<\/ReportHost>/g;
const ITEM = /<ReportItem\b((?:[^>"]|"[^"]*")*?)(?:\/>|>[\s\S]*?<\/ReportItem>)/g;
const TAG = /<tag name="([^"]*)">[\s\S]*?<\/tag>/g;

/**
 * Loads samples.
 * @param paths `.nessus` or `.nessus.gz` files; the bundled ones when undefined.
 * @throws ScanmqError `invalid_request` for a file that cannot be read or holds no host that could be replayed.
 */
export function loadSampleHosts(paths: readonly string[] | undefined): readonly SampleHost[] {
  const files =
    paths ??
    readdirSync(BUNDLED)
      .filter((name) => name.endsWith('.gz'))
      .sort()
      .map((name) => join(BUNDLED, name));
  return files.flatMap((file) => {
    const hosts = [...readSample(file).matchAll(HOST)]
      .filter(([, body = '']) => body.length <= HOST_CHARS)
      .map(([, body = '']) => cutHost(body))
      .filter((host) => host.plugins.length > 0);
    if (hosts.length > 0) return hosts;
    throw new ScanmqError('invalid_request', `${file} holds no host that could be replayed.`);
  });
}

function readSample(file: string): string {
  try {
    const bytes = readFileSync(file);
    return (file.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('utf8');
  } catch (cause) {
    throw new ScanmqError('invalid_request', `The sample ${file} cannot be read.`, { cause });
  }
}

function cutHost(body: string): SampleHost {
  const [properties = '', propertyText = ''] =
    /<HostProperties>([\s\S]*?)<\/HostProperties>/.exec(body) ?? [];
  const tags = [...propertyText.matchAll(TAG)]
    .filter(([, name = '']) => !ADDRESS_TAGS.has(name))
    .map(([whole]) => `${whole}\n`);
  const plugins: SamplePlugin[] = [];
  const items: string[] = [];
  for (const [whole, attributes = ''] of body
    .slice(properties.length === 0 ? 0 : body.indexOf(properties) + properties.length)
    .matchAll(ITEM)) {
    const plugin = pluginOf(attributes);
    if (LOGIN_PLUGINS.has(plugin.id)) continue;
    plugins.push(plugin);
    items.push(`${whole}\n`);
  }
  // bytes of their own: a piece of a string would keep the whole sample in memory
  return { tags: Buffer.from(tags.join('')), items: Buffer.from(items.join('')), plugins };
}

function pluginOf(attributes: string): SamplePlugin {
  const values = new Map(
    [...attributes.matchAll(/([\w:-]+)="([^"]*)"/g)].map(([, name = '', value = '']) => [name, value]),
  );
  const severity = Number(values.get('severity'));
  return {
    id: Number(values.get('pluginID') ?? 0),
    name: values.get('pluginName') ?? '',
    family: values.get('pluginFamily') ?? '',
    severity: severity === 1 || severity === 2 || severity === 3 || severity === 4 ? severity : 0,
  };
}
