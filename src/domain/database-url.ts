// What a connection string must look like, so that a typing error is told as one and not as a host that nobody finds.

const SHAPE = "a URL such as postgres://user:password@host:5432/database (special characters in it as %40)";

/** What it should have been, in a few words; null when it can be used. */
export function expectedUrl(url: string): string | null {
  return /^postgres(ql)?:\/\/./.test(url) && URL.canParse(url) ? null : SHAPE;
}
