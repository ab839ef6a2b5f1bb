/** Answers that only the cloud service gives; all others are those of a Nessus (`../nessus/decode.ts`). */
import { z } from 'zod';
import { list, number, orNull, text } from '../nessus/decode.js';

/**
 * A page of `/scans/{id}/history`, newest first (pyTenable, `tenable/io/base/v1.py`: `pagination.total`; fields as in the
 * integration `Tenable_io` of demisto/content, `test_data/get_scan_history.json`, which has no `pagination`).
 */
export const historySchema = z.object({
  history: list(z.object({ id: number, scan_uuid: text.catch(''), status: z.string().catch('empty') })),
  pagination: orNull(z.object({ total: orNull(number) })),
});

/** pyTenable, `tests/io/cassettes/test_scan_status.yaml`: `{"status":"empty"}`. */
export const latestStatusSchema = z.object({ status: z.string() });

/** pyTenable, `tests/io/test_scans.py`: `{"progress": 50}`. */
export const progressSchema = z.object({ progress: orNull(number) });

/** What a user may choose when making a scan (pyTenable, `tenable/io/scanners.py`, `allowed_scanners`). */
export const templateSchema = z.object({
  settings: z.object({
    basic: z.object({
      inputs: list(
        z.object({
          id: text.catch(''),
          options: z
            .array(z.object({ id: text, name: text }))
            .nullish()
            .catch(null),
        }),
      ),
    }),
  }),
});

/** pyTenable, `tests/io/cassettes/test_session_details.yaml`. */
export const userSchema = z.object({ permissions: orNull(number) });
