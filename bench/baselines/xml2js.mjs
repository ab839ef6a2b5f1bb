/** xml2js, the whole document as one tree: node xml2js.mjs FILE */
import { readFileSync } from 'node:fs';
import { parseStringPromise } from 'xml2js';
import { ATTRIBUTES, createSink, FIELDS, measure } from './measure.mjs';

await measure(async () => {
  const sink = createSink();
  const tree = await parseStringPromise(readFileSync(process.argv[2], 'utf8'));
  for (const host of tree.NessusClientData_v2.Report[0].ReportHost ?? []) {
    const ip = host.HostProperties?.[0]?.tag?.find((tag) => tag.$.name === 'host-ip')?._ ?? null;
    for (const item of host.ReportItem ?? []) {
      const line = { host: host.$.name, host_ip: ip };
      for (const [field, attribute] of Object.entries(ATTRIBUTES)) line[field] = item.$[attribute];
      for (const field of FIELDS) if (item[field] !== undefined) line[field] = item[field].at(-1);
      line.cve = item.cve ?? [];
      sink.line(line);
    }
  }
  return sink.end();
});
