/** Our reader, one thread: node reader.mjs FILE [other build of the reader] */
import { createReadStream } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { createSink, FIELDS, measure } from './measure.mjs';

const [, , path, build] = process.argv;
// not by the door of the package: the database behind it would count as memory of the reader
const { readExport } = await import(
  build ? pathToFileURL(resolve(build)).href : '../../packages/findings/dist/read-export.js'
);

await measure(async () => {
  const sink = createSink();
  let host = '';
  let ip = null;
  await readExport(createReadStream(path, { highWaterMark: 256 * 1024 }), {
    onHost(name) {
      host = name;
      ip = null;
    },
    onHostTag(name, text) {
      if (name === 'host-ip') ip = text;
    },
    onItem({ attributes, elements }) {
      const line = {
        host,
        host_ip: ip,
        port: attributes.port,
        svc_name: attributes.svc_name,
        protocol: attributes.protocol,
        severity: attributes.severity,
        plugin_id: attributes.pluginID,
        plugin_name: attributes.pluginName,
        plugin_family: attributes.pluginFamily,
      };
      const cve = [];
      for (const [name, text] of elements) {
        if (FIELDS.has(name)) line[name] = text;
        else if (name === 'cve') cve.push(text);
      }
      line.cve = cve;
      sink.line(line);
    },
  });
  return sink.end();
});
