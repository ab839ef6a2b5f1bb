/** Uuids of the common templates, stable since Nessus 6 (nessus-api.md section 3.1): used where the scanner's own list lacks one. */
export const TEMPLATE_UUIDS: ReadonlyMap<string, string> = new Map([
  ['basic', '731a8e52-3ea6-a291-ec0a-d2ff0619c19d7bd788d6be818b65'],
  ['advanced', 'ad629e16-03b6-8c1d-cef6-ef8c9dd3c658d24bd260ef5f9e66'],
  ['advanced_dynamic', '939a2145-95e3-0c3f-f1cc-761db860e4eed37b6eee77f9e101'],
  ['discovery', 'bbd4f805-3966-d464-b2d1-0079eb89d69708c3a05ec2812bcf'],
  ['patch_audit', '0625147c-30fe-d79f-e54f-ce7ccd7523e9b63d84cb81c23c2f'],
  ['webapp', 'c3cbcd46-329f-a9ed-1077-554f8c2af33d0d44f09d736969bf'],
  ['malware', 'd16c51fa-597f-67a8-9add-74d5ab066b49a918400c42a035f7'],
  ['compliance', '40345bfc-48be-37bc-9bce-526bdce37582e8fee83bcefdc746'],
]);
