/** An answer of the simulated scanner that is no success. */
export class NessusRefusal extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

/** For ids, files and paths that do not exist (nessus-api.md section 1.1). */
export const notFound = (): NessusRefusal => new NessusRefusal(404, 'The requested file was not found.');
