/**
 * Makes big exports out of real ones: the ReportHost blocks of `tests/samples`, again and again, with other names, addresses,
 * ports and ends of `plugin_output`. Memory does not grow with the size; the same options give the same bytes.
 *
 *     node bench/generate-export.mjs --out FILE (--megabytes N | --items N) [--one-host] [--hosts-per-copy N] [--seed N]
 *
 * 200 MB are about 1,800 hosts and 83,000 items of 2.4 KB each. `--hosts-per-copy` takes only the first N of the 46 host
 * blocks that make one copy.
 */
import { once } from 'node:events';
import { createWriteStream, readFileSync } from 'node:fs';
import { finished } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { gunzipSync } from 'node:zlib';

/** How often the hosts of a sample stand in one copy: chosen so that a host has about 45 items, and an item 2.4 KB. */
const MIX = [
  ['cloud-one-host', 4],
  ['cloud-repeated-host', 4],
  ['dojo-cvssv3', 4],
  ['libnessus-three-hosts', 4],
  ['nessus-4.2-2009', 4],
  ['compliance-cm-one-host', 1],
  ['seccubus-compliance', 1],
];
/** Its policy block stands at the beginning of exports that are large enough for it. */
const POLICY_OF = 'dojo-cvssv3';
const POLICY_FROM_BYTES = 20 * 1024 * 1024;
const WRITE_CHARS = 1024 * 1024;

/**
 * @param {object} options
 * @param {string} options.path file to write
 * @param {number} [options.bytes] size to reach, exceeded by less than a host (an item with `oneHost`)
 * @param {number} [options.items] instead of `bytes`: exact number of items
 * @param {boolean} [options.oneHost] all items in one ReportHost
 * @param {number} [options.hostsPerCopy] how many of the host blocks are used
 * @param {number} [options.seed]
 * @returns {Promise<{hosts: number, items: number, bytes: number}>} what was written
 */
export async function generateExport({ path, bytes, items, oneHost = false, hostsPerCopy, seed = 1 }) {
  if (bytes === undefined && items === undefined) throw new Error('either bytes or items must be given');
  const random = createRandom(seed);
  const blocks = hostBlocks().slice(0, hostsPerCopy);
  const out = createWriteStream(path);
  const done = finished(out);
  done.catch(() => undefined);
  const written = { hosts: 0, items: 0, bytes: 0 };
  let pending = '';
  let pendingBytes = 0;
  const add = (text) => {
    pending += text;
    pendingBytes += Buffer.byteLength(text);
  };
  const flush = async () => {
    written.bytes += pendingBytes;
    const flowing = out.write(pending);
    pending = '';
    pendingBytes = 0;
    if (!flowing) await Promise.race([once(out, 'drain'), done]);
  };
  const full = () =>
    items !== undefined ? written.items >= items : written.bytes + pendingBytes + TAIL.length >= bytes;

  add('<?xml version="1.0" encoding="UTF-8"?>\n<NessusClientData_v2>\n');
  if (bytes === undefined || bytes >= POLICY_FROM_BYTES) add(`${policyBlock()}\n`);
  add('<Report name="Generated for measurement" xmlns:cm="http://www.nessus.org/cm">\n');
  for (let copy = 0; !full(); copy += 1) {
    for (const block of blocks) {
      if (full()) break;
      const host = makeHost(random, written.hosts + 1, copy);
      if (!oneHost || written.hosts === 0) {
        written.hosts += 1;
        add(render(block.head, host));
      }
      for (const item of block.items) {
        if (full() && (oneHost || items !== undefined)) break;
        // in one host, the same plugin must not always answer on the same port
        add(render(item, host, oneHost ? copy : 0));
        written.items += 1;
        if (pending.length > WRITE_CHARS) await flush();
      }
      if (!oneHost) add(block.tail);
    }
  }
  if (oneHost) add(blocks[0].tail);
  add(TAIL);
  await flush();
  out.end();
  await done;
  return written;
}

const TAIL = '</Report>\n</NessusClientData_v2>\n';

const textOf = (sample) =>
  gunzipSync(readFileSync(new URL(`../tests/samples/${sample}.nessus.gz`, import.meta.url))).toString('utf8');

const policyBlock = () => /<Policy>.*?<\/Policy>/s.exec(textOf(POLICY_OF))[0];

/** Host blocks, cut into a head, items and a tail; each piece is a list of fixed texts and of things to put between them. */
function hostBlocks() {
  return MIX.flatMap(([sample, times]) => {
    const hosts = textOf(sample).match(/<ReportHost .*?<\/ReportHost>\s*/gs);
    const blocks = hosts.map((host) => {
      const own = [
        /<ReportHost name="([^"]+)"/.exec(host)?.[1],
        /<tag name="host-ip">([^<]+)</.exec(host)?.[1],
      ].filter((name) => name !== undefined && name.length > 4);
      const first = host.search(/<ReportItem /);
      const end = host.lastIndexOf('</ReportHost>');
      return {
        head: template(host.slice(0, first), own),
        items: host
          .slice(first, end)
          .split(/(?=<ReportItem )/)
          .map((item) => template(item, own)),
        tail: host.slice(end),
      };
    });
    return Array.from({ length: times }, () => blocks).flat();
  });
}

const escapeRegExp = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

/** Text, then an object that says what comes, then text again. */
function template(text, own) {
  const slots = new RegExp(
    [
      '(?<=<ReportHost name=")(?<name>[^"]*)',
      '(?<=<tag name="host-uuid">)(?<uuid>[^<]*)',
      '(?<=<ReportItem [^>]*\\bport=")(?<port>[0-9]+)',
      '(?<note>)(?=</plugin_output>)',
      own.length > 0 ? `(?<ip>${own.map(escapeRegExp).join('|')})` : '(?!)(?<ip>)',
    ].join('|'),
    'g',
  );
  const parts = [];
  let at = 0;
  for (const match of text.matchAll(slots)) {
    const [kind] = Object.entries(match.groups).find(([, value]) => value !== undefined);
    parts.push(text.slice(at, match.index), { kind, was: match[0] });
    at = match.index + match[0].length;
  }
  parts.push(text.slice(at));
  return parts;
}

function render(parts, host, portShift = 0) {
  let text = '';
  for (const part of parts) {
    if (typeof part === 'string') text += part;
    else if (part.kind === 'port') text += shiftPort(part.was, portShift);
    else text += host[part.kind];
  }
  return text;
}

function shiftPort(port, shift) {
  return port === '0' || shift === 0 ? port : String(1 + ((Number(port) + shift * 7919) % 65_535));
}

function makeHost(random, number, copy) {
  const ip = `10.${(number >> 16) & 255}.${(number >> 8) & 255}.${number & 255}`;
  const hex = () =>
    Math.floor(random() * 2 ** 32)
      .toString(16)
      .padStart(8, '0');
  const id = hex() + hex() + hex() + hex();
  return {
    name: number % 3 === 0 ? ip : `host-${number}.bench.example`,
    ip,
    uuid: [id.slice(0, 8), id.slice(8, 12), id.slice(12, 16), id.slice(16, 20), id.slice(20)].join('-'),
    note: `\nCopy ${copy}, load ${(random() * 100).toFixed(2)} %`,
  };
}

/** mulberry32: small, and the same everywhere. */
function createRandom(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let value = Math.imul(state ^ (state >>> 15), state | 1);
    value = (value + Math.imul(value ^ (value >>> 7), value | 61)) ^ value;
    return ((value ^ (value >>> 14)) >>> 0) / 2 ** 32;
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({
    options: {
      out: { type: 'string' },
      megabytes: { type: 'string' },
      items: { type: 'string' },
      'one-host': { type: 'boolean', default: false },
      'hosts-per-copy': { type: 'string' },
      seed: { type: 'string', default: '1' },
    },
  });
  if (values.out === undefined || (values.megabytes === undefined && values.items === undefined)) {
    process.stderr.write(
      'usage: generate-export.mjs --out FILE (--megabytes N | --items N) [--one-host] [--hosts-per-copy N] [--seed N]\n',
    );
    process.exit(2);
  }
  const written = await generateExport({
    path: values.out,
    bytes: values.megabytes === undefined ? undefined : Number(values.megabytes) * 1024 * 1024,
    items: values.items === undefined ? undefined : Number(values.items),
    oneHost: values['one-host'],
    hostsPerCopy: values['hosts-per-copy'] === undefined ? undefined : Number(values['hosts-per-copy']),
    seed: Number(values.seed),
  });
  process.stdout.write(`${JSON.stringify(written)}\n`);
}
