/** Scan templates by name, title and uuid (nessus-api.md section 3.1). */
export const TEMPLATES: readonly (readonly [name: string, title: string, uuid: string])[] = [
  ['basic', 'Basic Network Scan', '731a8e52-3ea6-a291-ec0a-d2ff0619c19d7bd788d6be818b65'],
  ['advanced', 'Advanced Scan', 'ad629e16-03b6-8c1d-cef6-ef8c9dd3c658d24bd260ef5f9e66'],
  ['advanced_dynamic', 'Advanced Dynamic Scan', '939a2145-95e3-0c3f-f1cc-761db860e4eed37b6eee77f9e101'],
  ['discovery', 'Host Discovery', 'bbd4f805-3966-d464-b2d1-0079eb89d69708c3a05ec2812bcf'],
  ['patch_audit', 'Credentialed Patch Audit', '0625147c-30fe-d79f-e54f-ce7ccd7523e9b63d84cb81c23c2f'],
  ['webapp', 'Web Application Tests', 'c3cbcd46-329f-a9ed-1077-554f8c2af33d0d44f09d736969bf'],
  ['malware', 'Malware Scan', 'd16c51fa-597f-67a8-9add-74d5ab066b49a918400c42a035f7'],
  ['compliance', 'Policy Compliance Auditing', '40345bfc-48be-37bc-9bce-526bdce37582e8fee83bcefdc746'],
  ['scap', 'SCAP and OVAL Auditing', 'fb9cbabc-af67-109e-f023-1e0d926c9e5925eee7a0aa8a8bd1'],
  ['pci', 'Internal PCI Network Scan', 'e460ea7c-7916-d001-51dc-e43ef3168e6e20f1d97bdebf4a49'],
  ['asv', 'PCI Quarterly External (unofficial)', 'cfc46c2d-30e7-bb2b-3b92-c75da136792d080c1fffcc429cfd'],
  ['offline', 'Offline Config Auditing', '1384f3ce-0376-7801-22db-a91e1ae16dea8d863e17313802b1'],
  ['cloud_audit', 'Audit Cloud Infrastructure', '97f94b3b-f843-92d1-5e7a-df02f9dbfaaef40ae03bfdfa7239'],
];
