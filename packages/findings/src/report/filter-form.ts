/** The search box and severity filter above a list; what they do is in `script.ts`. */
import { SEVERITY_NAMES } from '@scanmq/contract';
import { type Html, html } from './html.js';
import { capital } from './words.js';

/** Hidden until the script can serve it. Entries of the list carry `data-severity`. */
export function filterForm(): Html {
  const severities = [...SEVERITY_NAMES.entries()].reverse();
  return html`<form id="filter" role="search" hidden>
<label class="search"><span>Search</span><input type="search" autocomplete="off" placeholder="host, plugin, CVE, text …"></label>
<fieldset><legend class="hidden">Severities shown</legend>${severities.map(
    ([level, name]) =>
      html`<label class="choice"><input type="checkbox" value="${level}" checked><span class="dot s${level}"></span>${capital(name)}</label>`,
  )}</fieldset>
<div class="buttons"><button type="button" data-open="true">Open all</button><button type="button" data-open="false">Close all</button><button type="reset">Reset</button></div>
</form>
<p id="filter-status" role="status"></p>`;
}
