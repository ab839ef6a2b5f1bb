/** The stable exit codes of the command (contract section 8). */
export const EXIT = {
  passed: 0,
  gateFailed: 1,
  usage: 2,
  scanFailed: 3,
  unreachable: 4,
  couldNotJudge: 5,
  /** Ctrl-C: 128 and the number of SIGINT, as shells have it. */
  interrupted: 130,
} as const;
